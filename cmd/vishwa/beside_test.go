// What commands take beside others that do the same work. cmd/internal/benchmarks runs each row of docs/benchmarks.md by its name.

package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/port/porttest/beside"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/built"
)

// BenchmarkBeside has a row each. VISHWA_BENCH_BIN is a folder that has the program already.
func BenchmarkBeside(b *testing.B) {
	for _, row := range []struct {
		name string
		run  func(b *testing.B, program string)
	}{
		{"version", versionRow}, {"candidates", candidatesRow}, {"plan", planRow}, {"policy", policyRow}, {"ledger-verify", ledgerRow}, {"fold", foldRow}, {"folder", folderRow},
		{"small-files", smallRow}, {"transfer", transferRow}, {"large-file", largeRow}, {"profile", profileRow}, {"model-apply", applyRow}, {"model-verify", verifyRow},
		{"controller", controllerRow}, {"stages", stagesRow}, {"binary", binaryRow}, {"trivial", trivialRow}, {"entry", entryRow},
	} {
		b.Run(row.name, func(b *testing.B) {
			program := filepath.Join(os.Getenv("VISHWA_BENCH_BIN"), "vishwa")
			if program == "vishwa" {
				program = built.Program(b, "vishwa", b.TempDir())
			}
			row.run(b, program)
		})
	}
}

// saysItIs prints what a program says that it is, or what Go knows of it where it was installed as a module.
func saysItIs(b *testing.B, program string, args ...string) {
	name := filepath.Base(program)
	if info, err := buildinfo.ReadFile(program); err == nil && strings.HasPrefix(info.Main.Version, "v") {
		beside.Says(name, info.Main.Version)
		return
	}
	out, err := exec.Command(program, args...).Output()
	if err != nil {
		b.Fatalf("%s %v: %v", program, args, err)
	}
	beside.Says(name, string(out))
}

func versionRow(b *testing.B, program string) {
	git, terraform := beside.Program(b, "git"), beside.Program(b, "terraform")
	saysItIs(b, git, "--version")
	saysItIs(b, terraform, "version")
	dir := b.TempDir()
	side := func(name string, args ...string) beside.Side {
		// CHECKPOINT_DISABLE: terraform asks its maker for a newer one, over the network.
		return beside.Command{B: b, Dir: dir, Env: []string{"HOME=" + dir, "CHECKPOINT_DISABLE=1"}, Args: args}.Side(name)
	}
	ours := side("vishwa", program, "version")
	ours.Goals = map[string]float64{"wall-s": 0.025, "peak-MiB": 25}
	beside.Compare(b, beside.Case{Work: "version", Ours: ours, Others: []beside.Side{side("terraform", terraform, "version"), side("git", git, "--version")}})
}

// candidatesRow is of one training of many candidates; what they take beyond a command's start grows as they do.
func candidatesRow(b *testing.B, program string) {
	var places []estate
	sizes := []int{beside.Size(200), beside.Size(2_000), beside.Size(10_000)}
	for _, n := range sizes {
		s := newPlace(program, b.TempDir())
		for name, text := range candidates(n) {
			s.write(b, name, text)
		}
		s.begin(b)
		places = append(places, s)
	}
	for _, verb := range []string{"validate", "plan"} {
		var growth beside.Growth
		for i, n := range sizes {
			ours := places[i].command(b, program, verb).Side("vishwa")
			ours.Goals = map[string]float64{}
			if n == 2_000 {
				ours.Goals["cpu-s"] = 1.5
			}
			if i > 0 {
				ours.Goals["exponent"] = 1.05
			}
			beside.Compare(b, beside.Case{Work: fmt.Sprintf("%s of %d candidates", verb, n), Ours: ours, Growth: &growth, Size: n})
		}
	}
}

// planRow is vishwa plan where nothing is to be done: warm, with the folded ledger of the last command; cold, with every entry
// verified anew. With VISHWA_BENCH_DIR the generated repositories are kept there between runs.
func planRow(b *testing.B, program string) {
	var warm, cold beside.Growth
	for _, n := range []int{beside.Size(100), beside.Size(1_000), beside.Size(10_000)} {
		s := newEstate(b, program, benchDir(b, fmt.Sprint("plan-", n)), n)
		plan := s.command(b, program, "plan")
		if out, _ := plan.Run(); !strings.Contains(out, "Nothing to do") {
			b.Fatalf("the plan is not empty:\n%s", out[:min(len(out), 2000)])
		}
		ours, anew := plan.Side("vishwa"), plan.Side("vishwa")
		anew.Before = func() { s.forget(b) }
		if n == 10_000 {
			ours.Goals = map[string]float64{"wall-s": 1.5, "peak-MiB": 180}
		}
		beside.Compare(b, beside.Case{Work: fmt.Sprintf("plan of %d declarations", n), Ours: ours, Growth: &warm, Size: n})
		beside.Compare(b, beside.Case{Work: fmt.Sprintf("plan of %d declarations, every entry verified anew", n), Ours: anew, Growth: &cold, Size: n})
	}
}

// policyRow judges what is declared by five rules of a team's: conftest reads the same files; vishwa reads them as Git has them, asks
// what is known of each, and judges by the built-in rules as well.
func policyRow(b *testing.B, program string) {
	conftest := beside.Program(b, "conftest")
	saysItIs(b, conftest, "--version")
	n := beside.Size(1_000)
	s := newPlace(program, b.TempDir())
	s.declare(b, n)
	theirs := filepath.Join(b.TempDir(), "rules")
	if err := write(filepath.Join(theirs, "team.rego"), fmt.Appendf(nil, teamRules, "main", "input.kind"), 0o644); err != nil {
		b.Fatal(err)
	}
	ours, other := s.command(b, program, "policy", "check"), s.command(b, conftest, "test", "vishwa", "--policy", theirs)
	peer := other.Side("conftest")
	peer.Goals = map[string]float64{"cpu-ratio": 3}
	beside.Compare(b, beside.Case{Work: fmt.Sprintf("policy check of %d declarations", n), Ours: ours.Side("vishwa"), Others: []beside.Side{peer}})
}

// ledgerRow verifies all that a ledger says: hashes, numbers, trailers and each entry's own bundle beside each commit's signature,
// which alone is what git verify-commit looks at.
func ledgerRow(b *testing.B, program string) {
	git := beside.Program(b, "git")
	saysItIs(b, git, "--version")
	n := beside.Size(1_000)
	s := newEstate(b, program, benchDir(b, fmt.Sprint("plan-", n)), n)
	key, err := os.ReadFile(filepath.Join(s.env["VISHWA_KEYS"], "ledger.pub"))
	if err != nil {
		b.Fatal(err)
	}
	signers := filepath.Join(b.TempDir(), "signers")
	if err := write(signers, fmt.Appendf(nil, "main namespaces=\"git\" %s\n", bytes.TrimSpace(key)), 0o644); err != nil {
		b.Fatal(err)
	}
	loop := "for c in $(git rev-list vishwa/ledger); do git -c gpg.ssh.allowedSignersFile=" + signers + " verify-commit $c || exit 1; done"
	peer := s.command(b, "/bin/sh", "-c", loop).Side("a loop of git verify-commit")
	peer.Goals = map[string]float64{"cpu-ratio": 25, "wall-ratio": 25}
	out, _ := s.command(b, git, "rev-list", "--count", "vishwa/ledger").Run()
	beside.Compare(b, beside.Case{Work: fmt.Sprintf("ledger verify of %s entries", strings.TrimSpace(out)), Ours: s.command(b, program, "ledger", "verify").Side("vishwa"), Others: []beside.Side{peer}})
}

// foldRow is the first command in a clone that has remembered nothing of its ledger.
func foldRow(b *testing.B, program string) {
	n := beside.Size(8_800)
	s := newEstate(b, program, benchDir(b, fmt.Sprint("plan-", n)), n)
	entries, _ := s.command(b, "git", "rev-list", "--count", "vishwa/ledger").Run()
	status := s.command(b, program, "status")
	status.Run()
	warm, cold := status.Side("vishwa"), status.Side("vishwa")
	cold.Before = func() { s.forget(b) }
	beside.Compare(b, beside.Case{Work: fmt.Sprintf("status with a ledger of %s entries", strings.TrimSpace(entries)), Ours: warm})
	beside.Compare(b, beside.Case{Work: fmt.Sprintf("status with a ledger of %s entries, every entry verified anew", strings.TrimSpace(entries)), Ours: cold})
}

// folderRow plans a dataset that is a folder in Git, of which nothing has changed: with what was remembered of its files, and
// without; git status looks at all files each time, with what its index remembers of them.
func folderRow(b *testing.B, program string) {
	git := beside.Program(b, "git")
	saysItIs(b, git, "--version")
	n := beside.Size(50_000)
	s := newPlace(program, b.TempDir())
	s.write(b, "vishwa.yaml", "apiVersion: vishwa.dev/v1alpha1\nkind: Project\nmetadata: {name: folder}\nspec: {}\n")
	s.write(b, "vishwa/images.yaml", "apiVersion: vishwa.dev/v1alpha1\nkind: Dataset\nmetadata: {name: images}\nspec: {source: {path: data}}\n")
	for i := range n {
		s.write(b, fmt.Sprintf("data/%03d/%d.txt", i/1000, i), strings.Repeat(fmt.Sprint(i, "-"), 100))
	}
	s.begin(b)
	s.run(b, program, "apply", "--yes")
	plan, status := s.command(b, program, "plan"), s.command(b, git, "status", "--porcelain")
	warm, cold := plan.Side("vishwa"), plan.Side("vishwa")
	warm.Goals, cold.Goals = map[string]float64{"wall-s": 0.5}, map[string]float64{"wall-s": 1.5}
	cold.Before = func() { s.forget(b) }
	others := []beside.Side{status.Side("git status")}
	beside.Compare(b, beside.Case{Work: fmt.Sprintf("plan of a folder of %d files in Git, nothing changed", n), Ours: warm, Others: others})
	beside.Compare(b, beside.Case{Work: fmt.Sprintf("plan of a folder of %d files in Git, nothing remembered", n), Ours: cold, Others: others})
}

// benchDir is a folder for a generated repository, which is kept where VISHWA_BENCH_DIR says.
func benchDir(b *testing.B, name string) string {
	if keep := os.Getenv("VISHWA_BENCH_DIR"); keep != "" {
		return filepath.Join(keep, name)
	}
	return b.TempDir()
}
