// Which commits a choice of history is.

package repo

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// TestHistoryIsWhatIsChosen: branches, tags, the last few and all, with a merge, a tag of
// a tag and a tag of a file.
func TestHistoryIsWhatIsChosen(t *testing.T) {
	var when string
	dir := t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com",
			"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_COMMITTER_DATE="+when)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	step := func(name string) string {
		if err := os.WriteFile(dir+"/"+name, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
		git("add", name)
		git("commit", "-q", "-m", name)
		return git("rev-parse", "HEAD")
	}
	when = "2026-01-01T12:00:00Z"
	git("init", "-q", "-b", "main")
	one := step("one")
	git("tag", "-a", "-m", "x", "v1")
	git("tag", "-a", "-m", "x", "again", "v1")
	git("tag", "file", git("hash-object", "-w", "one"))
	two := step("two")
	git("checkout", "-q", "-b", "side", one)
	side := step("side")
	git("checkout", "-q", "main")
	when = "2026-02-01T12:00:00Z"
	git("merge", "-q", "-m", "merge", "side")
	merge := git("rev-parse", "HEAD")
	git("commit", "-q", "--allow-empty", "-m", "the same tree")
	git("branch", "-D", "side")
	same := git("rev-parse", "HEAD")
	git("pack-refs", "--all")

	r, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for name, c := range map[string]struct {
		of   History
		want []string
	}{
		"none":              {History{}, nil},
		"branches":          {History{Branches: true}, []string{same}},
		"tags":              {History{Tags: true}, []string{one}},
		"the last three":    {History{Branches: true, Last: 3}, []string{same, two}}, // merge has the tree of same
		"first parents":     {History{Revision: "main", Last: -1}, []string{same, two, one}},
		"a revision":        {History{Revision: "main~1"}, []string{merge}},
		"everything":        {History{All: true}, []string{same, two, side, one}},
		"since":             {History{Since: time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC)}, []string{same}},
		"branches and tags": {History{Branches: true, Tags: true}, []string{same, one}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := r.Commits(context.Background(), c.of)
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
	if _, err := r.Commits(context.Background(), History{Revision: "nothing"}); err == nil {
		t.Error("a revision that is not there was found")
	}
}

// TestBetweenHidesNothingBehindAMerge: what was committed between two commits is listed on
// whatever line it is, also where a merge names its parents the other way round, and where
// many commits followed that changed nothing of what is asked for.
func TestBetweenHidesNothingBehindAMerge(t *testing.T) {
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	dir := newRepo(t)
	commit := func(trust, message string) string {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "trust.yaml"), []byte(trust), 0o644); err != nil {
			t.Fatal(err)
		}
		git(t, dir, "add", "-A")
		git(t, dir, "commit", "-q", "--allow-empty", "-m", message)
		return git(t, dir, "rev-parse", "HEAD")
	}
	old := commit("bob", "old")
	git(t, dir, "checkout", "-q", "-b", "stale")
	commit("nobody", "a line that began before")
	git(t, dir, "checkout", "-q", "-")
	from := commit("bob", "released")
	git(t, dir, "checkout", "-q", "-b", "side")
	side := commit("bob", "side")
	git(t, dir, "checkout", "-q", "-")
	revoked := commit("bob revoked", "revoke")
	for range 5 {
		commit("bob revoked", "nothing")
	}
	line := git(t, dir, "rev-parse", "HEAD")
	tree := git(t, dir, "rev-parse", side+"^{tree}")
	swapped := git(t, dir, "commit-tree", tree, "-p", side, "-p", line, "-p", git(t, dir, "rev-parse", "stale"), "-m", "merge")
	r := openRepo(t, dir)
	got, err := r.Between(t.Context(), port.Span{From: from, To: swapped, Names: []string{"trust.yaml"}})
	if err != nil || len(got) != 2 {
		t.Fatalf("it lists %q, %v; want one with bob and one with bob revoked", got, err)
	}
	states := map[string]bool{}
	for _, sha := range got {
		states[git(t, dir, "show", sha+":trust.yaml")] = true
	}
	if !states["bob"] || !states["bob revoked"] {
		t.Errorf("it lists %v; %s revoked", states, revoked)
	}
	if got, err := r.Between(t.Context(), port.Span{From: swapped, To: from, Names: []string{"trust.yaml"}}); err != nil || len(got) != 0 {
		t.Errorf("on the way back: %q, %v", got, err)
	}
	if got, err := r.Between(t.Context(), port.Span{From: from, To: from, Names: []string{"trust.yaml"}}); err != nil || len(got) != 0 {
		t.Errorf("between a commit and itself: %q, %v", got, err)
	}
	if got, err := r.Between(t.Context(), port.Span{From: old, To: from, Names: []string{"trust.yaml", "none"}}); err != nil || len(got) != 1 {
		t.Errorf("of one commit: %q, %v", got, err)
	}
}

// TestBetweenListsWhatIsLookedAtAlone: a state that commits on both sides have is listed by
// the one that is looked at, and a swapped merge hides no commit that is among them.
func TestBetweenListsWhatIsLookedAtAlone(t *testing.T) {
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	dir := newRepo(t)
	commit := func(trust, message string) string {
		t.Helper()
		write(t, dir, "trust.yaml", trust)
		git(t, dir, "add", "-A")
		git(t, dir, "commit", "-q", "--allow-empty", "-m", message)
		return git(t, dir, "rev-parse", "HEAD")
	}
	from := commit("bob", "release")
	git(t, dir, "checkout", "-q", "-b", "pull")
	emptied := commit("nobody", "empty")
	back := commit("bob", "back")
	git(t, dir, "checkout", "-q", "-")
	revoked := commit("nobody", "revoke") // the same state, and once the tip
	tree := git(t, dir, "rev-parse", back+"^{tree}")
	swapped := git(t, dir, "commit-tree", tree, "-p", back, "-p", revoked, "-m", "merge")
	honest := git(t, dir, "commit-tree", tree, "-p", from, "-p", back, "-m", "merge")
	r := openRepo(t, dir)
	for name, c := range map[string]struct {
		to   string
		only []string
		want []string
	}{
		"a pull request that took it back":                {honest, []string{honest, from}, []string{honest}},
		"a swapped merge over what was the tip":           {swapped, []string{swapped, revoked, from}, []string{swapped, revoked}},
		"what was at no time in the branch is not listed": {honest, []string{revoked}, nil},
		"none is known, and all count":                    {honest, nil, []string{honest, emptied}},
	} {
		got, err := r.Between(t.Context(), port.Span{From: from, To: c.to, Names: []string{"trust.yaml"}, Only: c.only})
		if err != nil || !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(c.want))) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, c.want)
		}
	}
}

// TestARevisionNamesACommit: what names a tree or a file of one is not that commit.
func TestARevisionNamesACommit(t *testing.T) {
	dir := t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q", "-b", "main")
	if err := os.WriteFile(filepath.Join(dir, "one"), []byte("one"), 0o644); err != nil {
		t.Fatal(err)
	}
	git("add", "one")
	git("commit", "-q", "-m", "one")
	git("commit", "-q", "--allow-empty", "-m", "two")
	git("tag", "-a", "-m", "x", "v1")
	r, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	head, first := git("rev-parse", "HEAD"), git("rev-parse", "HEAD~1")
	for revision, want := range map[string]string{"HEAD": head, "main": head, "v1": head, "v1^{}": head, "v1^{commit}": head, "HEAD~1": first, "main^": first, head: head, head[:8]: head,
		"HEAD:one": "", "HEAD^{tree}": "", git("rev-parse", "HEAD^{tree}"): "", git("rev-parse", "HEAD:one"): "", "none": "", "HEAD~9": "", "": "", "..": ""} {
		got, err := r.Resolve(revision)
		if got != want || want == "" && fault.Of(err) != fault.Missing || want != "" && err != nil {
			t.Errorf("%q is %q, %v; want %q", revision, got, err, want)
		}
	}
}
