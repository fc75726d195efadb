// A log whose process is killed loses no part that was written.

package predictionlog

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestMain is also the log that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("PREDICTIONLOG_KILLED"); dir != "" {
		writeUntilKilled(dir)
	}
	os.Exit(m.Run())
}

func writeUntilKilled(dir string) {
	l, err := Open(Options{Dir: dir})
	for i := 0; err == nil; i++ {
		for k := range 50 {
			l.Add(asked(fmt.Sprint(i*50+k), noon, k))
		}
		if err = l.Flush(context.Background()); err == nil {
			fmt.Println(l.Counts().Rows)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// Killed at any moment, a log has all the rows that it said were written, and no reader meets
// half a part.
func TestAKilledLogLosesNoPartThatWasWritten(t *testing.T) {
	dir := t.TempDir()
	for round := range 4 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "PREDICTIONLOG_KILLED="+dir)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		before, _ := told(t, dir, Query{}, "id")
		said := 0
		for lines, n := bufio.NewScanner(out), 0; n < 5+round*3 && lines.Scan(); n++ {
			fmt.Sscan(lines.Text(), &said)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed
		got, report := told(t, dir, Query{}, "id")
		if len(got)-len(before) < said || said == 0 || len(report.Unreadable) > 0 {
			t.Fatalf("%d rows, %d were there and %d written: %+v", len(got), len(before), said, report)
		}
	}
	long := time.Now().Add(-2 * stale)
	for _, f := range append(half(t, dir), filepath.Join(dir, partial+"old")) { // what those that were killed left, a while ago
		if err := errors.Join(os.WriteFile(f, []byte("PAR1"), 0o600), os.Chtimes(f, long, long)); err != nil {
			t.Fatal(err)
		}
	}
	young := filepath.Join(dir, partial+"new")
	if err := os.WriteFile(young, []byte("PAR1"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, Options{Dir: dir}).Close()
	if left := half(t, dir); fmt.Sprint(left) != fmt.Sprint([]string{young}) {
		t.Errorf("%q are left of a log that was killed, and one that another writes is to be", left)
	}
}

// half are the parts of a log that were not written to their end.
func half(t *testing.T, dir string) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, partial+"*"))
	if err != nil {
		t.Fatal(err)
	}
	return left
}
