// Tags that Git itself verifies, on commits that the remote has, and never over what is there.

package gitledger

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func TestTagsAreSignedAndMadeOnce(t *testing.T) {
	remote, clones := newClones(t, 1)
	l := openLedger(t, clones[0])
	head := git(t, clones[0], "rev-parse", "HEAD")
	git(t, remote, "tag", "theirs")
	at := time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
	both := []port.Tag{{Name: "price@v0.0.1", Commit: head, Message: "Release\n\nVishwa-Entry: 1", Time: at}, {Name: "price#production#2", Commit: head, Message: "It serves", Time: at}}
	if err := l.Tag(t.Context(), both...); err != nil {
		t.Fatal(err)
	}
	got, err := l.Tags(t.Context())
	if err != nil || got["price@v0.0.1"] != head || got["price#production#2"] != head || got["theirs"] != head || len(got) != 3 {
		t.Errorf("%v, %v", got, err)
	}
	allowed := filepath.Join(t.TempDir(), "allowed")
	write(t, filepath.Dir(allowed), "allowed", `vishwa@localhost namespaces="git" `+string(ssh.MarshalAuthorizedKey(gittest.SSHKey(t).PublicKey())))
	for _, tag := range both {
		if out := git(t, remote, "-c", "gpg.format=ssh", "-c", "gpg.ssh.allowedSignersFile="+allowed, "verify-tag", tag.Name); !strings.Contains(out, `Good "git" signature for vishwa@localhost`) {
			t.Errorf("git verify-tag %s: %s", tag.Name, out)
		}
	}
	if out := git(t, remote, "for-each-ref", "--format=%(taggeremail) %(taggerdate:unix) %(contents:subject)", "refs/tags/price@v0.0.1"); out != "<vishwa@localhost> 1772539200 Release" {
		t.Errorf("git reads it as %s", out)
	}
	if out := git(t, remote, "fsck", "--strict", "--full"); strings.Contains(out, "error") {
		t.Errorf("git fsck: %s", out)
	}
	for what, tag := range map[string]port.Tag{
		"a name that is taken":   {Name: "theirs", Commit: head},
		"a commit that is not":   {Name: "new", Commit: strings.Repeat("1", 40)},
		"no name":                {Name: "a..b", Commit: head},
		"what is not a commit":   {Name: "new", Commit: "main"},
		"a line in its commit":   {Name: "new", Commit: head + "\n"},
		"a name of another kind": {Name: "../heads/main", Commit: head},
	} {
		if err := l.Tag(t.Context(), tag); fault.Of(err) != fault.Denied {
			t.Errorf("%s: %v", what, err)
		}
	}
	if now, err := l.Tags(t.Context()); err != nil || len(now) != 3 {
		t.Errorf("after what was refused: %v, %v", now, err)
	}
	alone := openLedger(t, newRepo(t))
	if _, err := alone.Tags(t.Context()); fault.Of(err) != fault.Missing || fault.HintOf(err) == "" {
		t.Errorf("without a remote: %v", err)
	}
}
