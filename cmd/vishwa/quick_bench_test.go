// Rows of docs/benchmarks.md: what an apply and a controller's pass themselves take, where the work takes no time.

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/port/porttest/beside"
)

// trivialRow trains what takes no time.
func trivialRow(b *testing.B, program string) {
	s := newPlace(program, b.TempDir())
	training, _, _ := strings.Cut(largeModel, "---")
	s.write(b, "vishwa.yaml", "apiVersion: vishwa.dev/v1alpha1\nkind: Project\nmetadata: {name: trivial}\nspec: {}\n")
	s.write(b, "train.sh", "echo '{\"score\": 1}' > \"$VISHWA_METRICS\"\necho model > \"$VISHWA_MODEL_DIR/model.txt\"\n")
	s.write(b, "vishwa/large.yaml", fmt.Sprintf(training, 0))
	s.begin(b)
	round := 0
	ours := s.command(b, program, "apply", "--yes").Side("vishwa")
	ours.Before = func() {
		round++
		s.write(b, "vishwa/large.yaml", fmt.Sprintf(training, round))
		s.run(b, "git", "commit", "--quiet", "--all", "--message", "Train anew")
	}
	ours.Goals = map[string]float64{"wall-s": 0.3}
	beside.Compare(b, beside.Case{Work: "apply of a training that takes no time", Ours: ours})
}

// entryRow pushes a changed dataset to a local repository, and waits for the entry that its controller signs of it.
func entryRow(b *testing.B, program string) {
	const pushes = 40
	dir := b.TempDir()
	s := shell{b, dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "VISHWA_KEY_PASSWORD=pw",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com"}}
	cmd := exec.CommandContext(b.Context(), program, "controller", "--config", s.repositories(program, 1))
	cmd.Dir, cmd.Env = dir, s.env
	log, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}()
	for lines := bufio.NewScanner(log); lines.Scan() && !strings.Contains(lines.Text(), `msg="pass done"`); {
	}
	go func() { _, _ = io.Copy(io.Discard, log) }()
	bare, work := filepath.Join(dir, "r0.git"), filepath.Join(dir, "pushed")
	s.run(dir, "git", "clone", "-q", bare, work)
	var took []time.Duration
	for i := range pushes {
		head := s.run(bare, "git", "rev-parse", "vishwa/ledger")
		put(b, filepath.Join(work, "d.csv"), fmt.Sprintf("a,b\n%d,2\n", i+2))
		s.run(work, "git", "commit", "-qam", "Change")
		s.run(work, "git", "push", "-q", "origin", "main")
		for began := time.Now(); ; time.Sleep(time.Millisecond) {
			now, err := os.ReadFile(filepath.Join(bare, "refs/heads/vishwa/ledger")) // loose, as it was pushed just now
			if err == nil && !bytes.Equal(bytes.TrimSpace(now), []byte(strings.TrimSpace(head))) {
				took = append(took, time.Since(began))
				break
			}
			if time.Since(began) > time.Minute {
				b.Fatal("no entry comes")
			}
		}
	}
	slices.Sort(took)
	b.Run("from_a_push_to_its_entry", func(b *testing.B) {
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		b.ReportMetric(150, "p50-ms-goal")
	})
}
