// Files that are made to take all time or memory: what a pipeline or a .dvcignore may ask
// for is bounded, whatever it says.

package dvc

import (
	"fmt"
	"io/fs"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// bounded runs f and holds it to ten seconds and 512 MiB of what it allocates at once.
func bounded(t *testing.T, f func() error) error {
	t.Helper()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	done, peak := make(chan error, 1), uint64(0)
	go func() { done <- f() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
			if peak > 512<<20 {
				t.Errorf("it held %d MiB", peak>>20)
			}
			return err
		case <-tick.C:
			runtime.ReadMemStats(&after)
			if after.HeapAlloc > before.HeapAlloc {
				peak = max(peak, after.HeapAlloc-before.HeapAlloc)
			}
			if time.Since(began) > time.Minute || peak > 4<<30 {
				t.Fatalf("it goes on after %s, with %d MiB", time.Since(began), peak>>20)
			}
		}
	}
}

func TestAPipelineIsReadWithinBounds(t *testing.T) {
	list := func(n int, item func(i int) string) string {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(item(i))
		}
		return b.String()
	}
	many := func(n int, format string) string {
		return list(n, func(i int) string { return strings.ReplaceAll(format, "%d", fmt.Sprint(i)) })
	}
	lock := func(stages string) string { return "schema: '2.0'\nstages: {" + stages + "}\n" }
	one := func(stage string) string {
		return stage + ": {cmd: x, outs: [{path: m, hash: md5, md5: " + emptyMD5 + ", size: 0}]}"
	}
	items := list(20_000, func(i int) string { return one(fmt.Sprintf("\"s@%d\"", i)) })
	for name, c := range map[string]struct{ yaml, params, lock string }{
		"aliases of a mapping of outputs": {yaml: "o: &o {" + many(20_000, "o%d: {}") + "}\nstages: {s: {outs: [" + many(20_000, "*o") + "]}}", lock: lock(one("s"))},
		"a long value many times over":    {yaml: "vars: [{x: " + strings.Repeat("y", 500_000) + "}]\nstages: {s: {outs: [\"" + strings.Repeat("${x}", 100_000) + "\"]}}", lock: lock(one("s"))},
		"one list for every item":         {yaml: "stages: {s: {foreach: [" + many(20_000, "{a: %d}") + "], do: {outs: [\"m${item.a}\", m]}}}", lock: lock(items)},
		"outputs for every item":          {yaml: "stages: {s: {foreach: 20000, do: {outs: [" + many(5_000, "o%d") + "]}}}", lock: lock(items)},
		"patterns for every item":         {yaml: "stages: {s: {foreach: 20000, do: {outs: [" + many(900, "\"${no}%d${no}\"") + "]}}}", lock: lock(items)},
		"long patterns":                   {yaml: "stages: {s: {outs: [" + many(500, "\"${no}%d"+strings.Repeat("(", 4000)+"\"") + "]}}", lock: lock(one("s"))},
		"values of one length":            {yaml: "stages: {s: {matrix: {" + list(300, func(i int) string { return fmt.Sprintf("k%d: [a, a-a, a-a-a, b]", i) }) + "}, outs: [\"m${item.k0}\"]}}", lock: lock(one("\"s@" + strings.Repeat("a-", 20_000) + "c\""))},
		"a matrix many times over":        {yaml: "stages: {s: {matrix: {" + list(50, func(i int) string { return fmt.Sprintf("k%d: [a, a-a, b]", i) }) + "}, outs: [" + many(20_000, "\"m%d${item.k0}\"") + "]}}", lock: lock(one("\"s@" + strings.Repeat("a-", 120) + "c\""))},
		"many stages":                     {yaml: "stages: {" + many(40_000, "s%d: {outs: [m]}") + "}", lock: lock(list(40_000, func(i int) string { return one(fmt.Sprintf("s%d", i)) }))},
		"keys of parameters":              {yaml: "stages: {s: {outs: [" + many(20_000, "\"m%d${z}\"") + "]}}", params: "{" + many(40_000, "p%d: 1") + ", z: 1}", lock: lock(one("s"))},
		"files of parameters":             {yaml: "stages: {s: {vars: [" + many(50_000, "f%d.yaml") + "], outs: [m]}}", lock: lock(one("s"))},
		"aliases of aliases":              {yaml: "a: &a [" + many(50_000, "m%d") + "]\nstages: {s: {outs: *a, metrics: *a, plots: *a}}", lock: lock(one("s"))},
	} {
		t.Run(name, func(t *testing.T) {
			err := bounded(t, func() error {
				_, err := LoadLock("p/dvc.lock", func(name string) ([]byte, error) {
					if b := map[string]string{"p/dvc.lock": c.lock, "p/dvc.yaml": c.yaml, "p/params.yaml": c.params}[name]; b != "" {
						return []byte(b), nil
					}
					return nil, fs.ErrNotExist
				})
				return err
			})
			if err != nil && len(err.Error()) > 1000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

func TestIgnorePatternsAreBounded(t *testing.T) {
	deep := strings.Repeat("a/", 2000) + "b"
	for name, text := range map[string]string{
		"stars":             strings.Repeat("a*", 2000) + "b",
		"folders":           strings.Repeat("**/a*/", 600) + "b",
		"one long line":     strings.Repeat("[a-z]*?", 500_000),
		"many lines":        strings.Repeat("**/x*y*z*\n", 300_000),
		"brackets":          strings.Repeat("[", 1_000_000),
		"nots":              strings.Repeat("!/\n", 300_000),
		"sets":              strings.Repeat("[\u0001-\U0010FFFF]", 100_000),
		"question marks":    strings.Repeat("?", 1_000_000),
		"escapes":           strings.Repeat("\\*", 500_000),
		"slashes":           strings.Repeat("/", 1_000_000),
		"crossing in a row": strings.Repeat("**/", 300_000),
		"stars in names":    strings.Repeat(strings.Repeat("*a", 60)+"*x\n", 500),
		"stars in folders":  strings.Repeat(strings.Repeat("**/*b*/", 60)+"x\n", 150),
		"sets in names":     strings.Repeat(strings.Repeat("[ab]*", 180)+"x\n", 70),
		"slashes in sets":   strings.Repeat(strings.Repeat("[!b]*", 190)+"x\n", 4),
	} {
		t.Run(name, func(t *testing.T) {
			err := bounded(t, func() error {
				g := &Ignore{}
				if err := g.Add("some/folder", []byte(text)); err != nil {
					return err
				}
				for i := range 3 {
					g.One("some/folder/"+deep, false)
					g.One("some/folder/"+strings.Repeat(strings.Repeat("ab", 120)+"/", 15)+strconv.Itoa(i), false)
				}
				return nil
			})
			if err != nil && len(err.Error()) > 1000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

func TestManyPatternsOfManyFilesAreSoonAsked(t *testing.T) {
	var text strings.Builder
	for i := range 9000 {
		fmt.Fprintf(&text, "name%d.csv\n", i)
	}
	for i := range 900 {
		fmt.Fprintf(&text, "*.tmp%d\n/data/*/old%d/\n", i, i)
	}
	g := &Ignore{}
	if err := g.Add(".", []byte(text.String()[:len(text.String())-1])); err == nil {
		t.Fatal("there is no bound")
	}
	g = &Ignore{}
	if err := g.Add(".", []byte(strings.ReplaceAll(text.String(), "name8", "# "))); err != nil {
		t.Fatal(err)
	}
	err := bounded(t, func() error {
		ignored := 0
		for i := range 20_000 {
			if g.One(fmt.Sprintf("data/raw/2026/name%d.csv", i), false) {
				ignored++
			}
		}
		if want := 9000 - 1111; ignored != want {
			return fmt.Errorf("%d are ignored, and %d patterns name one each", ignored, want)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
