// What is taken back is what git revert takes back.

package repo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// TestACommitIsTakenBackAsGitRevertDoes: files that were added, removed, made executable, or linked; lines of a file that others
// changed elsewhere since; and folders that are left empty.
func TestACommitIsTakenBackAsGitRevertDoes(t *testing.T) {
	lines := func(change map[int]string) string {
		var b strings.Builder
		for i := range 20 {
			if text, ok := change[i]; ok {
				b.WriteString(text)
			} else {
				fmt.Fprintf(&b, "line %d\n", i)
			}
		}
		return b.String()
	}
	dir := newRepo(t)
	commit := func(change func()) string {
		t.Helper()
		change()
		git(t, dir, "add", "-A")
		git(t, dir, "commit", "-q", "-m", "c")
		return git(t, dir, "rev-parse", "HEAD")
	}
	put := func(path, text string) { t.Helper(); write(t, dir, path, text) }
	commit(func() {
		for path, text := range map[string]string{"a": lines(nil), "gone/away/x": "x\n", "run": "1\n", "same": "1\n"} {
			put(path, text)
		}
	})
	first := commit(func() {
		put("a", lines(map[int]string{3: "three\n", 4: ""}))
		put("new/deep/y", "y\n")
		_ = os.RemoveAll(filepath.Join(dir, "gone"))
		_ = os.Chmod(filepath.Join(dir, "run"), 0o755)
		_ = os.Symlink("a", filepath.Join(dir, "link"))
		put("same", "2\n")
	})
	commit(func() {
		put("a", lines(map[int]string{3: "three\n", 4: "", 12: "twelve\n", 19: "the end"}))
		put("same", "1\n") // by hand already
	})
	second := commit(func() { put("a", lines(map[int]string{3: "three\n", 4: "", 12: "twelve\n", 16: "", 19: "the end"})) })
	head := git(t, dir, "rev-parse", "HEAD")
	r := openRepo(t, dir)
	sha, err := r.Write(t.Context(), CommitDraft{Parent: head, Undo: []string{second, first}, Message: "Revert", Time: time.Unix(9, 0)})
	if err != nil {
		t.Fatal(err)
	}
	git(t, dir, "revert", "--no-edit", second, first)
	if got, want := git(t, dir, "rev-parse", sha+"^{tree}"), git(t, dir, "rev-parse", "HEAD^{tree}"); got != want {
		t.Errorf("it differs from what git revert made:\n%s", git(t, dir, "diff", want, got))
	}

	git(t, dir, "reset", "-q", "--hard", head)
	third := commit(func() { put("a", lines(map[int]string{3: "three\n", 4: "", 12: "a dozen\n", 16: "", 19: "the end"})) })
	over := commit(func() {
		put("a", lines(map[int]string{3: "three\n", 4: "", 12: "twelve again\n", 16: "", 19: "the end"}))
	})
	_, err = r.Write(t.Context(), CommitDraft{Parent: over, Undo: []string{third}, Message: "Revert", Time: time.Unix(9, 0)})
	if fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "a was changed since in the same place") {
		t.Errorf("what was changed since: %v", err)
	}
	root := git(t, dir, "rev-list", "--max-parents=0", "HEAD")
	_, err = r.Write(t.Context(), CommitDraft{Parent: over, Undo: []string{root}, Message: "Revert", Time: time.Unix(9, 0)})
	if fault.Of(err) != fault.Conflict {
		t.Errorf("the first commit: %v", err)
	}
}

// TestChangesOfDifferentLinesAreOne: in whichever order they are made, and what both changed is not guessed.
func TestChangesOfDifferentLinesAreOne(t *testing.T) {
	for name, c := range map[string]struct{ was, a, b, want string }{
		"apart":          {"1\n2\n3\n4\n", "one\n2\n3\n4\n", "1\n2\n3\nfour\n", "one\n2\n3\nfour\n"},
		"both the same":  {"1\n2\n", "one\n2\n", "one\n2\n", "one\n2\n"},
		"side by side":   {"1\n2\n3\n", "one\n2\n3\n", "1\ntwo\n3\n", "-"},
		"the same line":  {"1\n2\n", "one\n2\n", "uno\n2\n", "-"},
		"both at an end": {"1\n", "1\n2\n", "1\n3\n", "-"},
		"no last line":   {"1\n2\n3", "1\n2\n3\n", "one\n2\n3", "one\n2\n3\n"},
		"no text":        {"1\x00", "2\x00", "1\x00", "-"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, order := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
				got, ok := merged([]byte(c.was), []byte(order[0]), []byte(order[1]))
				if ok != (c.want != "-") || ok && string(got) != c.want {
					t.Errorf("%q, %v", got, ok)
				}
			}
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.Map(rapid.SliceOf(rapid.SampledFrom([]string{"a\n", "b\n", "c\n", "d"})), func(l []string) string { return strings.Join(l, "") })
		was, now := text.Draw(t, "was"), text.Draw(t, "now")
		for _, pair := range [][2]string{{was, now}, {now, was}} {
			if got, ok := merged([]byte(was), []byte(pair[0]), []byte(pair[1])); !ok || string(got) != now {
				t.Fatalf("a change alone: %q, %v", got, ok)
			}
		}
	})
}

// TestWhatIsAFileByNowIsInTheWay: a folder that a commit took away does not come back where a file has its name.
func TestWhatIsAFileByNowIsInTheWay(t *testing.T) {
	dir := newRepo(t)
	commit := func(change func()) string {
		t.Helper()
		change()
		git(t, dir, "add", "-A")
		git(t, dir, "commit", "-q", "-m", "c")
		return git(t, dir, "rev-parse", "HEAD")
	}
	commit(func() { write(t, dir, "a/b", "b\n"); write(t, dir, "other", "x\n") })
	gone := commit(func() { _ = os.RemoveAll(filepath.Join(dir, "a")) })
	head := commit(func() { write(t, dir, "a", "a file\n") })
	_, err := openRepo(t, dir).Write(t.Context(), CommitDraft{Parent: head, Undo: []string{gone}, Message: "Revert", Time: time.Unix(1e9, 0)})
	if fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "a is a file by now") {
		t.Errorf("%v", err)
	}
}

// TestLinesThatDifferAreFoundSoon: two texts that share nothing, and are as long as they may be.
func TestLinesThatDifferAreFoundSoon(t *testing.T) {
	long := func(n int, of string) []byte { return []byte(strings.Repeat(of, n)) }
	if _, ok := merged(long(mostLines+1, "a\n"), long(mostLines+1, "a\n"), long(1, "b\n")); ok {
		t.Error("lines beyond the bound were compared")
	}
	var one, other strings.Builder
	for i := range mostLines {
		fmt.Fprintf(&one, "a %d\n", i)
		fmt.Fprintf(&other, "b %d\n", i)
	}
	began := time.Now()
	merged([]byte(one.String()), []byte(other.String()), []byte(one.String()))
	if took := time.Since(began); took > 6*longest {
		t.Errorf("it took %s", took)
	}
}

// TestWhatIsTakenBackTwiceIsNoCommit: a commit and its own revert leave every file as it is.
func TestWhatIsTakenBackTwiceIsNoCommit(t *testing.T) {
	dir := newRepo(t)
	var commits []string
	for _, text := range []string{"1\n", "2\n", "1\n"} {
		write(t, dir, "a.txt", text)
		git(t, dir, "add", "-A")
		git(t, dir, "commit", "-q", "-m", "c")
		commits = append(commits, git(t, dir, "rev-parse", "HEAD"))
	}
	sha, err := openRepo(t, dir).Write(t.Context(), CommitDraft{Parent: commits[2], Undo: []string{commits[2], commits[1]}, Message: "Revert", Time: time.Unix(9, 0)})
	if !errors.Is(err, ErrUnchanged) || fault.Of(err) != fault.Conflict || sha != "" {
		t.Errorf("%s, %v", sha, err)
	}
}
