// vishwa data, killed or interrupted at any moment: the same command again makes it
// whole, and nothing half-made is left or taken for whole.

package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// yard is a DVC repository on its own, with a remote beside it.
type yard struct {
	t         *testing.T
	dir, root string
}

func newYard(t *testing.T) yard {
	dir := t.TempDir()
	y := yard{t, dir, filepath.Join(dir, "repo")}
	y.file("one.csv", "one")
	for i := range 300 {
		y.file(fmt.Sprintf("data/%d/%d.csv", i%7, i), strings.Repeat(fmt.Sprint(i), 1+i*20))
	}
	y.file("data/large.bin", strings.Repeat("large", 1<<20))
	y.run("init")
	y.run("remote", "add", "-d", "store", filepath.Join(dir, "remote"))
	return y
}

func (y yard) file(name, text string) {
	y.t.Helper()
	at := filepath.Join(y.root, name)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		y.t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
		y.t.Fatal(err)
	}
}

func (y yard) command(args ...string) *exec.Cmd {
	cmd := exec.Command("vishwa", append([]string{"-C", y.root, "data"}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+y.dir, "XDG_CACHE_HOME="+filepath.Join(y.dir, "state"))
	return cmd
}

func (y yard) run(args ...string) string {
	y.t.Helper()
	out, err := y.command(args...).CombinedOutput()
	if err != nil {
		y.t.Fatalf("vishwa data %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (y yard) gone(names ...string) {
	y.t.Helper()
	for _, n := range names {
		if err := os.RemoveAll(filepath.Join(y.dir, n)); err != nil {
			y.t.Fatal(err)
		}
	}
}

// drafts are files that are not whole, anywhere.
func (y yard) drafts() (out []string) {
	y.t.Helper()
	err := filepath.WalkDir(y.dir, func(p string, e fs.DirEntry, err error) error {
		under := strings.Contains(p, "/.vishwa/") && e.Name() != "lock"
		if err == nil && !e.IsDir() && (under || strings.HasPrefix(e.Name(), ".vishwa-")) {
			out = append(out, p)
		}
		return err
	})
	if err != nil {
		y.t.Fatal(err)
	}
	return out
}

// TestKilledCommandIsDoneAnew ends add, push, pull and checkout at many moments, with
// SIGKILL and with SIGINT, and gives the same command again.
func TestKilledCommandIsDoneAnew(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		before func(y yard)
		args   []string
	}{
		{"add", func(y yard) { y.gone("repo/.dvc/cache", "repo/data.dvc", "state") }, []string{"add", "data", "one.csv"}},
		{"push", func(y yard) { y.gone("remote") }, []string{"push"}},
		{"pull", func(y yard) { y.gone("repo/.dvc/cache", "repo/data", "repo/one.csv") }, []string{"pull"}},
		{"checkout", func(y yard) { y.gone("repo/data", "repo/one.csv") }, []string{"checkout"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			y := newYard(t)
			y.run("add", "data", "one.csv")
			y.run("push")
			want := y.run("list")
			c.before(y)
			began := time.Now()
			y.run(c.args...)
			whole := time.Since(began)
			const moments = 5
			for i := range 2 * moments {
				c.before(y)
				how := syscall.SIGKILL
				if i%2 == 1 {
					how = syscall.SIGINT
				}
				cmd := y.command(c.args...)
				var said bytes.Buffer
				cmd.Stderr = &said
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				end := time.AfterFunc(whole*time.Duration(i/2+1)/moments, func() { _ = cmd.Process.Signal(how) })
				err := cmd.Wait()
				end.Stop()
				if err != nil && how == syscall.SIGINT && strings.Contains(said.String(), "panic") {
					t.Fatalf("interrupted: %v\n%s", err, &said)
				}
				y.run(c.args...)
				if got := y.run("status"); !strings.Contains(got, "up to date") {
					t.Fatalf("after %v at %d/%d: %s", how, i/2+1, moments, got)
				}
				if got := y.run("list"); got != want {
					t.Fatalf("after %v at %d/%d it keeps\n%s, not\n%s", how, i/2+1, moments, got, want)
				}
			}
			y.run("gc", "-w", "-c", "-f")
			if c.name != "push" {
				if left := y.drafts(); len(left) > 0 {
					t.Errorf("left: %v", left)
				}
			}
			y.gone("repo/.dvc/cache", "repo/data", "repo/one.csv") // all that was pushed is whole
			y.run("pull")
			if got := y.run("status"); !strings.Contains(got, "up to date") {
				t.Error(got)
			}
		})
	}
}
