// The demo is a test: it runs where a newcomer runs it, inside of another clone.

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/port/porttest/built"
)

func TestTheDemoShowsTheWholeLoop(t *testing.T) {
	dir := t.TempDir()
	program := built.Program(t, "vishwa", filepath.Join(dir, "bin"))
	clone := filepath.Join(dir, "clone")
	if out, err := exec.Command("git", "init", "-q", clone).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Mkdir(filepath.Join(clone, "demo"), 0o755); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	if err := demo(t.Context(), &said, filepath.Join(clone, "demo"), program); err != nil {
		log, _ := os.ReadFile(filepath.Join(clone, "demo", "controller.log"))
		t.Fatalf("%v\n%s\n%s", err, said.String(), log)
	}
	for _, want := range []string{"Waits for people", "Ready to merge", "Blocked", "gate failed", "It answers: 200 OK", "4 approvals by trusted keys", "deploy deployment/price-production",
		"price-drift of deployment/price-production: well", "price-drift  drifted", "proposed on vishwa/retrain/main/price", "| Champion | Challenger |", "`homes` as before", "model that is served now knows"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("it does not show %q:\n%s", want, said.String())
		}
	}
	deploysWhatWasApproved(t, filepath.Join(clone, "demo", "homes"))
	left, err := os.ReadDir(clone)
	if err != nil || len(left) != 2 {
		t.Errorf("the clone around it holds %v, %v; want .git and demo", left, err)
	}
}

// deploysWhatWasApproved: each deployment to production is recorded after an approval
// of its own.
func deploysWhatWasApproved(t *testing.T, repo string) {
	t.Helper()
	out, err := exec.Command("git", "-C", repo, "log", "--reverse", "--format=%s", "vishwa/ledger").Output()
	if err != nil {
		t.Fatal(err)
	}
	approved, deployed := 0, 0
	for subject := range strings.Lines(string(out)) {
		switch {
		case strings.Contains(subject, "approve"):
			approved++
		case strings.Contains(subject, "deploy deployment/price-production"):
			if deployed++; approved < deployed {
				t.Errorf("deployment %d is older than its approval:\n%s", deployed, out)
			}
		}
	}
	if deployed != 4 || approved != 4 {
		t.Errorf("%d approvals and %d deployments, want 4 of each:\n%s", approved, deployed, out)
	}
}

// TestADemoCanBeShownAgain: what an earlier one left is neither in its way nor lost.
func TestADemoCanBeShownAgain(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, want := range []string{"demo", "demo-2", "demo-3"} {
		if dir, err := place("demo", nil); err != nil || dir != want {
			t.Errorf("%q, %v; want %s", dir, err, want)
		}
	}
	if dir, err := place("demo", []string{"mine"}); err != nil || dir != "mine" {
		t.Errorf("%q, %v", dir, err)
	}
	if _, err := place("demo", []string{"mine"}); err == nil || !strings.Contains(err.Error(), "already exists") || !strings.Contains(err.Error(), "DEMO=") {
		t.Errorf("the way out is not told: %v", err)
	}
	if _, err := place("demo", []string{"none/inner"}); err == nil || !strings.Contains(err.Error(), "DEMO=") {
		t.Errorf("the way out is not told: %v", err)
	}
}
