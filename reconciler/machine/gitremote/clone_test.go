// The law of Git's answers: what comes late on a busy machine is an answer.

package gitremote

import (
	"os"
	"path/filepath"
	"testing"
)

// TestAnAnswerThatComesLateIsOne: whatever holds Git's output for a while when Git has ended, a program that it
// began or a machine at its limits, what it said is read to its end.
func TestAnAnswerThatComesLateIsOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := filepath.Join(dir, "git")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho here\n(sleep 1.5; echo late) &\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := (&Clone{Dir: dir}).ask(t.Context(), program, nil, "ls-files")
	if err != nil || string(out) != "here\nlate\n" {
		t.Errorf("%q, %v", out, err)
	}
}
