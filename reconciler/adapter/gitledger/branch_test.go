// Files on a branch that Git itself verifies, beside what others put there, and never on a branch that declares.

package gitledger

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
	"github.com/vishwaops/vishwa/reconciler/port"
)

const deliveredFile = "models/prod/churn.yaml"

func delivers(t *testing.T, l *Ledger, name string) port.Branch {
	t.Helper()
	b, err := l.Delivers(name, "release")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func deliver(t *testing.T, b port.Branch, was, content string) {
	t.Helper()
	bytes := func(s string) []byte {
		if s == "" {
			return nil
		}
		return []byte(s)
	}
	if err := b.Write(t.Context(), deliveredFile, bytes(was), bytes(content), "Deliver churn\n\nVishwa-Ref: deployment/churn\n"); err != nil {
		t.Fatal(err)
	}
	if has, err := b.Read(t.Context(), deliveredFile); err != nil || string(has) != content {
		t.Fatalf("it reads %q, %v; want %q", has, err, content)
	}
}

func TestWhatIsDeliveredIsASignedCommitBesideWhatOthersPutThere(t *testing.T) {
	remote, clones := newClones(t, 2)
	b := delivers(t, openLedger(t, clones[0]), "environments/prod")
	if has, err := b.Read(t.Context(), deliveredFile); has != nil || err != nil {
		t.Fatalf("a branch that is not there reads %q, %v", has, err)
	}
	deliver(t, b, "", "one\n")
	deliver(t, b, "", "one\n") // a process that died once it was pushed does it again
	if n := git(t, remote, "rev-list", "--count", "environments/prod"); n != "1" {
		t.Errorf("written twice, the branch has %s commits", n)
	}
	allowed := t.TempDir()
	write(t, allowed, "allowed", `vishwa@localhost namespaces="git" `+string(ssh.MarshalAuthorizedKey(gittest.SSHKey(t).PublicKey())))
	if out := git(t, remote, "-c", "gpg.format=ssh", "-c", "gpg.ssh.allowedSignersFile="+filepath.Join(allowed, "allowed"), "verify-commit", "-v", "environments/prod"); !strings.Contains(out, `Good "git" signature for vishwa@localhost`) {
		t.Errorf("git verify-commit: %s", out)
	}

	// People put their own files on it, and Vishwa's change goes on top, from any clone.
	git(t, clones[1], "fetch", "-q", "origin", "environments/prod")
	git(t, clones[1], "checkout", "-q", "-b", "theirs", "FETCH_HEAD")
	write(t, clones[1], "models/prod/kustomization.yaml", "resources: [churn.yaml]\n")
	git(t, clones[1], "add", "-A")
	git(t, clones[1], "commit", "-qm", "Have Flux read it")
	git(t, clones[1], "push", "-q", "origin", "theirs:environments/prod")
	deliver(t, b, "one\n", "two\n")
	deliver(t, delivers(t, openLedger(t, clones[1]), "environments/prod"), "two\n", "three\n")
	if out := git(t, remote, "log", "--format=%s", "environments/prod"); out != "Deliver churn\nDeliver churn\nHave Flux read it\nDeliver churn" {
		t.Errorf("the branch has\n%s", out)
	}
	if err := b.Write(t.Context(), deliveredFile, []byte("two\n"), []byte("four\n"), "Deliver churn\n"); fault.Of(err) != fault.Conflict {
		t.Errorf("what another changed is written over: %v", err)
	}
	deliver(t, b, "three\n", "")
	if out := git(t, remote, "ls-tree", "-r", "--name-only", "environments/prod"); out != "models/prod/kustomization.yaml" {
		t.Errorf("after it was taken away the branch has %s", out)
	}
	git(t, remote, "fsck", "--strict", "--full")
}

// TestADeliveryBranchIsFetchedOnce: another process that looks fetches what others pushed since, and no history anew.
func TestADeliveryBranchIsFetchedOnce(t *testing.T) {
	_, clones := newClones(t, 2)
	deliver(t, delivers(t, openLedger(t, clones[0]), "environments/prod"), "", "one\n")
	git(t, clones[1], "fetch", "-q", "origin", "environments/prod")
	git(t, clones[1], "checkout", "-q", "-b", "theirs", "FETCH_HEAD")
	theirs := func(n int) {
		for i := range n {
			write(t, clones[1], "notes.txt", strings.Repeat("x", i+n)+"\n")
			git(t, clones[1], "add", "-A")
			git(t, clones[1], "commit", "-qm", "Note")
		}
		git(t, clones[1], "push", "-q", "origin", "theirs:environments/prod")
	}
	objects := func() (n int) {
		for line := range strings.Lines(git(t, clones[0], "count-objects", "-v")) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			if m, err := strconv.Atoi(value); err == nil && (name == "count" || name == "in-pack") {
				n += m
			}
		}
		return n
	}
	look := func() int {
		was := objects()
		if has, err := delivers(t, openLedger(t, clones[0]), "environments/prod").Read(t.Context(), deliveredFile); err != nil || string(has) != "one\n" {
			t.Fatalf("it reads %q, %v", has, err)
		}
		return objects() - was
	}
	theirs(12)
	if n := look(); n != 36 {
		t.Errorf("%d objects came of 12 commits", n)
	}
	theirs(1)
	if n := look(); n != 3 {
		t.Errorf("%d objects came of one commit more", n)
	}
	if n := look(); n != 0 {
		t.Errorf("%d objects came of nothing", n)
	}
	git(t, clones[0], "fsck", "--strict", "--full")
}

func TestNothingIsDeliveredWhereDeclarationsOrVishwasOwnBranchesAre(t *testing.T) {
	remote, clones := newClones(t, 1)
	own := git(t, remote, "symbolic-ref", "--short", "HEAD")
	l := openLedger(t, clones[0])
	mustAppend(t, l, trained(1))
	before := git(t, remote, "for-each-ref")
	for _, name := range []string{own, strings.ToUpper(own), "release", "Release", "vishwa/ledger", "Vishwa/Ledger", "vishwa/refresh/main/x", "vishwa", "HEAD", "refs/heads/" + own, "a..b", "-f", "a/.b", "a.lock", "a b", ""} {
		b, err := l.Delivers(name, "release")
		if err == nil {
			err = b.Write(t.Context(), deliveredFile, nil, []byte("x"), "x")
		}
		if kind := fault.Of(err); err == nil || kind != fault.Denied && kind != fault.Invalid {
			t.Errorf("%q is written to: %v", name, err)
		}
	}
	if now := git(t, remote, "for-each-ref"); now != before {
		t.Errorf("refs have moved:\n%s\nwere\n%s", now, before)
	}
}

// TestARemoteThatDoesNotSayItsOwnBranchHasNothingDeliveredOnIt: not every server tells where its HEAD leads.
func TestARemoteThatDoesNotSayItsOwnBranchHasNothingDeliveredOnIt(t *testing.T) {
	remote, clones := newClones(t, 1)
	own := git(t, remote, "symbolic-ref", "--short", "HEAD")
	l := openLedger(t, clones[0])
	mustAppend(t, l, trained(1))
	git(t, remote, "update-ref", "--no-deref", "HEAD", own)
	git(t, clones[0], "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")
	git(t, clones[0], "checkout", "-q", "--detach")
	for _, name := range []string{"main", "Master", "trunk"} {
		if err := delivers(t, l, name).Write(t.Context(), deliveredFile, nil, []byte("x"), "x"); fault.Of(err) != fault.Denied {
			t.Errorf("%q is written to: %v", name, err)
		}
	}
	deliver(t, delivers(t, l, "environments/prod"), "", "one\n")
}

func TestWhatIsInTheWayOfADeliveryIsToldAndLeft(t *testing.T) {
	remote, clones := newClones(t, 1)
	git(t, clones[0], "checkout", "-q", "--orphan", "env")
	git(t, clones[0], "rm", "-rqf", ".")
	write(t, clones[0], "elsewhere/churn.yaml", "theirs\n")
	if err := os.Symlink("elsewhere", filepath.Join(clones[0], "linked")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("churn.yaml", filepath.Join(clones[0], "elsewhere/link.yaml")); err != nil {
		t.Fatal(err)
	}
	git(t, clones[0], "add", "-A")
	git(t, clones[0], "commit", "-qm", "Theirs")
	git(t, clones[0], "push", "-q", "origin", "env")
	git(t, clones[0], "checkout", "-q", "--detach")
	b := delivers(t, openLedger(t, clones[0]), "env")
	for _, path := range []string{"linked/churn.yaml", "elsewhere/link.yaml", "elsewhere/churn.yaml/churn.yaml", "elsewhere"} {
		if err := b.Write(t.Context(), path, nil, []byte("x"), "x"); fault.Of(err) != fault.Conflict {
			t.Errorf("%s is written: %v", path, err)
		}
	}
	// A protection of the branch says so, and what to do about it.
	write(t, remote, "hooks/pre-receive", "#!/bin/sh\necho 'env is protected' >&2\nexit 1\n")
	if err := os.Chmod(filepath.Join(remote, "hooks/pre-receive"), 0o700); err != nil {
		t.Fatal(err)
	}
	err := b.Write(t.Context(), deliveredFile, nil, []byte("x"), "x")
	if fault.Of(err) != fault.Denied || !strings.Contains(err.Error(), "env is protected") || !strings.Contains(fault.HintOf(err), "branch env") {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}
}

func TestWithoutARemoteItIsDeliveredOnABranchOfTheClone(t *testing.T) {
	dir := newRepo(t)
	l := openLedger(t, dir)
	b := delivers(t, l, "environments/prod")
	deliver(t, b, "", "one\n")
	deliver(t, b, "one\n", "two\n")
	deliver(t, b, "two\n", "")
	if n := git(t, dir, "rev-list", "--count", "environments/prod"); n != "3" {
		t.Errorf("the branch has %s commits", n)
	}
	here := delivers(t, l, git(t, dir, "symbolic-ref", "--short", "HEAD"))
	if err := here.Write(t.Context(), deliveredFile, nil, []byte("x"), "x"); fault.Of(err) != fault.Denied {
		t.Errorf("the branch that is checked out is written to: %v", err)
	}
}
