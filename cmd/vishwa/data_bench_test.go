// The data plane beside those who do the same work on the same files: DVC, s5cmd, the programs that take sums, pandas and polars.

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/port/porttest/beside"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
)

// comparison is a folder that all sides work in, ours and theirs apart.
type comparison struct {
	b                 *testing.B
	program, dir      string
	env               []string
	ours, theirs, s5  string // folders
	endpoint, s5cmd   string // of a real MinIO; its client
	changes, transfer int    // so many files were changed; so many pushes were made
}

// newComparison works in VISHWA_BENCH_DIR where it is named, best in memory: disks slow down for minutes after deletions.
func newComparison(b *testing.B, program string) *comparison {
	b.Helper()
	dir, err := os.MkdirTemp(os.Getenv("VISHWA_BENCH_DIR"), "vishwa-bench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			b.Error(err)
		}
	})
	c := &comparison{b: b, program: program, dir: dir, ours: filepath.Join(dir, "ours"), theirs: filepath.Join(dir, "theirs")}
	c.env = append(os.Environ(), "HOME="+dir, "XDG_CACHE_HOME="+dir+"/cache", "XDG_CONFIG_HOME="+dir+"/config", "XDG_STATE_HOME="+dir+"/state", "DVC_SITE_CACHE_DIR="+dir+"/site",
		"DVC_NO_ANALYTICS=1", "AWS_ACCESS_KEY_ID=minioadmin", "AWS_SECRET_ACCESS_KEY=minioadmin", "AWS_REGION=us-east-1")
	return c
}

func (c *comparison) command(dir string, args ...string) beside.Command {
	return beside.Command{B: c.b, Dir: dir, Env: c.env, Args: args}
}

// side runs a command there, after the named things of the folder are gone.
func (c *comparison) side(name, dir string, gone []string, args ...string) beside.Side {
	s := c.command(dir, args...).Side(name)
	if len(gone) > 0 {
		s.Before = func() { c.remove(dir, gone...) }
	}
	return s
}

func (c *comparison) remove(dir string, names ...string) {
	for _, name := range names {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			c.b.Fatal(err)
		}
	}
}

// smallRow is of many files of about 1 KB.
func smallRow(b *testing.B, program string) {
	c := newComparison(b, program)
	dvc, git := beside.Program(b, "dvc"), beside.Program(b, "git")
	saysItIs(b, dvc, "--version")
	n := beside.Size(100_000)
	c.both(n, git, dvc)
	compare := func(work string, ours, theirs beside.Side, goals map[string]float64) {
		theirs.Goals = goals
		beside.Compare(b, beside.Case{Work: fmt.Sprintf("%s, %d files", work, n), Ours: ours, Others: []beside.Side{theirs}})
	}
	// What was remembered of files is gone with what was added: ../cache is ours, ../site theirs.
	anew := []string{".dvc/cache", ".dvc/tmp", "data.dvc", "../cache", "../site"}
	compare("add", c.side("vishwa", c.ours, anew, program, "data", "add", "data"), c.side("dvc", c.theirs, anew, dvc, "add", "-q", "data"), map[string]float64{"wall-ratio": 10, "cpu-ratio": 6})
	// Both have added last when the turns end, whoever was the last of them.
	c.command(c.ours, program, "data", "add", "data").Run()
	c.command(c.theirs, dvc, "add", "-q", "data").Run()
	compare("status, nothing changed", c.side("vishwa", c.ours, nil, program, "data", "status"), c.side("dvc", c.theirs, nil, dvc, "status", "-q"), map[string]float64{"wall-ratio": 10})
	compare("one file changed, add again", c.changed("vishwa", c.ours, program, "data", "add", "data"), c.changed("dvc", c.theirs, dvc, "add", "-q", "data"), map[string]float64{"wall-ratio": 10})
	compare("checkout from the cache", c.side("vishwa", c.ours, []string{"data"}, program, "data", "checkout"), c.side("dvc", c.theirs, []string{"data"}, dvc, "checkout", "-q"), map[string]float64{"wall-ratio": 6})
}

// both fills a folder for each, as a repository of Git and of its own.
func (c *comparison) both(n int, git, dvc string) {
	for _, d := range []string{c.ours, c.theirs} {
		c.fill(filepath.Join(d, "data"), n)
		c.command(d, git, "init", "-q").Run()
	}
	c.command(c.ours, c.program, "data", "init").Run()
	c.command(c.theirs, dvc, "init", "-q").Run()
}

// changed runs a command each time after one file was changed.
func (c *comparison) changed(name, dir string, args ...string) beside.Side {
	s := c.command(dir, args...).Side(name)
	s.Before = func() {
		c.changes++
		if err := os.WriteFile(filepath.Join(dir, "data/000/0.bin"), fmt.Appendf(nil, "other %d\n", c.changes), 0o644); err != nil {
			c.b.Fatal(err)
		}
	}
	return s
}

// transferRow pushes and pulls them, to and from a real MinIO on the same machine.
func transferRow(b *testing.B, program string) {
	c := newComparison(b, program)
	dvc, git := beside.Program(b, "dvc"), beside.Program(b, "git")
	c.s5cmd, c.endpoint = beside.Program(b, "s5cmd"), peers.MinIO(b)
	saysItIs(b, dvc, "--version")
	saysItIs(b, c.s5cmd, "version")
	n := beside.Size(20_000)
	c.both(n, git, dvc)
	c.s5 = filepath.Join(c.dir, "plain")
	c.command(c.ours, program, "data", "add", "data").Run()
	c.command(c.theirs, dvc, "add", "-q", "data").Run()
	for _, line := range [][]string{{program, "data"}, {dvc}} {
		dir := map[string]string{program: c.ours, dvc: c.theirs}[line[0]]
		c.command(dir, append(slices.Clone(line), "remote", "add", "-d", "store", "s3://none/p")...).Run()
		c.command(dir, append(slices.Clone(line), "remote", "modify", "store", "endpointurl", c.endpoint)...).Run()
	}
	push := []beside.Side{
		c.toEmpty("vishwa", c.ours, []string{program, "data", "remote", "modify", "store", "url"}, program, "data", "push"),
		c.toEmpty("dvc", c.theirs, []string{dvc, "remote", "modify", "store", "url"}, dvc, "push", "-q"),
		c.toEmpty("s5cmd", c.ours, nil, c.s5cmd, "--endpoint-url", c.endpoint, "cp", "data/"),
	}
	push[1].Goals, push[2].Goals = map[string]float64{"wall-ratio": 10}, map[string]float64{"wall-ratio": 1}
	beside.Compare(b, beside.Case{Work: fmt.Sprintf("push, %d files", n), Ours: push[0], Others: push[1:]})
	from := fmt.Sprintf("s3://plain-%d/p/*", c.transfer)
	c.command(c.dir, c.s5cmd, "--endpoint-url", c.endpoint, "mb", fmt.Sprintf("s3://plain-%d", c.transfer)).Run()
	c.command(c.ours, c.s5cmd, "--endpoint-url", c.endpoint, "cp", "data/", fmt.Sprintf("s3://plain-%d/p/", c.transfer)).Run()
	pull := []beside.Side{
		c.side("vishwa", c.ours, []string{"data", ".dvc/cache"}, program, "data", "pull"),
		c.side("dvc", c.theirs, []string{"data", ".dvc/cache"}, dvc, "pull", "-q"),
		c.side("s5cmd", c.dir, []string{"plain"}, c.s5cmd, "--endpoint-url", c.endpoint, "cp", from, c.s5+"/"),
	}
	pull[1].Goals, pull[2].Goals = map[string]float64{"wall-ratio": 10}, map[string]float64{"wall-ratio": 1}
	beside.Compare(b, beside.Case{Work: fmt.Sprintf("pull, %d files", n), Ours: pull[0], Others: pull[1:]})
}

// toEmpty runs a command each time to a bucket that is new: as configured by another command, or named as its last argument.
func (c *comparison) toEmpty(name, dir string, configure []string, args ...string) beside.Side {
	bucket := ""
	return beside.Side{Name: name, Before: func() {
		c.transfer++
		bucket = fmt.Sprintf("s3://%s-%d", name, c.transfer)
		c.command(c.dir, c.s5cmd, "--endpoint-url", c.endpoint, "mb", bucket).Run()
		if configure != nil {
			c.command(dir, append(slices.Clone(configure), bucket+"/p")...).Run()
		}
	}, Run: func() (cost beside.Cost) {
		line := slices.Clone(args)
		if configure == nil {
			line = append(line, bucket+"/p/")
		}
		_, cost = c.command(dir, line...).Run()
		return cost
	}}
}

func (c *comparison) fill(dir string, n int) {
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

// noise writes a file that nothing makes smaller.
func (c *comparison) noise(file string, size int) {
	c.write(file, func(w *bufio.Writer) {
		r, b := rand.NewChaCha8([32]byte{}), make([]byte, 1<<20)
		for left := size; left > 0; left -= len(b) {
			_, _ = r.Read(b)
			_, _ = w.Write(b[:min(left, len(b))])
		}
	})
}

// largeRow adds one file: its MD5 as DVC has it, its SHA-256, and a copy; beside the programs that take one sum of it.
func largeRow(b *testing.B, program string) {
	c := newComparison(b, program)
	git, md5sum, openssl := beside.Program(b, "git"), beside.Program(b, "md5sum"), beside.Program(b, "openssl")
	saysItIs(b, md5sum, "--version")
	saysItIs(b, openssl, "version")
	size := beside.Size(3_000_000_000)
	c.noise(filepath.Join(c.ours, "large.bin"), size)
	c.command(c.ours, git, "init", "-q").Run()
	c.command(c.ours, program, "data", "init").Run()
	md5, sha := c.side("md5sum", c.ours, nil, md5sum, "large.bin"), c.side("openssl sha256", c.ours, nil, openssl, "dgst", "-sha256", "large.bin")
	md5.Goals = map[string]float64{"wall-ratio": 0.97}
	beside.Compare(b, beside.Case{Work: fmt.Sprintf("add one file of %d MB", size/1e6), Others: []beside.Side{md5, sha},
		Ours: c.side("vishwa", c.ours, []string{".dvc/cache", ".dvc/tmp", "large.bin.dvc", "../cache"}, program, "data", "add", "large.bin")})
}

// frames are the same questions as a profile answers, put to pandas and to polars.
var frames = map[string]string{
	"pandas": `
import pandas, sys
d = pandas.read_csv(sys.argv[1])
print(d.describe(include='all').shape, d.nunique().sum(), sum(len(d[c].value_counts().head(10)) for c in d))`,
	"polars": `
import polars, sys
d = polars.read_csv(sys.argv[1])
print(d.describe().shape, sum(d[c].n_unique() for c in d.columns), sum(len(d[c].value_counts(sort=True).head(10)) for c in d.columns))`,
}

// profileRow profiles a table of mixed columns, and one of random numbers alone.
func profileRow(b *testing.B, program string) {
	c := newComparison(b, program)
	python := beside.Program(b, "frames")
	for name := range frames {
		version, _ := c.command(c.dir, python, "-c", "import "+name+"; print("+name+".__version__)").Run()
		beside.Says(name, version)
	}
	for _, table := range []struct {
		what string
		line func(w *bufio.Writer, r *rand.Rand, i int)
	}{
		{"mixed columns", func(w *bufio.Writer, r *rand.Rand, i int) {
			cities := []string{"Pune", "Oslo", "Lima", "Kyiv", "Accra", "Quito", "Bonn", "Tunis"}
			fmt.Fprintf(w, "%d,%04d-%02d-%02d,%s,%.2f,%.1f,%d,\"note, %d\",%t,u%d@example.org\n", i, 2000+i%25, 1+i%12, 1+i%28, cities[r.IntN(len(cities))],
				r.NormFloat64()*50000+300000, r.NormFloat64()*20+90, 1+r.IntN(9), r.IntN(1e6), r.IntN(2) == 0, r.IntN(1e7))
		}},
		{"random numbers", func(w *bufio.Writer, r *rand.Rand, _ int) {
			for range 8 {
				fmt.Fprintf(w, "%.8f,", r.NormFloat64())
			}
			fmt.Fprintf(w, "%d\n", r.IntN(1e9))
		}},
	} {
		file := filepath.Join(c.dir, "table", strings.ReplaceAll(table.what, " ", "-")+".csv")
		const header = "id,when,city,price,size,rooms,note,flag,email\n"
		size, most := 0, beside.Size(500_000_000)
		c.write(file, func(w *bufio.Writer) {
			r := rand.New(rand.NewPCG(1, 2))
			var row bytes.Buffer
			one := bufio.NewWriter(&row)
			_, _ = w.WriteString(header)
			for i := 0; size < most; i++ {
				row.Reset()
				table.line(one, r, i)
				_ = one.Flush()
				size += row.Len()
				_, _ = w.Write(row.Bytes())
			}
		})
		ours := c.side("vishwa", filepath.Dir(file), nil, program, "data", "profile", file)
		ours.Goals = map[string]float64{"peak-MiB": 64}
		pandas, polars := c.side("pandas", c.dir, nil, python, "-c", frames["pandas"], file), c.side("polars", c.dir, nil, python, "-c", frames["polars"], file)
		polars.Goals = map[string]float64{"cpu-ratio": 1.2}
		beside.Compare(b, beside.Case{Work: fmt.Sprintf("profile a CSV of %d MB, %s", size/1e6, table.what), Ours: ours, Others: []beside.Side{pandas, polars}})
	}
}

func (c *comparison) write(file string, fill func(w *bufio.Writer)) {
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
