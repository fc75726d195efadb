// The law of ways out: nobody is left without one, and the nearest word counts.

package fault

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

func TestTheOperatingSystemsWordComesBeforeTheKinds(t *testing.T) {
	full := &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"given":                {WithHint(New(Denied, "read: %w", full), "ask for it"), "ask for it"},
		"disk full":            {New(Denied, "write: %w", full), "the disk is full"},
		"disk full, unclassed": {fmt.Errorf("write: %w", full), "the disk is full"},
		"not readable":         {New(Denied, "read: %w", fs.ErrPermission), "let this user read"},
		"not there":            {New(Internal, "read: %w", syscall.ENOENT), "check that the path"},
		"one of several":       {New(Internal, "%w", errors.Join(io.EOF, full)), "the disk is full"},
		"no such program":      {New(Internal, "run: %w", &exec.Error{Name: "uvx", Err: exec.ErrNotFound}), "install the program"},
		"nobody listens":       {New(Transient, "ask: %w", syscall.ECONNREFUSED), "nothing answers"},
		"the kind alone":       {New(Held, "wait"), "vishwa plan"},
		"nothing known":        {io.EOF, "this should not happen"},
	} {
		if got := WayOut(c.err); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got := OfSystem(New(Denied, "no key")); got != "" {
		t.Errorf("the operating system refused nothing, and says %q", got)
	}
}

func TestEveryKindHasAWayOut(t *testing.T) {
	seen := map[string]Kind{}
	for _, k := range Kinds() {
		way := WayOut(New(k, "x"))
		if other, twice := seen[way]; way == "" || twice {
			t.Errorf("%s: its way out is %q, as that of %s", k, way, other)
		}
		seen[way] = k
	}
}

func TestAdviceIsForWhoHasNone(t *testing.T) {
	if Advise(nil, "x") != nil {
		t.Error("nothing went wrong, and it is an error")
	}
	if err := Advise(New(Missing, "no file"), "add %s", "it"); HintOf(err) != "add it" || Of(err) != Missing {
		t.Errorf("%v: %q", err, HintOf(err))
	}
	if got := HintOf(Advise(fmt.Errorf("read: %w", WithHint(New(Missing, "no file"), "add it")), "look elsewhere")); got != "add it" {
		t.Errorf("%q, want what was said nearer to the cause", got)
	}
}
