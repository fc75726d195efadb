// The Git side, driven with the real git.

package devforge_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-github/v62/github"
	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/cmd/vishwa-devforge/devforge"
)

func TestGitClonesFetchesAndPushes(t *testing.T) {
	f := start(t)
	w := seeded(t, f)
	other := clone(t, f, repoName, "bela")
	if got, want := other.git("rev-parse", "HEAD"), w.git("rev-parse", "HEAD"); got != want {
		t.Errorf("bela cloned %s, asha pushed %s", got, want)
	}
	want := w.commit("train.py", strings.Repeat("x = 1\n", 400_000)) // beyond http.postBuffer: a chunked request
	w.git("-c", "core.compression=0", "-c", "http.postBuffer=65536", "push", "--quiet", "origin", "main")
	other.git("fetch", "--quiet")
	if got := other.git("rev-parse", "origin/main"); got != want {
		t.Errorf("bela fetched %s, asha pushed %s", got, want)
	}
	if got := other.git("-c", "protocol.version=2", "ls-remote", "origin", "refs/heads/main"); !strings.HasPrefix(got, want) {
		t.Errorf("ls-remote says %q", got)
	}
}

func TestGitAsksWhoComes(t *testing.T) {
	f := start(t)
	w := seeded(t, f)
	reader := clone(t, f, repoName, "bela")
	reader.git("checkout", "--quiet", "-b", "mine")
	reader.commit("x", "y")
	for name, c := range map[string]struct {
		in   tree
		args []string
		want string
	}{
		"nobody":         {w, []string{"ls-remote", f.CloneURL(repoName)}, "Username"},
		"a wrong token":  {w, []string{"ls-remote", strings.Replace(f.CloneURL(repoName), "//", "//x-access-token:ghp_wrong@", 1)}, "Authentication failed"},
		"a stranger":     {w, []string{"ls-remote", strings.Replace(f.CloneURL(repoName), "//", "//x-access-token:"+f.Token("cleo")+"@", 1)}, "not found"},
		"a reader":       {reader, []string{"push", "origin", "mine"}, "not granted"},
		"a pull request": {w, []string{"push", "origin", "HEAD:refs/pull/7/head"}, "hidden ref"},
	} {
		t.Run(name, func(t *testing.T) {
			if out, err := c.in.try(c.args...); err == nil || !strings.Contains(out, c.want) {
				t.Errorf("git %v: %v\n%s\nlacks %q", c.args[0], err, out, c.want)
			}
		})
	}
	if err := f.Publish(repoName); err != nil {
		t.Fatal(err)
	}
	w.git("ls-remote", f.CloneURL(repoName))
	out := w.git("-c", "http.extraHeader=Authorization: Bearer "+f.Token("asha"), "push", "--quiet", f.CloneURL(repoName), "HEAD:refs/heads/bearer")
	if out != "" {
		t.Errorf("a push with a bearer token printed %q", out)
	}
}

func TestProtectionHoldsAgainstPushes(t *testing.T) {
	f := start(t)
	w := seeded(t, f)
	w.git("push", "--quiet", "origin", "main:plain", "main:reviewed", "main:signed", "main:checked", "main:direct", "main:bot/ledger")
	ok(t, f.Protect(repoName, "plain", devforge.Protection{}))
	ok(t, f.Protect(repoName, "reviewed", devforge.Protection{RequiredReviews: 1}))
	ok(t, f.Protect(repoName, "signed", devforge.Protection{RequiredSignatures: true}))
	ok(t, f.Protect(repoName, "checked", devforge.Protection{RequiredChecks: []string{"vishwa/plan"}}))
	ok(t, f.Protect(repoName, "direct", devforge.Protection{NoDirectPush: true}))
	ok(t, f.Protect(repoName, "bot/ledger", devforge.Protection{NoDirectPush: true, Bypass: []string{"asha"}}))
	w.commit("a", "b")
	w.git("push", "--quiet", "origin", "HEAD:plain", "HEAD:bot/ledger")
	for name, c := range map[string]struct {
		refspec string
		want    []string
	}{
		"a rewrite":              {"+HEAD~1:plain", []string{"GH006: Protected branch update failed for refs/heads/plain", "Cannot force-push"}},
		"a deletion":             {":plain", []string{"GH006", "Cannot delete"}},
		"a push without review":  {"HEAD:reviewed", []string{"GH006", "At least 1 approving review is required"}},
		"a push without check":   {"HEAD:checked", []string{"GH006", `Required status check "vishwa/plan" is expected.`}},
		"a push without signing": {"HEAD:signed", []string{"GH006", "Commits must have verified signatures."}},
		"a direct push":          {"HEAD:direct", []string{"GH013: Repository rule violations found for refs/heads/direct", "must be made through a pull request"}},
		"a rewrite by who may":   {"+HEAD~1:bot/ledger", []string{"GH006", "Cannot force-push"}},
		"the default's deletion": {":main", []string{"refusing to delete the current branch"}},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := w.try("push", "origin", c.refspec)
			if err == nil {
				t.Fatal("the push went through")
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("the pusher is not told %q:\n%s", want, out)
				}
			}
		})
	}
	w.git("push", "--quiet", "origin", "HEAD:free")
	w.git("push", "--quiet", "--force", "origin", "HEAD~1:free") // what nothing protects is rewritten
}

func TestSignedCommitsPass(t *testing.T) {
	f := start(t)
	w := seeded(t, f)
	ok(t, f.Protect(repoName, "main", devforge.Protection{RequiredSignatures: true}))
	raw := w.git("cat-file", "commit", "HEAD")
	head, message, _ := strings.Cut(raw, "\n\n")
	commit := strings.Replace(head, "\nauthor", "\nparent "+w.git("rev-parse", "HEAD")+"\nauthor", 1) + "\ngpgsig -----BEGIN SSH SIGNATURE-----\n x\n -----END SSH SIGNATURE-----\n\n" + message + "\n"
	sha := w.object(commit)
	w.git("push", "--quiet", "origin", sha+":refs/heads/main")
}

func TestWhatTheForgeMergesIsSigned(t *testing.T) {
	f := start(t)
	w, _ := proposed(t, f)
	ok(t, f.Protect(repoName, "main", devforge.Protection{RequiredSignatures: true}))
	for _, method := range []string{"merge", "rebase"} {
		if _, err := f.Merge(repoName, 1, "asha", method); err == nil || !strings.Contains(err.Error(), "verified signatures") {
			t.Errorf("unsigned commits went in by %s: %v", method, err)
		}
	}
	sha, err := f.Merge(repoName, 1, "asha", "squash")
	ok(t, err)
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("ssh-keygen is missing: apt-get install openssh-client")
		}
		t.Skip("ssh-keygen is missing: apt-get install openssh-client")
	}
	w.git("fetch", "--quiet", "origin", "main")
	allowed := filepath.Join(t.TempDir(), "allowed")
	ok(t, os.WriteFile(allowed, append([]byte(`noreply@github.com namespaces="git" `), ssh.MarshalAuthorizedKey(f.PublicKey())...), 0o600))
	if out := w.git("-c", "gpg.ssh.allowedSignersFile="+allowed, "verify-commit", sha); !strings.Contains(out, `Good "git" signature for noreply@github.com`) {
		t.Errorf("git says of the squash: %s", out)
	}
}

func TestOddBranchesAreBranches(t *testing.T) {
	f := start(t)
	w := seeded(t, f)
	for i, b := range []string{"renovate/@types/node-20.x", "a=b", "été", "deadbeef", "heads/main"} {
		w.git("checkout", "--quiet", "-B", b, "main")
		w.commit("x", b)
		w.git("push", "--quiet", "origin", "refs/heads/"+b+":refs/heads/"+b)
		n, err := f.OpenPull(devforge.NewPull{Repo: repoName, Head: b, Title: "x\x00y", Author: "asha"})
		if err != nil || n != i+1 {
			t.Fatalf("branch %q: %d %v", b, n, err)
		}
		ok(t, f.Protect(repoName, b, devforge.Protection{}))
	}
	if _, err := f.Merge(repoName, 1, "asha", "squash"); err != nil {
		t.Errorf("merge: %v", err)
	}
	for _, b := range []string{"-x", "a..b", "a\nb", "", "@{1}", "a b"} {
		if f.Protect(repoName, b, devforge.Protection{}) == nil {
			t.Errorf("%q was taken as a branch", b)
		}
	}
}

func TestOtherRefsArePushedInSilence(t *testing.T) {
	f := start(t)
	e := listen(t, f)
	w := seeded(t, f)
	w.git("push", "--quiet", "origin", "HEAD:refs/vishwa/lease")
	w.git("push", "--quiet", "origin", "HEAD:refs/heads/after")
	eventually(t, "the push after", e.has(3))
	if out := w.git("ls-remote", "origin", "refs/vishwa/lease"); out == "" {
		t.Error("the ref is not there")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.heard[2].(*github.PushEvent); p.GetRef() != "refs/heads/after" {
		t.Errorf("a webhook tells of %s", p.GetRef())
	}
}

func TestABranchIsRenamedAndDeleted(t *testing.T) {
	f := start(t)
	w, _ := proposed(t, f)
	ok(t, f.RenameDefault(repoName, "trunk"))
	p, err := f.Pull(repoName, 1)
	ok(t, err)
	if p.Base != "trunk" || p.State != "open" {
		t.Errorf("after the renaming the pull request is %+v", p)
	}
	if out := w.git("ls-remote", "--symref", "origin", "HEAD"); !strings.Contains(out, "refs/heads/trunk") {
		t.Errorf("HEAD is %q", out)
	}
	ok(t, f.DeleteBranch(repoName, "topic", "asha"))
	if p, _ := f.Pull(repoName, 1); p.State != "closed" || p.Merged {
		t.Errorf("without its branch the pull request is %+v", p)
	}
}

func TestAConnectionIsCutInTheMiddle(t *testing.T) {
	f := start(t)
	w := seeded(t, f)
	f.Break(devforge.Fault{Path: "git-upload-pack", Cut: true, After: 20, Times: 1})
	if out, err := w.try("clone", "--quiet", w.git("remote", "get-url", "origin"), t.TempDir()); err == nil {
		t.Errorf("a cut clone succeeded:\n%s", out)
	}
	w.git("clone", "--quiet", w.git("remote", "get-url", "origin"), t.TempDir())
	f.Break(devforge.Fault{Path: "info/refs", Status: http.StatusBadGateway, Times: 1})
	if out, err := w.try("fetch"); err == nil || !strings.Contains(out, "502") {
		t.Errorf("fetch from a broken forge: %v %s", err, out)
	}
	cut := 0
	for _, r := range f.Requests() {
		if r.Git && r.Status == 0 {
			cut++
		}
	}
	if cut != 1 {
		t.Errorf("the record has %d cut requests, not 1", cut)
	}
}
