// The data plane beside those who do the same work: DVC, s5cmd, the sum programs and
// pandas, one after the other on the same files. make bench-data runs it.

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/built"
)

// beside is one comparison: a folder for each program, and what was measured.
type beside struct {
	b   *testing.B
	dir string
	env []string
}

// BenchmarkBeside needs VISHWA_BENCH_FILES, the number of small files; VISHWA_BENCH_DIR
// is the folder to work in, best in memory: disks slow down for minutes after deletions.
// VISHWA_BENCH_BYTES is the size of the large file.
func BenchmarkBeside(b *testing.B) {
	n, err := strconv.Atoi(os.Getenv("VISHWA_BENCH_FILES"))
	if err != nil {
		b.Skip("set VISHWA_BENCH_FILES: make bench-data")
	}
	dir, err := os.MkdirTemp(os.Getenv("VISHWA_BENCH_DIR"), "vishwa-bench-")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	tools := os.Getenv("VISHWA_TOOLS")
	c := &beside{b: b, dir: dir, env: append(os.Environ(), "HOME="+dir, "XDG_CACHE_HOME="+dir+"/cache", "XDG_CONFIG_HOME="+dir+"/config", "DVC_NO_ANALYTICS=1",
		"AWS_ACCESS_KEY_ID=minioadmin", "AWS_SECRET_ACCESS_KEY=minioadmin", "AWS_REGION=us-east-1", "PATH="+dir+":"+tools+":"+os.Getenv("PATH"))}
	built.Program(b, "vishwa", dir)
	fmt.Printf("\n| work | others | Vishwa | ratio | Vishwa's memory |\n|---|---|---|---|---|\n")
	c.small(n)
	c.large()
	c.rows()
}

// run is a program's time in seconds and its peak memory in bytes.
func (c *beside) run(dir string, args ...string) (float64, int64) {
	c.b.Helper()
	program, err := exec.LookPath(filepath.Join(c.dir, args[0]))
	if err != nil {
		for _, at := range filepath.SplitList(os.Getenv("VISHWA_TOOLS") + ":" + os.Getenv("PATH")) {
			if program, err = exec.LookPath(filepath.Join(at, args[0])); err == nil {
				break
			}
		}
	}
	cmd := exec.Command(program, args[1:]...)
	cmd.Dir, cmd.Env = dir, c.env
	var said bytes.Buffer
	cmd.Stderr = &said
	began := time.Now()
	if err := cmd.Run(); err != nil {
		c.b.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, said.Bytes())
	}
	return time.Since(began).Seconds(), cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
}

// row tells a comparison; other may be of several programs.
func (c *beside) row(work string, ours float64, memory int64, others map[string]float64, against string) {
	var all []string
	for name, t := range others {
		all = append(all, fmt.Sprintf("%s %.2f s", name, t))
	}
	fmt.Printf("| %s | %s | %.2f s | %.1f x %s | %d MB |\n", work, strings.Join(all, ", "), ours, others[against]/ours, against, memory>>20)
	c.b.ReportMetric(others[against]/ours, "x-"+strings.ReplaceAll(work, " ", "-"))
}

// small compares the work on n files of about 1 KB.
func (c *beside) small(n int) {
	ours, theirs := filepath.Join(c.dir, "ours"), filepath.Join(c.dir, "theirs")
	for _, d := range []string{ours, theirs} {
		c.fill(filepath.Join(d, "data"), n)
		c.run(d, "git", "init", "-q")
	}
	c.run(ours, "vishwa", "data", "init")
	c.run(theirs, "dvc", "init", "-q")
	both := func(work string, before func(dir string), us, them []string) {
		before(theirs)
		other, _ := c.run(theirs, append([]string{"dvc"}, them...)...)
		before(ours)
		mine, memory := c.run(ours, append([]string{"vishwa", "data"}, us...)...)
		c.row(fmt.Sprintf("%s, %d files", work, n), mine, memory, map[string]float64{"dvc": other}, "dvc")
	}
	nothing := func(string) {}
	remove := func(names ...string) func(string) {
		return func(dir string) {
			for _, name := range names {
				if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
					c.b.Fatal(err)
				}
			}
		}
	}
	both("add", nothing, []string{"add", "data"}, []string{"add", "-q", "data"})
	both("status", nothing, []string{"status"}, []string{"status", "-q"})
	both("add, one changed", func(dir string) {
		if err := os.WriteFile(filepath.Join(dir, "data/000/5.bin"), []byte("other\n"), 0o644); err != nil {
			c.b.Fatal(err)
		}
	}, []string{"add", "data"}, []string{"add", "-q", "data"})
	both("checkout", remove("data"), []string{"checkout"}, []string{"checkout", "-q"})
	c.transfer(n, ours, theirs, remove("data", ".dvc/cache"))
	remove("ours", "theirs")(c.dir)
}

// transfer pushes and pulls them, against MinIO on this machine.
func (c *beside) transfer(n int, ours, theirs string, empty func(dir string)) {
	endpoint := porttest.MinIO(c.b)
	for dir, program := range map[string][]string{ours: {"vishwa", "data"}, theirs: {"dvc"}} {
		bucket := "s3://" + filepath.Base(dir)
		c.run(c.dir, "s5cmd", "--endpoint-url", endpoint, "mb", bucket)
		c.run(dir, append(program, "remote", "add", "-d", "store", bucket+"/p")...)
		c.run(dir, append(program, "remote", "modify", "store", "endpointurl", endpoint)...)
	}
	c.run(c.dir, "s5cmd", "--endpoint-url", endpoint, "mb", "s3://plain")
	dvc, _ := c.run(theirs, "dvc", "push", "-q")
	mine, memory := c.run(ours, "vishwa", "data", "push")
	s5, _ := c.run(ours, "s5cmd", "--endpoint-url", endpoint, "cp", "data/", "s3://plain/p/")
	c.row(fmt.Sprintf("push, %d files", n), mine, memory, map[string]float64{"dvc": dvc, "s5cmd": s5}, "s5cmd")
	empty(theirs)
	dvc, _ = c.run(theirs, "dvc", "pull", "-q")
	empty(ours)
	mine, memory = c.run(ours, "vishwa", "data", "pull")
	s5, _ = c.run(c.dir, "s5cmd", "--endpoint-url", endpoint, "cp", "s3://plain/p/*", c.dir+"/plain/")
	c.row(fmt.Sprintf("pull, %d files", n), mine, memory, map[string]float64{"dvc": dvc, "s5cmd": s5}, "s5cmd")
	empty(theirs)
	if err := os.RemoveAll(c.dir + "/plain"); err != nil {
		c.b.Fatal(err)
	}
}

func (c *beside) fill(dir string, n int) {
	for i := range n {
		d := filepath.Join(dir, fmt.Sprintf("%03d", i/1000))
		if i%1000 == 0 {
			if err := os.MkdirAll(d, 0o755); err != nil {
				c.b.Fatal(err)
			}
		}
		text := bytes.Repeat(fmt.Appendf(nil, "%d-", i), 1024/len(fmt.Sprint(i, "-")))
		if err := os.WriteFile(filepath.Join(d, fmt.Sprintf("%d.bin", i)), text, 0o644); err != nil {
			c.b.Fatal(err)
		}
	}
}

// large adds one file, beside the programs that take one sum of it.
func (c *beside) large() {
	size, err := strconv.ParseInt(os.Getenv("VISHWA_BENCH_BYTES"), 10, 64)
	if err != nil {
		size = 5_000_000_000
	}
	dir := filepath.Join(c.dir, "large")
	c.write(filepath.Join(dir, "large.bin"), func(w *bufio.Writer) {
		r, b := rand.NewChaCha8([32]byte{}), make([]byte, 1<<20)
		for left := size; left > 0; left -= int64(len(b)) {
			_, _ = r.Read(b)
			_, _ = w.Write(b[:min(left, int64(len(b)))])
		}
	})
	c.run(dir, "git", "init", "-q")
	c.run(dir, "vishwa", "data", "init")
	md5, _ := c.run(dir, "md5sum", "large.bin")
	sha, _ := c.run(dir, "sha256sum", "large.bin")
	mine, memory := c.run(dir, "vishwa", "data", "add", "large.bin")
	against := "sha256sum"
	if md5 > sha {
		against = "md5sum"
	}
	c.row(fmt.Sprintf("add, one file of %d MB", size/1e6), mine, memory, map[string]float64{"md5sum": md5, "sha256sum": sha}, against)
	if err := os.RemoveAll(dir); err != nil {
		c.b.Fatal(err)
	}
}

// rows profiles a table of a fifth of the large file's size, beside pandas.
func (c *beside) rows() {
	file := filepath.Join(c.dir, "table", "table.csv")
	const lines = 12_000_000
	c.write(file, func(w *bufio.Writer) {
		r := rand.New(rand.NewPCG(1, 2))
		cities := []string{"Pune", "Oslo", "Lima", "Kyiv", "Accra", "Quito", "Bonn", "Tunis"}
		_, _ = w.WriteString("id,when,city,price,size,rooms,note,flag,email\n")
		for i := range lines {
			fmt.Fprintf(w, "%d,%04d-%02d-%02d,%s,%.2f,%.1f,%d,\"note, %d\",%t,u%d@example.org\n", i, 2000+i%25, 1+i%12, 1+i%28, cities[r.IntN(len(cities))],
				r.NormFloat64()*50000+300000, r.NormFloat64()*20+90, 1+r.IntN(9), r.IntN(1e6), r.IntN(2) == 0, r.IntN(1e7))
		}
	})
	mine, memory := c.run(filepath.Dir(file), "vishwa", "data", "profile", file)
	const script = "import pandas, sys; print(pandas.read_csv(sys.argv[1]).describe(include='all').shape)"
	python := filepath.Join(os.Getenv("VISHWA_TOOLS"), "..", "dvc", "bin", "python")
	began := time.Now()
	if out, err := exec.Command(python, "-c", script, file).CombinedOutput(); err != nil {
		c.b.Fatalf("pandas: %v\n%s", err, out)
	}
	st, err := os.Stat(file)
	if err != nil {
		c.b.Fatal(err)
	}
	c.row(fmt.Sprintf("profile of a CSV of %d MB", st.Size()/1e6), mine, memory, map[string]float64{"pandas": time.Since(began).Seconds()}, "pandas")
}

func (c *beside) write(file string, fill func(w *bufio.Writer)) {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		c.b.Fatal(err)
	}
	f, err := os.Create(file)
	if err != nil {
		c.b.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	fill(w)
	if err := w.Flush(); err != nil {
		c.b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		c.b.Fatal(err)
	}
}
