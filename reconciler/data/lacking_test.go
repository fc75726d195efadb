// One object that is missing does not keep the others.

package data

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/data/transfer"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func TestWhatIsMissingStopsNothingElse(t *testing.T) {
	root, rem, home := t.TempDir(), t.TempDir(), t.TempDir()
	if err := Init(root); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"a": "1", "b": "2", "d/x": "3", "d/y": "4"} {
		_ = os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755)
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{Env: port.Env{Now: time.Now, Lookup: func(n string) (string, bool) { return home, n == "HOME" }}}
	w, err := Open(root, o)
	if err != nil {
		t.Fatal(err)
	}
	err = w.Edit(false, func(c *dvc.Config) error {
		c.Set(dvc.RemoteSection("s"), "url", rem)
		c.Set("core", "remote", "s")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Add(t.Context(), []string{filepath.Join(root, "a"), filepath.Join(root, "b"), filepath.Join(root, "d")}); err != nil {
		t.Fatal(err)
	}
	const a, x = "c4/ca4238a0b923820dcc509a6f75849b", "ec/cbc87e4b5ce2fe28308fd9f2a7baf3" // of 1 and of 3
	for _, o := range []string{a, x} {
		if err := os.Remove(filepath.Join(root, ".dvc/cache/files/md5", o)); err != nil {
			t.Fatal(err)
		}
	}
	var lacking *transfer.MissingError
	m, err := w.Push(t.Context(), "", nil)
	if !errors.As(err, &lacking) || len(lacking.OIDs) != 2 || m.Objects != 2 {
		t.Errorf("push: %d objects, %v; want b and d/y sent, and two told", m.Objects, err)
	}
	if half, _ := filepath.Glob(filepath.Join(rem, "files/md5/*/*.dir")); len(half) != 0 {
		t.Errorf("the remote has %v, whose files it lacks", half)
	}
	if err := os.RemoveAll(filepath.Join(root, ".dvc/cache")); err != nil {
		t.Fatal(err)
	}
	if w, err = Open(root, o); err != nil {
		t.Fatal(err)
	}
	if m, err = w.Fetch(t.Context(), "", nil); !errors.As(err, &lacking) || m.Objects != 1 {
		t.Errorf("fetch: %d objects, %v; want b", m.Objects, err)
	}
}

// TestWhatIsNotPushedByDeclarationIsNotAskedForByAPush: who fetches what its file holds back is
// told so, and how it comes about, and not to push it; of others they are told as ever.
func TestWhatIsNotPushedByDeclarationIsNotAskedForByAPush(t *testing.T) {
	root, rem, home := t.TempDir(), t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, ".dvc"), 0o755); err != nil {
		t.Fatal(err)
	}
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put(".dvc/config", "[core]\n    remote = s\n['remote \"s\"']\n    url = "+rem+"\n")
	put("mine.dvc", "outs:\n- md5: 00000000000000000000000000000001\n  size: 1\n  hash: md5\n  path: mine\n  push: false\n")
	put("dvc.yaml", "stages:\n  fit:\n    cmd: fit\n    outs:\n    - fitted:\n        push: false\n")
	put("dvc.lock", "schema: '2.0'\nstages:\n  fit:\n    cmd: fit\n    outs:\n    - path: fitted\n      md5: 00000000000000000000000000000002\n      hash: md5\n      size: 1\n")
	put("theirs.dvc", "outs:\n- md5: 00000000000000000000000000000003\n  size: 1\n  hash: md5\n  path: theirs\n")
	w, err := Open(root, Options{Env: port.Env{Now: time.Now, Lookup: func(n string) (string, bool) { return home, n == "HOME" }}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		targets   []string
		says, way string
		push      bool
	}{
		{[]string{"mine"}, "mine is not pushed, as mine.dvc says (push: false)", "take push: false out of mine.dvc", false},
		{[]string{"fitted"}, "fitted is not pushed, as dvc.yaml says (push: false)", "dvc repro fit", false},
		{[]string{"theirs"}, "theirs", "push them from where they were added", true},
		{[]string{"mine", "theirs"}, "mine is not pushed", "of the others: push them", true},
	} {
		var at []string
		for _, name := range c.targets {
			at = append(at, filepath.Join(root, name))
		}
		_, err := w.Fetch(t.Context(), "", at)
		if fault.Of(err) != fault.Missing || err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(fault.HintOf(err), c.way) {
			t.Errorf("%v: %v; %s", c.targets, err, fault.HintOf(err))
		}
		if strings.Contains(fault.HintOf(err), "push them from where") != c.push {
			t.Errorf("%v: it advises %q", c.targets, fault.HintOf(err))
		}
	}
}
