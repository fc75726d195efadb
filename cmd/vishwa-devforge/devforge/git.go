// Git, run on the bare repositories: the double never writes objects by itself.

package devforge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
	"unicode"

	"github.com/hiddeco/sshsig"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

const zeroSHA = "0000000000000000000000000000000000000000"

func gitProgram() (string, error) {
	p, err := exec.LookPath("git")
	if err != nil {
		return "", fault.WithHint(fault.New(fault.Missing, "find git: %w", err), "install git, 2.38 or later")
	}
	return p, nil
}

// clean is an environment without the caller's Git settings.
func clean(dir string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C", "GIT_TERMINAL_PROMPT=0",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
	}
}

// run is what git printed, without the last line feed.
func (f *Forge) run(dir, stdin string, args ...string) (string, error) {
	return f.runAs(dir, stdin, nil, args...)
}

func (f *Forge) runAs(dir, stdin string, env []string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(f.ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, f.git, args...)
	cmd.Dir, cmd.Env = dir, append(clean(f.dir), env...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return strings.TrimSuffix(out.String(), "\n"), fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(errs.String()))
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// resolve is the commit that rev names: a full ref, a branch, a tag or a SHA.
func (f *Forge) resolve(r *repo, rev string) (string, error) {
	if rev == "" || strings.HasPrefix(rev, "-") || strings.ContainsAny(rev, ":^~ \n\x00") || strings.Contains(rev, "@{") {
		return "", refuse(http.StatusUnprocessableEntity, "No commit found for SHA: %s", rev)
	}
	for _, name := range names(rev) {
		sha, err := f.run(r.dir, "", "rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{commit}")
		if err == nil {
			return lastLine(sha), nil
		}
	}
	return "", refuse(http.StatusUnprocessableEntity, "No commit found for SHA: %s", rev)
}

// names are the full names that rev may be short for.
func names(rev string) []string {
	switch {
	case strings.HasPrefix(rev, "refs/") || isSHA(rev) && len(rev) == 40:
		return []string{rev}
	case strings.HasPrefix(rev, "heads/") || strings.HasPrefix(rev, "tags/"):
		return []string{"refs/" + rev, "refs/heads/" + rev}
	case isSHA(rev):
		return []string{"refs/heads/" + rev, "refs/tags/" + rev, rev}
	}
	return []string{"refs/heads/" + rev, "refs/tags/" + rev}
}

func lastLine(s string) string { return s[strings.LastIndexByte(s, '\n')+1:] }

func isSHA(s string) bool {
	return len(s) >= 7 && len(s) <= 40 && strings.Trim(s, "0123456789abcdef") == ""
}

// ancestor tells whether a is b or before it.
func (f *Forge) ancestor(r *repo, a, b string) bool {
	_, err := f.run(r.dir, "", "merge-base", "--is-ancestor", a, b)
	return err == nil
}

var errConflict = errors.New("the branches conflict")

// mergeTree is the tree of ours and theirs put together.
func (f *Forge) mergeTree(r *repo, ours, theirs string) (string, error) {
	out, err := f.run(r.dir, "", "merge-tree", "--write-tree", "--no-messages", ours, theirs)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return "", errConflict
	}
	return out, err
}

// commit is what a new commit holds besides its time.
type commit struct {
	tree, message string
	parents       []string
	author        string // login, or a line as Git writes it where it holds a "> "
	unsigned      bool   // GitHub signs what it commits, but not what it rebases
}

// write makes a commit of r by GitHub's own hand.
func (f *Forge) write(r *repo, c commit) (string, error) {
	when := fmt.Sprintf("%d +0000", f.at().Unix())
	author := c.author
	if !strings.Contains(author, "> ") {
		author = strings.Map(func(r rune) rune {
			if r == '<' || r == '>' || unicode.IsControl(r) {
				return -1
			}
			return r
		}, author)
		author = fmt.Sprintf("%s <%s@users.noreply.github.com> %s", author, author, when)
	}
	var head strings.Builder
	fmt.Fprintf(&head, "tree %s\n", c.tree)
	for _, p := range c.parents {
		fmt.Fprintf(&head, "parent %s\n", p)
	}
	fmt.Fprintf(&head, "author %s\ncommitter GitHub <noreply@github.com> %s\n", author, when)
	message := "\n" + strings.TrimRight(strings.ReplaceAll(c.message, "\x00", ""), "\n") + "\n"
	signature := ""
	if !c.unsigned {
		sig, err := sshsig.Sign(strings.NewReader(head.String()+message), f.key, sshsig.HashSHA512, "git")
		if err != nil {
			return "", fmt.Errorf("sign commit: %w", err)
		}
		signature = "gpgsig " + strings.ReplaceAll(strings.TrimSpace(string(sshsig.Armor(sig))), "\n", "\n ") + "\n"
	}
	return f.run(r.dir, head.String()+signature+message, "hash-object", "-t", "commit", "-w", "--stdin")
}

// unsigned tells whether a commit after base up to head carries no signature.
func (f *Forge) unsigned(r *repo, base, head string) (bool, error) {
	list, err := f.run(r.dir, "", "rev-list", base+".."+head)
	if err != nil {
		return false, err
	}
	for _, sha := range strings.Fields(list) {
		raw, err := f.run(r.dir, "", "cat-file", "commit", sha)
		if err != nil {
			return false, err
		}
		headers, _, _ := strings.Cut(raw, "\n\n")
		if !strings.Contains(headers, "\ngpgsig") {
			return true, nil
		}
	}
	return false, nil
}

// history lists the commits of a push as webhooks do, oldest first: at most 20.
func (f *Forge) history(r *repo, old, sha string) []any {
	out := []any{}
	if old == zeroSHA || sha == zeroSHA {
		return out
	}
	list, err := f.run(r.dir, "", "log", "--reverse", "-n", "20", "--format=%H%x1f%an%x1f%ae%x1f%aI%x1f%s", old+".."+sha)
	if err != nil {
		return out // what is no commit has no history
	}
	for line := range strings.Lines(list) {
		if p := strings.Split(strings.TrimSpace(line), "\x1f"); len(p) == 5 {
			out = append(out, object{"id": p[0], "author": object{"name": p[1], "email": p[2]}, "timestamp": p[3], "message": p[4], "distinct": true})
		}
	}
	return out
}
