// The demo is a test: it runs where a newcomer runs it, inside of another clone.
package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheDemoShowsTheWholeLoop(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "bin", "vishwa")
	if out, err := exec.Command("go", "build", "-o", program, "../vishwa").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	clone := filepath.Join(dir, "clone")
	if out, err := exec.Command("git", "init", "-q", clone).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var said bytes.Buffer
	if err := demo(t.Context(), &said, filepath.Join(clone, "demo"), program); err != nil {
		log, _ := os.ReadFile(filepath.Join(clone, "demo", "controller.log"))
		t.Fatalf("%v\n%s\n%s", err, said.String(), log)
	}
	for _, want := range []string{"Waits for people", "Ready to merge", "Blocked", "gate failed", "It answers: 200 OK", "2 approvals by trusted keys", "deploy deployment/price-production"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("it does not show %q:\n%s", want, said.String())
		}
	}
	left, err := os.ReadDir(clone)
	if err != nil || len(left) != 2 {
		t.Errorf("the clone around it holds %v, %v; want .git and demo", left, err)
	}
}
