// A workspace: what it remembers, what its targets name, and who waits for whom.

package data

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func made(t *testing.T, files map[string]string, log *bytes.Buffer) *Workspace {
	t.Helper()
	dir := t.TempDir()
	root := filepath.Join(dir, "repo")
	for name, text := range files {
		at := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := Init(root); err != nil {
		t.Fatal(err)
	}
	env := port.Env{Now: time.Now, Lookup: func(name string) (string, bool) { return dir, name == "HOME" }}
	if log != nil {
		env.Log = slog.New(slog.NewTextHandler(log, nil))
	}
	w, err := Open(root, Options{Env: env})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestWhatStandsIsReadOnce: however often it is added, by whichever kind of link.
func TestWhatStandsIsReadOnce(t *testing.T) {
	for _, kind := range []string{"copy", "hardlink", "symlink"} {
		w := made(t, map[string]string{"data/a": "a", "data/b/c": "c"}, nil)
		write(t, filepath.Join(w.Root(), ".dvc/config"), "[cache]\n    type = "+kind+"\n")
		w, err := Open(w.Root(), w.o)
		if err != nil {
			t.Fatal(err)
		}
		w.o.Env.Now = func() time.Time { return time.Now().Add(time.Hour) } // nothing was written a moment ago
		for n, want := range []int64{2, 0, 0, 0, 1} {
			if n == 4 {
				_ = os.Remove(filepath.Join(w.Root(), "data/a")) // it may be a link
				write(t, filepath.Join(w.Root(), "data/a"), "another")
			}
			if a, err := w.Add(t.Context(), []string{filepath.Join(w.Root(), "data")}); err != nil || a[0].Read != want {
				t.Fatalf("%s, add %d: %+v, %v; want %d read", kind, n, a, err, want)
			}
		}
	}
}

// TestWhatChangesBeforeItIsRead is added as it stands then, however large it was and is.
func TestWhatChangesBeforeItIsRead(t *testing.T) {
	long := strings.Repeat("l", dvccache.InMemory+1)
	for name, c := range map[string]struct{ was, is string }{
		"small": {"a", "b"}, "shorter": {"abc", "d"}, "grown large": {"a", long}, "shrunk": {long, "s"}, "large": {long, long[1:] + "x"},
	} {
		w := made(t, map[string]string{"data/a": c.was}, nil)
		abs := filepath.Join(w.Root(), "data")
		files, err := findFiles(t.Context(), abs, nil, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(abs, "a"), filepath.Join(w.Root(), "before")); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(abs, "a"), c.is)
		got, _, err := w.hashAndCache(t.Context(), "adding", abs, true, files, dvccache.NewMemory(0))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		now, err := findFiles(t.Context(), abs, nil, 1)
		if k := got.sums[0]; err != nil || !k.Is(dvccache.SumOf([]byte(c.is)).OID) || k.Stamp != now[0].stamp || !w.cache.Has(k.Sums().OID) {
			t.Errorf("%s: it is taken as %+v (%v)", name, k, err)
		}
		if err := os.Remove(filepath.Join(abs, "a")); err != nil {
			t.Fatal(err)
		}
		if _, _, err = w.hashAndCache(t.Context(), "adding", abs, true, files, dvccache.NewMemory(0)); fault.Of(err) != fault.Conflict {
			t.Errorf("%s: what went is %v", name, err)
		}
	}
}

// TestCheckoutRemembersWhatItWrote: right after it nothing is read, by whichever kind of link.
func TestCheckoutRemembersWhatItWrote(t *testing.T) {
	for _, kind := range []string{"", "copy", "hardlink", "symlink"} {
		t.Run("link "+kind, func(t *testing.T) {
			w := made(t, map[string]string{"data/a": "a", "data/b/c": "c", "data/empty": "", "file": "f"}, nil)
			if kind != "" {
				config := []byte("[cache]\n    type = " + kind + "\n")
				if err := os.WriteFile(filepath.Join(w.Root(), ".dvc", "config"), config, 0o644); err != nil {
					t.Fatal(err)
				}
				var err error
				if w, err = Open(w.Root(), w.o); err != nil {
					t.Fatal(err)
				}
			}
			at := []string{filepath.Join(w.Root(), "data"), filepath.Join(w.Root(), "file")}
			if _, err := w.Add(t.Context(), at); err != nil {
				t.Fatal(err)
			}
			for _, p := range at {
				if err := os.RemoveAll(p); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := w.Checkout(t.Context(), nil, false); err != nil {
				t.Fatal(err)
			}
			outs, err := w.Outputs(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range outs {
				files, err := findFiles(t.Context(), w.abs(o.Path), never, 1)
				if err != nil {
					t.Fatal(err)
				}
				m := dvccache.LoadMemory(w.memoryFile(o.Path))
				if m.Tree != o.Out.OID || !unchanged(files, m) {
					t.Errorf("%s would be read anew: %d of %d files are known", o.Path, m.Len(), len(files))
				}
			}
			// What is written at once after it, in equal length, is seen.
			if kind == "" || kind == "copy" {
				if err := os.WriteFile(filepath.Join(w.Root(), "data", "a"), []byte("x"), 0o644); err != nil {
					t.Fatal(err)
				}
				all, err := w.Status(t.Context(), nil)
				if err != nil || len(all) != 1 || strings.Join(all[0].Modified, " ") != "a" {
					t.Errorf("%v, %v", all, err)
				}
			}
		})
	}
}

// TestSecondWriterNamesTheHolder while it waits.
func TestSecondWriterNamesTheHolder(t *testing.T) {
	var log bytes.Buffer
	w := made(t, map[string]string{"data/a": "a"}, &log)
	release, err := w.lockOutput(t.Context(), "data")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := w.Add(t.Context(), []string{filepath.Join(w.Root(), "data")})
		ended <- err
	}()
	select {
	case err := <-ended:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	release()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "waiting") || !strings.Contains(log.String(), "process ") {
		t.Errorf("it says %q", log.String())
	}
}

// TestTargetsNameWhatDVCsDo.
func TestTargetsNameWhatDVCsDo(t *testing.T) {
	w := made(t, map[string]string{"raw/data/a": "a", "raw/data/b/c": "c", "file": "f"}, nil)
	if _, err := w.Add(t.Context(), []string{filepath.Join(w.Root(), "raw/data"), filepath.Join(w.Root(), "file")}); err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]string{
		"raw/data": "raw/data", "raw/data.dvc": "raw/data", "raw": "raw/data", ".": "file raw/data", "file.dvc": "file",
		"raw/data/b": "raw/data[b]", "raw/data/b/c": "raw/data[b/c]", "raw/dat": "", "file/x": "", "raw/data2": "",
	} {
		outs, err := w.Outputs(t.Context(), []string{filepath.Join(w.Root(), target)})
		var got []string
		for _, o := range outs {
			name := o.Path
			if len(o.only) > 0 {
				name += "[" + strings.Join(o.only, ",") + "]"
			}
			got = append(got, name)
		}
		if strings.Join(got, " ") != want || (want == "") != (fault.Of(err) == fault.Missing && err != nil) {
			t.Errorf("%s: %v, %v", target, got, err)
		}
	}
	both, err := w.Outputs(t.Context(), []string{filepath.Join(w.Root(), "raw/data/a"), filepath.Join(w.Root(), "raw/data")})
	if err != nil || len(both) != 1 || len(both[0].only) != 0 {
		t.Errorf("a file and its whole folder: %v, %v", both, err)
	}
}
