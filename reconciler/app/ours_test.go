// Whose a proposal is, where people write in a controller's name.

package app

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
)

// TestWorkInAControllersNameIsKept: what somebody amends on a proposal, or commits by the name and the
// address that a controller's commits bear, is not written over; what a controller signed is.
func TestWorkInAControllersNameIsKept(t *testing.T) {
	dir := gittest.NewRepo(t)
	gittest.Write(t, dir, "a", "0")
	gittest.Git(t, dir, "add", "-A")
	gittest.Git(t, dir, "commit", "-qm", "Begin")
	head := gittest.Git(t, dir, "rev-parse", "HEAD")
	r, err := repo.Open(dir, repo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	key := gittest.SSHKey(t)
	sign := func() (ssh.Signer, error) { return key, nil }
	draft := func(parent string, sign func() (ssh.Signer, error)) string {
		sha, err := r.Write(t.Context(), repo.CommitDraft{Parent: parent, Files: map[string][]byte{"a": []byte("1")}, Message: "Pin", Time: time.Unix(9, 0), Sign: sign})
		if err != nil {
			t.Fatal(err)
		}
		return sha
	}
	signed, unsigned := draft(head, sign), draft(head, nil)
	object := func(text string) string {
		gittest.Write(t, dir, "object", text+"\n")
		return gittest.Git(t, dir, "hash-object", "-t", "commit", "-w", "object")
	}
	on := func(parent, message string) string { // a commit of somebody in a controller's name
		const by = "Vishwa <vishwa@localhost> 9 +0000"
		return object("tree " + gittest.Git(t, dir, "rev-parse", parent+"^{tree}") + "\nparent " + parent + "\nauthor " + by + "\ncommitter " + by + "\n\n" + message)
	}
	raw := gittest.Git(t, dir, "cat-file", "commit", signed)
	amended := strings.Replace(raw, "\n\nPin", "\n\nPin less", 1) // with the signature of what it was
	if amended == raw {
		t.Fatal(raw)
	}
	for name, c := range map[string]struct {
		sign func() (ssh.Signer, error)
		tip  string
		kept bool
	}{
		"a controller's":                       {sign, signed, false},
		"in its name, unsigned":                {sign, unsigned, true},
		"in its name, on top of it":            {sign, on(signed, "More"), true},
		"amended":                              {sign, object(amended), true},
		"where nothing is signed":              {nil, unsigned, false},
		"of two, where nothing is signed":      {nil, on(unsigned, "More\n\nCo-authored-by: Ada <ada@example.org>"), true},
		"of its name, where nothing is signed": {nil, on(unsigned, "More"), false},
	} {
		p := &Proposer{Repo: r, Head: head, Sign: c.sign}
		got, err := p.below(t.Context(), c.tip)
		want := head
		if c.kept {
			want = c.tip
		}
		if err != nil || got != want {
			t.Errorf("%s: goes on top of %s, want %s: %v", name, got, want, err)
		}
	}
}
