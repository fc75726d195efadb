// Rows of docs/benchmarks.md: the size of the program, the first passes of a controller, and a plan beside dvc status.

package main

import (
	"bytes"
	"cmp"
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/port/porttest/beside"
)

// controllerRow is a controller of many repositories on this machine, each of which has a pin to sign, until all were passed once.
func controllerRow(b *testing.B, program string) {
	n := beside.Size(100)
	ours := beside.Side{Name: "vishwa", Goals: map[string]float64{"wall-s": 6, "peak-MiB": 150}, Run: func() beside.Cost {
		_, cost := passAll(b, program, n)
		return cost
	}}
	beside.Compare(b, beside.Case{Work: fmt.Sprintf("first passes of %d local repositories", n), Ours: ours})
}

// stagesRow plans where nothing is to be done, next to dvc status of as many stages, each of which copies a file.
func stagesRow(b *testing.B, program string) {
	git, dvc := beside.Program(b, "git"), beside.Program(b, "dvc")
	saysItIs(b, dvc, "--version")
	n := beside.Size(1_000)
	s := newEstate(b, program, benchDir(b, fmt.Sprint("plan-", n)), n)
	theirs := newPlace(program, b.TempDir())
	var stages strings.Builder
	stages.WriteString("stages:\n")
	for i := range n {
		fmt.Fprintf(&stages, "  s%[1]d: {cmd: cp in/%[1]d out/%[1]d, deps: [in/%[1]d], outs: [out/%[1]d]}\n", i)
		for _, dir := range []string{"in", "out"} {
			theirs.write(b, fmt.Sprintf("%s/%d", dir, i), fmt.Sprintln("of stage", i))
		}
	}
	theirs.write(b, "dvc.yaml", stages.String())
	theirs.run(b, git, "init", "-q", "-b", "main")
	theirs.run(b, dvc, "init", "-q")
	theirs.run(b, dvc, "commit", "-q", "-f")
	status := theirs.command(b, dvc, "status")
	if out, _ := status.Run(); !strings.Contains(out, "up to date") {
		b.Fatalf("dvc status says\n%s", out[:min(len(out), 2000)])
	}
	beside.Compare(b, beside.Case{
		Work: fmt.Sprintf("a look at %d that finds nothing to do", n), Ours: s.command(b, program, "plan").Side("vishwa, declarations"), Others: []beside.Side{status.Side("dvc status, stages")},
	})
}

// binaryRow is how large the program is, by section, and of its code by module. The tables of functions and the types grow with the code.
func binaryRow(b *testing.B, _ string) {
	dir := b.TempDir()
	build := func(name, flags string) string {
		file := filepath.Join(dir, name)
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", flags, "-o", file, ".")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("build: %v\n%s", err, out)
		}
		return file
	}
	stripped := build("stripped", "-s -w")
	info, err := os.Stat(stripped)
	if err != nil {
		b.Fatal(err)
	}
	sections, err := elf.Open(stripped)
	if err != nil {
		b.Fatalf("sections are read of programs for Linux: %v", err)
	}
	defer sections.Close()
	report := func(name string, bytes int64, goal float64) {
		b.Run(strings.NewReplacer("_", "__", " ", "_", "/", "\u2215").Replace(name), func(b *testing.B) {
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(bytes)/(1<<20), "size-MiB")
			if goal > 0 {
				b.ReportMetric(goal, "size-MiB-goal")
			}
		})
	}
	report("the program without symbols", info.Size(), 80)
	for _, part := range []struct{ section, name string }{{".text", "code"}, {".gopclntab", "tables of functions"}, {".rodata", "types and constants"}} {
		if s := sections.Section(part.section); s != nil {
			report("of it "+part.name, int64(s.FileSize), 0)
		}
	}
	held := modulesOf(b, build("whole", "-w"))
	for _, name := range slices.SortedFunc(maps.Keys(held), func(a, b string) int { return cmp.Compare(held[b], held[a]) }) {
		if held[name] >= 1<<19 {
			report("of its code "+name, held[name], 0)
		}
	}
}

// modulesOf are the bytes of a program's functions by the module that they are of.
func modulesOf(b *testing.B, program string) map[string]int64 {
	about, err := buildinfo.ReadFile(program)
	if err != nil {
		b.Fatal(err)
	}
	out, err := exec.Command("go", "tool", "nm", "-size", program).Output()
	if err != nil {
		b.Fatalf("go tool nm: %v", err)
	}
	held := map[string]int64{}
	for line := range bytes.Lines(out) {
		fields := strings.Fields(string(line))
		if len(fields) < 4 || !strings.EqualFold(fields[2], "t") { // code: of data nm does not say what the file holds of it
			continue
		}
		size, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			continue
		}
		held[moduleOf(strings.ReplaceAll(strings.Join(fields[3:], " "), "%2e", "."), about)] += size
	}
	return held
}

// moduleOf is the module of a symbol.
func moduleOf(symbol string, about *buildinfo.BuildInfo) string {
	symbol = strings.TrimLeft(symbol, "*")
	for _, kind := range []string{"type:.eq.", "type:.hash.", "go:itab.", "type:"} {
		symbol = strings.TrimLeft(strings.TrimPrefix(symbol, kind), "*")
	}
	longest := ""
	for _, m := range about.Deps {
		if rest, ok := strings.CutPrefix(symbol, m.Path); ok && len(m.Path) > len(longest) && (rest == "" || strings.ContainsAny(rest[:1], "/.")) {
			longest = m.Path
		}
	}
	switch {
	case longest != "":
		return longest
	case strings.HasPrefix(symbol, about.Main.Path):
		return about.Main.Path
	}
	return "the runtime and the standard library"
}
