// Declarations of strangers: whatever they write, loading it takes time and room that
// grow with the text and no faster, and ends at a bound that is told with file and line.

package schemas

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
)

const tried = `apiVersion: vishwa.dev/v1alpha1
kind: Training
metadata: {name: %s}
spec:
  run: [sh, train.sh]
`

// repeat writes n parts, each with its number.
func repeat(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// hostile are texts of vishwa/x.yaml, each of a size n.
var hostile = map[string]func(n int) string{
	"candidates": func(n int) string {
		return fmt.Sprintf(tried, "y") + "  candidates:\n" + repeat(n, "    c%d: {params: {n: 1}}\n")
	},
	"searches": func(n int) string {
		return repeat(n/4, "---\n"+strings.Replace(tried, "%s", "t%d", 1)+"  search: {grid: {a: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], b: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], c: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], d: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], e: [1, 2]}}\n")
	},
	"parameters":      func(n int) string { return fmt.Sprintf(tried, "y") + "  params:\n" + repeat(2*n, "    p%d: 1\n") },
	"documents":       func(n int) string { return repeat(n/2, "---\n"+strings.Replace(tried, "%s", "t%d", 1)+"x: 1\n") },
	"empty documents": func(n int) string { return strings.Repeat("---\n", 10*n) },
	"unknown fields":  func(n int) string { return fmt.Sprintf(tried, "y") + repeat(2*n, "  fields%d: 1\n") },
	"unknown kinds":   func(n int) string { return repeat(n, "---\nkind: Trainin%d\n") },
	"wrong types":     func(n int) string { return fmt.Sprintf(tried, "y") + "  candidates:\n" + repeat(2*n, "    c%d: 1\n") },
	"bad names":       func(n int) string { return fmt.Sprintf(tried, "y") + "  candidates:\n" + repeat(2*n, "    _%d: {}\n") },
	"same keys":       func(n int) string { return fmt.Sprintf(tried, "y") + "  params:\n" + strings.Repeat("    p: 1\n", 4*n) },
	"deep flow":       func(n int) string { return strings.Repeat("[", 20*n) },
	"deep maps":       func(n int) string { return strings.Repeat("{a: ", 10*n) },
	"deep blocks":     func(n int) string { return strings.Repeat("- ", 10*n) },
	"questions":       func(n int) string { return strings.Repeat("? ", 10*n) },
	"anchors":         func(n int) string { return repeat(4*n, "- &a%d x\n") },
	"aliases":         func(n int) string { return "- &a x\n" + strings.Repeat("- *a\n", 8*n) },
	"laughs":          func(n int) string { return laughs(n) },
	"merges": func(n int) string {
		return "a: &a {" + repeat(100, "k%d: 1, ") + "}\nb:\n" + repeat(n, "  b%d:\n    <<: [*a, *a]\n")
	},
	"tags":             func(n int) string { return strings.Repeat("- !a x\n", 4*n) },
	"comments":         func(n int) string { return strings.Repeat("# c\n", 20*n) + "a: 1\n" },
	"comments between": func(n int) string { return strings.Repeat("- a # c\n# d\n\n# e\n", 4*n) },
	"comments inside":  func(n int) string { return "a:\n" + strings.Repeat("  # c\n\n", 10*n) + "  - 1\n" },
	"long plain":       func(n int) string { return "a: " + strings.Repeat("word\n  ", 10*n) },
	"long quoted":      func(n int) string { return `a: "` + strings.Repeat(`\u0041`, 10*n) + `"` },
	"long block":       func(n int) string { return "a: |\n" + strings.Repeat("  x\n", 20*n) },
	"long line":        func(n int) string { return "a: " + strings.Repeat("x", 100*n) },
	"long key":         func(n int) string { return strings.Repeat("x", 100*n) + ": 1" },
	"blank lines":      func(n int) string { return "a: 1\n" + strings.Repeat("\n", 50*n) },
	"misindented":      func(n int) string { return repeat(4*n, "a%d: {b: 1}\n") + "  c: 1\n" },
	"plain hyphens":    func(n int) string { return "[a" + strings.Repeat(",a\n---x", 4*n) + "]" },
	"numbers":          func(n int) string { return "a: [" + strings.Repeat("1e9,", 4*n) + "]" },
	"huge number":      func(n int) string { return "a: " + strings.Repeat("9", 20*n) },
	"huge exponent":    func(n int) string { return "a: 1e" + strings.Repeat("9", 20*n) },
	"missing refs": func(n int) string {
		return transforms(n/2, func(i int) string { return fmt.Sprintf("transform/t%07dx", i) })
	},
	"unknown runners": func(n int) string {
		return repeat(n/2, "---\n"+strings.Replace(tried, "%s", "t%[1]d", 1)+"  runner: runner%[1]d\n  image: \"base:%[1]d\"\n")
	},
	"a ring": func(n int) string {
		return transforms(n/2, func(i int) string { return fmt.Sprintf("transform/t%08d", (i+1)%(n/2)) })
	},
	"a chain": func(n int) string {
		return transforms(n/2, func(i int) string { return fmt.Sprintf("transform/t%08d", max(i-1, 0)) })
	},
	"outputs": outputs,
	"deep paths": func(n int) string {
		return fmt.Sprintf(tried, "y") + "  code:\n" + repeat(n/8, "    - "+strings.Repeat("d/", 400)+"%d\n")
	},
	"missing paths": func(n int) string { return fmt.Sprintf(tried, "y") + "  code:\n" + repeat(2*n, "    - src/file%07d\n") },
}

func laughs(n int) string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < min(n, 60); i++ {
		fmt.Fprintf(&b, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1)
	}
	return b.String()
}

func transforms(n int, input func(i int) string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "---\napiVersion: vishwa.dev/v1alpha1\nkind: Transform\nmetadata: {name: t%08d}\nspec: {run: [x], inputs: {i: %s}, outputs: {o: o}}\n", i, input(i))
	}
	return b.String()
}

// outputs is one transform with many, and many that name others of it.
func outputs(n int) string {
	return "apiVersion: vishwa.dev/v1alpha1\nkind: Transform\nmetadata: {name: all}\nspec:\n  run: [x]\n  outputs:\n" + repeat(n, "    o%08d: f%[1]d\n") +
		repeat(n/4, "---\napiVersion: vishwa.dev/v1alpha1\nkind: Transform\nmetadata: {name: t%d}\nspec: {run: [x], inputs: {i: \"transform/all:o%[1]dx\"}, outputs: {o: o}}\n")
}

// strangers is a repository with text as its declarations.
func strangers(text string) fstest.MapFS {
	return fstest.MapFS{Root: {Data: []byte(project("{}"))}, "vishwa/x.yaml": {Data: []byte(text)}, "src/train.sh": {Data: []byte("x")}}
}

// TestMoreThanIsListedIsSaid: whoever corrects what is listed is not surprised by what comes then.
func TestMoreThanIsListedIsSaid(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"of a declaration": {fmt.Sprintf(tried, "y") + repeat(200, "  fields%d: 1\n"), "only 100 problems of this declaration are listed; correct these first, and look again"},
		"of a repository":  {repeat(1000, "---\n"+strings.Replace(tried, "%s", "t%d", 1)+"  code: [src/absent.sh]\n  candidates: {a: {}}\n"), "there may be more problems, which are not listed; correct these first"},
		"and how many":     {repeat(100, "---\n"+strings.Replace(tried, "%s", "t%d", 1)+"  candidates: {a: {}}\n"+"  f: 1\n  g: 1\n  h: 1\n  i: 1\n  j: 1\n  k: 1\n  l: 1\n  m: 1\n  n: 1\n  o: 1\n  p: 1\n"), "more problems at least, which are not listed; correct these first"},
		"nothing of few":   {fmt.Sprintf(tried, "y") + repeat(20, "  fields%d: 1\n"), ""},
	} {
		_, problems := Load(t.Context(), strangers(c.text))
		said := ""
		for _, p := range problems {
			if strings.Contains(p.Message, "are not listed") || strings.Contains(p.Message, "are listed") {
				said = p.Message
			}
		}
		if !strings.Contains(said, c.says) || (said == "") != (c.says == "") {
			t.Errorf("%s: %q of %d problems", name, said, len(problems))
		}
	}
}

// spent is the time of processors that f took, and how many bytes.
func spent(f func()) (time.Duration, uint64) {
	runtime.GC()
	was, begin := metric("/gc/heap/allocs:bytes"), cpu()
	f()
	return cpu() - begin, metric("/gc/heap/allocs:bytes") - was
}

// cpu is the time of processors that this process has had, whatever else the machine does.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // of oneself, it cannot fail
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func metric(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// peak is how much the heap grew while f ran, looked at every two milliseconds.
func peak(f func()) (most uint64) {
	runtime.GC()
	was := metric("/memory/classes/heap/objects:bytes")
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			most = max(most, metric("/memory/classes/heap/objects:bytes"))
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	}()
	f()
	close(done)
	<-ended
	return most - min(most, was)
}

// TestLoadingGrowsWithTheText: twice the text takes at most about twice the time and
// twice the room, whatever the text is made to do.
func TestLoadingGrowsWithTheText(t *testing.T) {
	const small = 2_000 // so much that every bound on what is kept is met
	for name, text := range hostile {
		t.Run(name, func(t *testing.T) {
			one, two := strangers(text(small)), strangers(text(2*small))
			a, x := spent(func() { Load(context.Background(), one) })
			b, y := spent(func() { Load(context.Background(), two) })
			for range 2 { // the least of three, where one is not enough: what else the machine does takes time as well
				if b <= 3*a || b <= 500*time.Millisecond {
					break
				}
				again, _ := spent(func() { Load(context.Background(), two) })
				b = min(b, again)
			}
			t.Logf("%v and %v, %d and %d KiB, for %d and %d KiB of text", a, b, x>>10, y>>10, len(one["vishwa/x.yaml"].Data)>>10, len(two["vishwa/x.yaml"].Data)>>10)
			if b > 3*a && b > 500*time.Millisecond {
				t.Errorf("twice the text took %v in place of %v", b, a)
			}
			if y > 3*x && y > 64<<20 {
				t.Errorf("twice the text took %d MiB in place of %d", y>>20, x>>20)
			}
		})
	}
}

// TestTheLargestTextHasACeiling: a file as large as one may be, of whatever kind, is
// answered in seconds, and in a bounded part of the memory. Where VISHWA_REAL is not set,
// it is an eighth as large, and so is the ceiling: loading grows with the text.
func TestTheLargestTextHasACeiling(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	part := 8
	if os.Getenv("VISHWA_REAL") != "" {
		part = 1
	}
	seconds := 60 * time.Second / time.Duration(part) // of processors; slow machines and the race detector included
	room := uint64(64<<20 + 576<<20/part)             // what is there before is no part of the text's
	for name, text := range hostile {
		t.Run(name, func(t *testing.T) {
			n := 500
			for ; n < 1<<20 && len(text(2*n)) <= maxBytes/part; n *= 2 {
			}
			fsys := strangers(text(n))
			begin := cpu()
			most := peak(func() { Load(context.Background(), fsys) })
			took := cpu() - begin
			t.Logf("%v, %d MiB, for %d KiB of text", took, most>>20, len(fsys["vishwa/x.yaml"].Data)>>10)
			if took > seconds || most > room {
				t.Errorf("took %v and %d MiB", took, most>>20)
			}
		})
	}
}
