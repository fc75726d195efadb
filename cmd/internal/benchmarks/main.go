// Command benchmarks runs the rows of docs/benchmarks.md and writes the page's tables from what they reported. make bench calls it.
//
// What a row reports stands in docs/benchmarks/ROW.txt, in the format of Go's benchmarks, which benchstat reads too; each table of the
// page stands between two markers, and a test holds it against these files.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

const (
	page   = "docs/benchmarks.md"
	folder = "docs/benchmarks"
)

func main() {
	list := flag.Bool("list", false, "list the rows, and run none")
	kept := flag.Bool("kept", false, "run none, and write the tables anew from the results that are kept")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "usage: benchmarks [-list | -kept] [ROW or group]...\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	var err error
	switch {
	case *list:
		for _, r := range rows {
			fmt.Printf("%-20s %-12s %s\n", r.name, r.group, r.what)
		}
	case *kept:
		err = writePage(os.DirFS("."))
	default:
		err = runAll(flag.Args())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}

// chosen are the rows of these names and groups; without any, those of no group.
func chosen(names []string) ([]row, error) {
	if len(names) == 0 {
		names = []string{""}
	}
	var all []row
	for _, name := range names {
		found := slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return r.group != name && r.name != name })
		if len(found) == 0 {
			return nil, fmt.Errorf("there is no row %q: go run ./cmd/internal/benchmarks -list", name)
		}
		all = append(all, found...)
	}
	return all, nil
}

// runAll runs rows one after another; one that fails leaves its last results as they are, and the others run all the same.
func runAll(names []string) error {
	todo, err := chosen(names)
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "vishwa-benchmarks-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	trial := os.Getenv("VISHWA_BENCH_SCALE") != ""
	var failed []string
	for _, r := range todo {
		fmt.Fprintf(os.Stderr, "%s: %s\n", r.name, r.what)
		test, err := r.build(tmp)
		text := ""
		if err == nil {
			text, err = r.run(test, os.Stderr)
		}
		if err == nil {
			err = keep(r.name, text, trial)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", r.name, err)
			failed = append(failed, r.name)
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("not measured: %s", strings.Join(failed, ", "))
	}
	return nil
}

// keep writes a row's results to their file, and the page's tables anew; those of a trial, whose sizes are others, are shown alone.
func keep(name, text string, trial bool) error {
	if trial {
		made, err := table([]string{name}, map[string]string{name: text})
		if err == nil {
			_, err = fmt.Println(made)
		}
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, name+".txt"), []byte(text), 0o644); err != nil {
		return err
	}
	return writePage(os.DirFS("."))
}

// build compiles the tests of the row's package, once for all its rows.
func (r row) build(dir string) (string, error) {
	file := filepath.Join(dir, strings.ReplaceAll(strings.TrimPrefix(r.pkg, "./"), "/", "-"))
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	if out, err := exec.Command("go", "test", "-vet=off", "-c", "-o", file, r.pkg).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return file, nil
}

// ofResults are the lines that are kept of what go test prints: results, and their configuration.
var ofResults = lazyregexp.New(`^(Benchmark\S+\s+\d+\s.*|(goos|goarch|pkg|version-[-a-z0-9.]+): .*)$`)

// run has a package's tests run the row's benchmark, and returns the results with their head.
func (r row) run(test string, said io.Writer) (string, error) {
	cmd := exec.Command(test, "-test.run", "^$", "-test.bench", r.bench, "-test.benchtime", r.times(), "-test.timeout", "3h")
	cmd.Dir, cmd.Stderr = r.pkg, said
	began, before := time.Now(), load()
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	var results []string
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimRight(line, "\n"); ofResults.MatchString(line) {
			results = append(results, line)
		}
	}
	if !slices.ContainsFunc(results, func(l string) bool { return strings.HasPrefix(l, "Benchmark") }) {
		return "", errors.New("the benchmark reports nothing:\n" + string(out))
	}
	head := []string{
		"date: " + began.UTC().Format(time.DateOnly),
		"commit: " + firstLine("git", "describe", "--tags", "--always", "--dirty"),
		"machine: " + machine(),
		fmt.Sprintf("load: %.1f before, %.1f after", before, load()),
		"go: " + strings.TrimPrefix(firstLine("go", "env", "GOVERSION"), "go"),
	}
	return strings.Join(append(head, results...), "\n") + "\n", nil
}

// firstLine is what a program prints, or nothing.
func firstLine(program string, args ...string) string {
	out, _ := exec.Command(program, args...).Output()
	return strings.TrimSpace(string(out))
}

// load is how many processes were at work on average in the last minute.
func load() float64 {
	raw, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(raw), " ")
	n, _ := strconv.ParseFloat(first, 64)
	return n
}

// machine is what the processor calls itself, how many cores of it there are, memory and the system.
func machine() string {
	field := func(file, key string) string {
		raw, _ := os.ReadFile(file)
		for line := range strings.Lines(string(raw)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == key {
				return strings.TrimSpace(value)
			}
		}
		return "unknown"
	}
	kib, _, _ := strings.Cut(field("/proc/meminfo", "MemTotal"), " ")
	n, _ := strconv.ParseFloat(kib, 64)
	return fmt.Sprintf("%s, %s cores, %.0f GiB, Linux %s", field("/proc/cpuinfo", "model name"), firstLine("nproc"), n/(1<<20), firstLine("uname", "-r"))
}
