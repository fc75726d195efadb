// What commands cost, counted and not timed: allocations, reads and processes of Git, held against what they cost when
// testdata/costs.json was written. make bench-guard runs it; with -update it writes the file anew.

package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	guardVariable  = "VISHWA_BENCH_GUARD"  // set by make bench-guard
	growthVariable = "VISHWA_BENCH_GROWTH" // set by make bench-growth: more of everything than CI takes
	costsVariable  = "VISHWA_TEST_COSTS"   // the file that a program under test adds its costs to
	costsFile      = "testdata/costs.json"
	tolerance      = 0.05
)

var update = flag.Bool("update", false, "write "+costsFile+" anew")

// costs are what a command took.
type costs struct {
	Allocations uint64 `json:"allocations"` // in the program itself, from its start
	Bytes       uint64 `json:"bytes"`       // of these
	Reads       uint64 `json:"reads"`       // calls of the kernel, in the program itself
	Git         uint64 `json:"git"`         // processes of Git
}

func (c costs) named() map[string]uint64 {
	return map[string]uint64{"allocations": c.Allocations, "bytes": c.Bytes, "reads": c.Reads, "processes of Git": c.Git}
}

// tellCosts adds what this program took to the file that whoever counts has named.
func tellCosts() {
	path := os.Getenv(costsVariable)
	if path == "" {
		return
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	c := costs{Allocations: m.Mallocs, Bytes: m.TotalAlloc}
	io, _ := os.ReadFile("/proc/self/io")
	for line := range strings.Lines(string(io)) {
		if n, ok := strings.CutPrefix(line, "syscr: "); ok {
			c.Reads, _ = strconv.ParseUint(strings.TrimSpace(n), 10, 64)
		}
	}
	raw, err := json.Marshal(c)
	if err == nil {
		err = os.WriteFile(path, raw, 0o600)
	}
	if err != nil {
		panic(err)
	}
}

// guardedPlace is a repository in which commands are counted.
type guardedPlace struct {
	t   *testing.T
	dir string
	env []string
}

func newGuardedPlace(t *testing.T, files map[string]string) *guardedPlace {
	t.Helper()
	base := t.TempDir()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal("git is not installed: apt-get install git")
	}
	bin := filepath.Join(base, "bin")
	counting := fmt.Sprintf("#!/bin/sh\necho >> '%s'\nexec '%s' \"$@\"\n", filepath.Join(base, "git.log"), git)
	if err := write(filepath.Join(bin, "git"), []byte(counting), 0o755); err != nil {
		t.Fatal(err)
	}
	p := &guardedPlace{t, filepath.Join(base, "r"), []string{
		"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + base, "VISHWA_KEYS=" + quickKeys(t), "VISHWA_KEY_PASSWORD=" + password,
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GOMAXPROCS=2", "GOGC=off",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com",
	}}
	for name, text := range files {
		if err := write(filepath.Join(p.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p.run("git", "init", "-q", "-b", "main")
	p.run("vishwa", "keys", "trust")
	p.run("git", "add", ".")
	p.run("git", "commit", "-qm", "Begin")
	return p
}

func (p *guardedPlace) run(program string, args ...string) {
	p.t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = p.dir, p.env
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
}

// cost runs vishwa and tells what it took.
func (p *guardedPlace) cost(args ...string) (c costs) {
	p.t.Helper()
	told, asked := filepath.Join(p.dir, "..", "costs.json"), filepath.Join(p.dir, "..", "git.log")
	_ = os.Remove(asked)
	was := p.env
	p.env = append(slices.Clone(was), costsVariable+"="+told)
	p.run("vishwa", args...)
	p.env = was
	raw, err := os.ReadFile(told)
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	git, _ := os.ReadFile(asked)
	c.Git = uint64(bytes.Count(git, []byte("\n")))
	return c
}

// datasets are the files of a project of n datasets.
func datasets(n int) map[string]string {
	files := map[string]string{"vishwa.yaml": "apiVersion: vishwa.dev/v1alpha1\nkind: Project\nmetadata: {name: guarded}\nspec: {policy: {paths: [policy]}}\n",
		"policy/team.rego": "package team\n\nwarn contains \"no team\" if input.metadata.name == \"nobody\"\n"}
	each := (n + 9_999) / 10_000 // that many files are read at most
	for i := range n {
		name := fmt.Sprintf("vishwa/d%04d.yaml", i/each)
		if files[name] != "" {
			files[name] += "---\n"
		}
		files[name] += fmt.Sprintf("apiVersion: vishwa.dev/v1alpha1\nkind: Dataset\nmetadata: {name: d%d}\nspec: {source: {path: data/%d.csv}}\n", i, i)
		files[fmt.Sprintf("data/%d.csv", i)] = fmt.Sprintf("a,b\n%d,2\n", i)
	}
	return files
}

// candidates are the files of a project of one training with n of them.
func candidates(n int) map[string]string {
	files := datasets(1)
	var b strings.Builder
	b.WriteString("apiVersion: vishwa.dev/v1alpha1\nkind: Training\nmetadata: {name: t}\nspec:\n  run: [python3, t.py]\n  code: [t.py]\n  inputs: {d: dataset/d0}\n  candidates:\n")
	for i := range n {
		fmt.Fprintf(&b, "    c%d: {params: {n: %d}}\n", i, i)
	}
	files["vishwa/t.yaml"], files["t.py"] = b.String(), "pass\n"
	return files
}

func guarded(t *testing.T) {
	t.Helper()
	if os.Getenv(guardVariable) == "" {
		t.Skip("what commands cost is counted by make bench-guard: the race detector allocates otherwise")
	}
	if runtime.GOOS != "linux" {
		t.Skip("reads are counted by /proc")
	}
}

// Ten ways that people go often cost what they did, or a twentieth more at most.
func TestGuardedCosts(t *testing.T) {
	guarded(t)
	p := newGuardedPlace(t, datasets(30))
	got := map[string]costs{}
	for _, way := range []struct {
		name string
		args []string
	}{
		{"version", []string{"version"}},
		{"validate 30 datasets", []string{"validate"}},
		{"plan 30 pins", []string{"plan"}},
		{"apply 30 pins", []string{"apply", "--yes"}},
		{"", []string{"plan"}}, // what is folded and remembered, all that follow find
		{"apply nothing", []string{"apply", "--yes"}},
		{"plan nothing", []string{"plan"}},
		{"status", []string{"status"}},
		{"log", []string{"log"}},
		{"ledger verify 31 entries", []string{"ledger", "verify"}},
		{"policy check 30 datasets", []string{"policy", "check"}},
	} {
		if c := p.cost(way.args...); way.name != "" {
			got[way.name] = c
		}
	}
	if *update {
		raw, err := json.MarshalIndent(got, "", "  ")
		if err == nil {
			err = os.WriteFile(costsFile, append(raw, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	raw, err := os.ReadFile(costsFile)
	if err != nil {
		t.Fatal(err)
	}
	var base map[string]costs
	if err := json.Unmarshal(raw, &base); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		was, is := base[name].named(), got[name].named()
		for _, what := range slices.Sorted(maps.Keys(is)) {
			change := float64(is[what])/float64(max(was[what], 1)) - 1
			if is[what] == was[what] {
				change = 0
			}
			t.Logf("%-26s %-16s %10d, was %10d, %+.1f %%", name, what, is[what], was[what], 100*change)
			// A few reads are the machine's: how many processors there are, and where memory is bounded.
			if few := uint64(10); is[what] > was[what] && (was[what] == 0 || change > tolerance) && (what != "reads" || is[what] > was[what]+few) {
				t.Errorf("%s: %d %s, and %d when the baseline was written", name, is[what], what, was[what])
			}
			if change < -2*tolerance {
				t.Logf("%s takes fewer %s: write the baseline anew (make bench-guard UPDATE=-update)", name, what)
			}
		}
	}
}

// growing is work of which there can be more.
type growing struct {
	files  func(n int) map[string]string
	before []string // what is done first, once
	args   []string
	least  int // in CI, and four and sixteen times that
	large  int // by make bench-growth, and ten, a hundred and a thousand times that
}

// Four times the work costs four times, and ten times it ten times: exponents of at most 1.05, in what is counted beyond what any command
// costs. Bytes are not: room for what grows is doubled, in steps.
func TestGuardedGrowth(t *testing.T) {
	guarded(t)
	factor, steps := 4, 3
	if os.Getenv(growthVariable) != "" {
		factor, steps = 10, 4
	}
	for name, c := range map[string]growing{
		"validate datasets":   {files: datasets, args: []string{"validate"}, least: 25, large: 19},
		"plan datasets":       {files: datasets, args: []string{"plan"}, least: 25, large: 19},
		"judge datasets":      {files: datasets, args: []string{"policy", "check"}, least: 25, large: 19},
		"validate candidates": {files: candidates, args: []string{"validate"}, least: 200, large: 10},
		"plan candidates":     {files: candidates, args: []string{"plan"}, least: 200, large: 10},
		"verify entries":      {files: datasets, before: []string{"apply", "--yes"}, args: []string{"ledger", "verify"}, least: 10, large: 19},
		"plan a folder":       {files: folder, args: []string{"plan"}, least: 50, large: 1000},
	} {
		t.Run(name, func(t *testing.T) {
			first := c.least
			if steps > 3 {
				first = c.large
			}
			var took []map[string]uint64
			for i, n := 0, first; i < steps; i, n = i+1, n*factor {
				p := newGuardedPlace(t, c.files(n))
				if c.before != nil {
					p.run("vishwa", c.before...)
				}
				p.cost(c.args...) // what is remembered of files is there then
				took = append(took, p.cost(c.args...).named())
				delete(took[i], "bytes")
				t.Logf("%d: %v", n, took[i])
			}
			for what := range took[0] {
				for i := range steps - 2 {
					least := uint64(first) * uint64(math.Pow(float64(factor), float64(i)))
					grows(t, what, factor, least, took[i][what], took[i+1][what], took[i+2][what])
				}
			}
		})
	}
}

// grows holds what was counted of three sizes, each of which is factor times the one before, against the exponent.
func grows(t *testing.T, what string, factor int, least, a, b, c uint64) {
	t.Helper()
	first, second := float64(b)-float64(a), float64(c)-float64(b)
	if first < float64(least) { // less than one for every three or nine
		if second > float64(5*least) {
			t.Errorf("%s: %.0f more, and then %.0f more", what, first, second)
		}
		return
	}
	exponent := math.Log(second/first) / math.Log(float64(factor))
	t.Logf("%s: exponent %.3f (%v, %v, %v)", what, exponent, a, b, c)
	if exponent > 1.05 {
		t.Errorf("%s grow with the exponent %.3f", what, exponent)
	}
}

// folder are the files of a project of one dataset, a folder of n files.
func folder(n int) map[string]string {
	files := map[string]string{"vishwa.yaml": "apiVersion: vishwa.dev/v1alpha1\nkind: Project\nmetadata: {name: guarded}\nspec: {}\n",
		"vishwa/images.yaml": "apiVersion: vishwa.dev/v1alpha1\nkind: Dataset\nmetadata: {name: images}\nspec: {source: {path: data}}\n"}
	for i := range n {
		files[fmt.Sprintf("data/%d/%d.txt", i%max(10, n/1000), i)] = fmt.Sprintln(i)
	}
	return files
}

// A folder of which nothing has changed is looked at, and not read: how much is read is the same for ten times the files.
func TestGuardedFolderIsNotReadAgain(t *testing.T) {
	guarded(t)
	reads := func(n int) uint64 {
		p := newGuardedPlace(t, folder(n))
		p.run("vishwa", "apply", "--yes")
		p.cost("plan")
		return p.cost("plan").Reads
	}
	if few, many := reads(50), reads(500); many > few+100 { // the memory of them is one file
		t.Errorf("%d reads of 50 files, and %d of 500", few, many)
	}
}
