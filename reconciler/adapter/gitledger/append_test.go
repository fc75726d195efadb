package gitledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// TestGitBelievesTheLedger: what is appended is a plain, signed, linear branch to the real git.
func TestGitBelievesTheLedger(t *testing.T) {
	remote, clones := newClones(t, 1)
	l := openLedger(t, clones[0])
	for i := range 3 {
		e := trained(i)
		e.Reason = "first line\nVishwa-Seq: 99\n\nVishwa-Action: deploy"
		mustAppend(t, l, e)
	}
	refused := trained(9)
	refused.Action, refused.Verdict, refused.Outputs = ledger.Deny, "deny", nil
	refused.Findings = []ledger.Finding{{Rule: "model/gate", Level: ledger.Denied, Ref: refused.Ref, Message: "too low"}}
	mustAppend(t, l, refused)

	allowed := filepath.Join(t.TempDir(), "allowed")
	write(t, filepath.Dir(allowed), "allowed", `vishwa@localhost namespaces="git" `+string(ssh.MarshalAuthorizedKey(gittest.SSHKey(t).PublicKey())))
	for _, dir := range []string{clones[0], remote} {
		if out := git(t, dir, "fsck", "--strict", "--full"); strings.Contains(out, "error") {
			t.Errorf("git fsck %s: %s", dir, out)
		}
		if out := git(t, dir, "log", "--format=%(trailers:key=Vishwa-Seq,valueonly,separator=%x2C) %(trailers:key=Vishwa-Action,valueonly,separator=%x2C)", "vishwa/ledger"); out != "4 deny\n3 train\n2 train\n1 train\n0 genesis" {
			t.Errorf("git log reads the trailers as\n%s", out)
		}
		for _, rev := range []string{"vishwa/ledger", "vishwa/ledger~4"} {
			out := git(t, dir, "-c", "gpg.format=ssh", "-c", "gpg.ssh.allowedSignersFile="+allowed, "verify-commit", rev)
			if !strings.Contains(out, `Good "git" signature for vishwa@localhost`) {
				t.Errorf("git verify-commit %s: %s", rev, out)
			}
		}
	}
	if a, b := git(t, clones[0], "rev-parse", "vishwa/ledger", "origin/vishwa/ledger"), git(t, remote, "rev-parse", "vishwa/ledger"); a != b+"\n"+b {
		t.Errorf("clone has %s, remote %s", a, b)
	}
	if files := git(t, remote, "ls-tree", "-r", "--name-only", "vishwa/ledger"); !strings.Contains(files, "entries/000/000003.sigstore.json") || !strings.Contains(files, "facts/training/enrollment-1/xgboost.yaml") {
		t.Errorf("the branch holds\n%s", files)
	}
	git(t, clones[0], "gc", "-q")
	rep, err := verify(t, l)
	if err != nil || rep.Entries != 5 || rep.Commits != 5 || rep.Signatures != 5 {
		t.Errorf("after git gc: %+v, %v", rep, err)
	}
	if git(t, clones[0], "status", "--porcelain") != "" {
		t.Error("appending touched the work tree")
	}
}

// TestNoRemoteNoNetwork: a repository without remote, a bare one and a linked worktree keep a ledger too.
func TestNoRemoteNoNetwork(t *testing.T) {
	dir := newRepo(t)
	linked := filepath.Join(t.TempDir(), "linked")
	git(t, dir, "worktree", "add", "-q", "--detach", linked)
	bare := filepath.Join(t.TempDir(), "bare.git")
	git(t, dir, "init", "-q", "--bare", bare)
	for _, at := range []string{dir, linked, bare} {
		l := openLedger(t, at)
		was := mustFacts(t, l).Count
		got := mustAppend(t, l, trained(int(was)))
		f := mustFacts(t, openLedger(t, at))
		if f.Count != got.Seq+1 || f.ByKey[got.Key] == nil {
			t.Errorf("%s: %d facts after entry %d", at, f.Count, got.Seq)
		}
	}
	if n := mustFacts(t, openLedger(t, dir)).Count; n != 3 {
		t.Errorf("worktree and checkout share one ledger: %d entries, want 3", n)
	}
}

// TestConcurrentWritersLoseNothing: many writers in two clones of one remote, in
// several ledgers each, leave every entry once and no gap.
func TestConcurrentWritersLoseNothing(t *testing.T) {
	remote, clones := newClones(t, 2)
	const writers = 16
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for i := range writers {
		l := openLedger(t, clones[i%2])
		wg.Go(func() {
			for j := range 2 {
				if _, err := l.Append(context.Background(), trained(i*10+j)); err != nil {
					errs[i] = errors.Join(errs[i], err)
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for _, dir := range clones {
		f := mustFacts(t, openLedger(t, dir))
		if f.Count != 2*writers+1 || len(f.ByKey) != 2*writers {
			t.Errorf("%d entries and %d keys, want %d and %d", f.Count, len(f.ByKey), 2*writers+1, 2*writers)
		}
	}
	git(t, remote, "fsck", "--strict")
}

// TestSameKeyIsRecordedAsDuplicate: where two clones trained one key, the first entry is the fact.
func TestSameKeyIsRecordedAsDuplicate(t *testing.T) {
	_, clones := newClones(t, 2)
	a, b := openLedger(t, clones[0]), openLedger(t, clones[1])
	mustFacts(t, a)
	mustFacts(t, b)
	first := mustAppend(t, a, trained(1))
	second := mustAppend(t, b, trained(1))
	if first.Duplicate || !second.Duplicate {
		t.Errorf("first duplicate: %v, second: %v", first.Duplicate, second.Duplicate)
	}
	if f := mustFacts(t, a); f.ByKey[key(1)].Seq != first.Seq {
		t.Errorf("the fact is entry %d, want %d", f.ByKey[key(1)].Seq, first.Seq)
	}
}

// TestRemoteGone: without its remote a ledger says so, can be read, keeps what is
// done, and sends it when the remote is back.
func TestRemoteGone(t *testing.T) {
	remote, clones := newClones(t, 2)
	l := openLedger(t, clones[0])
	mustAppend(t, l, trained(1))
	if err := os.Rename(remote, remote+".away"); err != nil {
		t.Fatal(err)
	}
	_, err := l.Facts(t.Context())
	wantFault(t, err, fault.Transient, "origin")
	if fault.HintOf(err) == "" {
		t.Error("no way out")
	}
	offline := func(o *Options) { o.Offline = true }
	if n := mustFacts(t, openLedger(t, clones[0], offline)).Count; n != 2 {
		t.Errorf("%d entries offline, want 2", n)
	}
	kept, err := l.Append(t.Context(), trained(2))
	wantFault(t, err, fault.Transient, "not pushed")
	if kept.Seq != 2 {
		t.Errorf("kept as %d, want 2", kept.Seq)
	}
	mustAppend(t, openLedger(t, clones[0], offline), trained(3))
	_, err = openLedger(t, clones[1], offline).Append(t.Context(), trained(4))
	wantFault(t, err, fault.Transient, "never seen")
	if err := os.Rename(remote+".away", remote); err != nil {
		t.Fatal(err)
	}
	if n := mustFacts(t, l).Count; n != 4 {
		t.Errorf("%d entries, want 4", n)
	}
	if n := mustFacts(t, openLedger(t, clones[1])).Count; n != 4 {
		t.Errorf("the other clone sees %d entries, want 4", n)
	}
	git(t, remote, "fsck", "--strict")
}

// TestApartIsConflict: two clones that went on by themselves are told, with both heads.
func TestApartIsConflict(t *testing.T) {
	_, clones := newClones(t, 2)
	a, b := openLedger(t, clones[0]), openLedger(t, clones[1])
	mustAppend(t, a, trained(1))
	mustFacts(t, b)
	mustAppend(t, openLedger(t, clones[1], func(o *Options) { o.Offline = true }), trained(2))
	mustAppend(t, a, trained(3))
	_, err := b.Facts(t.Context())
	wantFault(t, err, fault.Conflict, git(t, clones[0], "rev-parse", "vishwa/ledger"), git(t, clones[1], "rev-parse", "vishwa/ledger"))
	_, err = b.Append(t.Context(), trained(4))
	wantFault(t, err, fault.Conflict)
}

// TestRefusedPush: a remote whose rules refuse the push is Denied, soon, with its reason.
func TestRefusedPush(t *testing.T) {
	remote, clones := newClones(t, 1)
	l := openLedger(t, clones[0])
	mustAppend(t, l, trained(1))
	hook := filepath.Join(remote, "hooks", "update")
	write(t, remote, "hooks/update", "#!/bin/sh\nexit 1\n")
	if err := os.Chmod(hook, 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := l.Append(t.Context(), trained(2))
	wantFault(t, err, fault.Denied, "hook declined")
	if n := git(t, clones[0], "rev-list", "--count", "vishwa/ledger"); n != "2" {
		t.Errorf("%s entries here, want 2: a refused entry must not stay", n)
	}
	if err := os.Remove(hook); err != nil {
		t.Fatal(err)
	}
	if got := mustAppend(t, l, trained(2)); got.Seq != 2 {
		t.Errorf("recorded as %d, want 2", got.Seq)
	}
}

// TestLeftBehindLock: a ref's lock file that a killed process left does not stop the next one.
func TestLeftBehindLock(t *testing.T) {
	dir := newRepo(t)
	l := openLedger(t, dir)
	mustAppend(t, l, trained(1))
	lock := filepath.Join(dir, ".git/refs/heads/vishwa/ledger.lock")
	write(t, dir, ".git/refs/heads/vishwa/ledger.lock", "0123456789012345678901234567890123456789\n")
	old := time.Now().Add(-time.Minute)
	if err := os.Chtimes(lock, old, old); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, trained(2))
	write(t, dir, ".git/refs/heads/vishwa/ledger.lock", "")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := l.Append(ctx, trained(3))
	wantFault(t, err, fault.Cancelled) // what another holds right now is waited for
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	if got := mustAppend(t, l, trained(3)); got.Seq != 3 {
		t.Errorf("recorded as %d, want 3", got.Seq)
	}
}

// TestNothingUnsignedNothingStrange: no signer, a strange ref, a strange branch or remote name are refused.
func TestNothingUnsignedNothingStrange(t *testing.T) {
	dir := newRepo(t)
	r := openRepo(t, dir)
	n := &gittest.Notary{}
	for _, name := range []string{"-x", "--upload-pack=x", "a..b", "a//b", "a b", "x.lock", "/a", "a/", "a\nb", "@{u}"} {
		_, err := Open(r.Place(), Options{Branch: name, Verifier: n, Now: time.Now})
		wantFault(t, err, fault.Invalid)
		_, err = Open(r.Place(), Options{Remote: name, Verifier: n, Now: time.Now})
		wantFault(t, err, fault.Invalid)
		_, err = repo.Open(dir, repo.Options{Branch: name})
		wantFault(t, err, fault.Invalid)
	}
	e := trained(1)
	e.Ref = schemas.Ref{Kind: "training", Name: "../../x"}
	l := openLedger(t, dir)
	_, err := l.Append(t.Context(), e)
	wantFault(t, err, fault.Invalid, "not a ref")
	unsigned := openLedger(t, dir, func(o *Options) { o.Signer = nil })
	_, err = unsigned.Append(t.Context(), trained(1))
	wantFault(t, err, fault.Denied)
	git(t, dir, "branch", "vishwa2")
	git(t, dir, "branch", "team")
	inTheWay := openLedger(t, dir, func(o *Options) { o.Branch = "team/ledger" })
	_, err = inTheWay.Append(t.Context(), trained(1))
	wantFault(t, err, fault.Conflict)
}

// TestCredentialsStayOut: no error about a remote holds its password.
func TestCredentialsStayOut(t *testing.T) {
	for _, url := range []string{
		"http://ada:hunter2@127.0.0.1:1/x.git", "https://hunter2@127.0.0.1:1/x.git?token=hunter2",
		"ssh://ada:hunter2@127.0.0.1:1/x.git", "ada:hunter2@[bad::url", "http://ada:hunter2@127.0.0.1:1/%zz",
	} {
		dir := newRepo(t)
		git(t, dir, "remote", "add", "origin", url)
		l := openLedger(t, dir)
		_, err := l.Facts(t.Context())
		if err == nil {
			t.Fatalf("%s: no error", url)
		}
		if all := err.Error() + fault.HintOf(err) + l.Remote(); strings.Contains(all, "hunter2") {
			t.Errorf("the password is in %q", all)
		}
	}
}

// TestRolesSign: what refuses is signed by another key than what builds or deploys.
func TestRolesSign(t *testing.T) {
	dir := newRepo(t)
	n := &gittest.Notary{}
	cheat := &sameRole{n}
	l := openLedger(t, dir, func(o *Options) { o.Signer = cheat })
	e := trained(1)
	e.Action = ledger.Fail
	mustAppend(t, l, e)
	_, err := openLedger(t, dir).Facts(t.Context())
	wantFault(t, err, fault.Corrupt, "entry 1", fmt.Sprint(port.Refuse))
}

type sameRole struct{ *gittest.Notary }

func (s *sameRole) Sign(ctx context.Context, _ port.Role, b []byte) ([]byte, error) {
	return s.Notary.Sign(ctx, port.Build, b)
}
