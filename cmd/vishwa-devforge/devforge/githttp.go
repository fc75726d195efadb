// Git over HTTP, served by Git itself: git http-backend as CGI, with GitHub's
// answers for who may not, and real hooks that hold the branch protection.

package devforge

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"os"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// hookScripts are put into every repository. They read the protection from the
// repository's configuration, as Protect wrote it.
var hookScripts = map[string]string{
	"pre-receive": `#!/bin/sh
# Refuses what branch protection refuses, in GitHub's words.
zero=0000000000000000000000000000000000000000
bad=0
while read -r old new ref; do
	case $ref in refs/heads/*) branch=${ref#refs/heads/} ;; *) continue ;; esac
	[ "$(git config "devforge.$branch.protected")" = true ] || continue
	say() { # CODE DETAIL
		bad=1
		if [ "$1" = GH006 ]; then echo "error: GH006: Protected branch update failed for $ref." >&2
		else echo "error: GH013: Repository rule violations found for $ref." >&2; fi
		echo "error: $2" >&2
	}
	if [ "$new" = $zero ]; then say GH006 "Cannot delete a protected branch"; continue; fi
	if [ "$old" != $zero ] && ! git merge-base --is-ancestor "$old" "$new"; then
		say GH006 "Cannot force-push to a protected branch"
	fi
	case $(git config "devforge.$branch.bypass") in *" $DEVFORGE_LOGIN "*) bypass=1 ;; *) bypass= ;; esac
	if [ -z "$bypass" ]; then
		[ "$(git config "devforge.$branch.nodirectpush")" = true ] && say GH013 "Changes must be made through a pull request."
		reviews=$(git config "devforge.$branch.reviews")
		[ "${reviews:-0}" -gt 0 ] && say GH006 "At least $reviews approving review is required by reviewers with write access."
		checks=$(git config "devforge.$branch.checks")
		[ -n "$checks" ] && say GH006 "Required status check \"$checks\" is expected."
	fi
	if [ "$(git config "devforge.$branch.signatures")" = true ]; then
		if [ "$old" = $zero ]; then range=$new; else range="$old..$new"; fi
		for c in $(git rev-list "$range"); do
			if ! git cat-file commit "$c" | sed '/^$/q' | grep -q '^gpgsig'; then
				say GH006 "Commits must have verified signatures."; break
			fi
		done
	fi
done
exit $bad
`,
	"post-receive": `#!/bin/sh
# Tells the forge what has moved.
cat >"${DEVFORGE_PUSHED:-/dev/null}"
`,
}

var gitPath = lazyregexp.New(`^/([^/]+)/([^/]+)\.git(/.*)$`)

// serveGit answers one request of the Git protocol.
func (f *Forge) serveGit(w http.ResponseWriter, r *http.Request, who actor) {
	m := gitPath.FindStringSubmatch(r.URL.Path)
	if m == nil || !strings.HasSuffix(m[3], "/info/refs") && m[3] != "/git-upload-pack" && m[3] != "/git-receive-pack" {
		http.Error(w, "Not Found", http.StatusNotFound)
		return
	}
	push := m[3] == "/git-receive-pack" || r.URL.Query().Get("service") == "git-receive-pack"
	rp, err := f.find(m[1] + "/" + m[2])
	if p := f.mayGit(rp, who, push); err != nil || p != nil {
		f.refuseGit(w, who, p)
		return
	}
	body := io.Reader(r.Body)
	if r.ContentLength < 0 { // CGI wants the length first
		spool, size, err := f.spool(r.Body)
		if err != nil {
			http.Error(w, "the request was cut", http.StatusBadRequest)
			return
		}
		defer os.Remove(spool.Name())
		defer spool.Close()
		body, r.ContentLength, r.TransferEncoding = spool, size, nil
	}
	r.Body = io.NopCloser(body)
	h := &cgi.Handler{
		Path: f.git, Args: []string{"http-backend"}, Dir: rp.dir, Stderr: io.Discard,
		Env: append(clean(f.dir), "GIT_HTTP_EXPORT_ALL=1", "GIT_PROJECT_ROOT="+rp.dir, "PATH_INFO="+m[3], "REMOTE_USER="+who.name(),
			"DEVFORGE_LOGIN="+who.name(), "GIT_PROTOCOL="+r.Header.Get("Git-Protocol")),
	}
	r.Header.Del("Authorization") // CGI would put it into the program's environment
	if m[3] != "/git-receive-pack" {
		h.ServeHTTP(w, r)
		return
	}
	answer := &answer{header: http.Header{}}
	moved, err := f.receive(answer, r, h)
	if err != nil {
		f.log.Error("a push was not followed", "error", err)
	}
	f.pushed(rp, who.name(), moved) // before the pusher hears of it
	answer.sendTo(w)
}

// receive serves a push and tells what it moved.
func (f *Forge) receive(w http.ResponseWriter, r *http.Request, h *cgi.Handler) ([]update, error) {
	told, err := os.CreateTemp(f.dir, "pushed-*")
	if err != nil {
		http.Error(w, "no room", http.StatusInternalServerError)
		return nil, fmt.Errorf("follow push: %w", err)
	}
	told.Close()
	defer os.Remove(told.Name())
	h.Env = append(h.Env, "DEVFORGE_PUSHED="+told.Name())
	h.ServeHTTP(w, r)
	lines, err := os.ReadFile(told.Name())
	if err != nil {
		return nil, fmt.Errorf("follow push: %w", err)
	}
	return parseUpdates(string(lines)), nil
}

// spool puts a body of unknown length into a file.
func (f *Forge) spool(body io.Reader) (*os.File, int64, error) {
	file, err := os.CreateTemp(f.dir, "body-*")
	if err != nil {
		return nil, 0, fmt.Errorf("spool request: %w", err)
	}
	n, err := io.Copy(file, body)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		file.Close()
		os.Remove(file.Name())
		return nil, 0, fault.New(fault.Transient, "spool request: %w", err)
	}
	return file, n, nil
}

func (f *Forge) mayGit(rp *repo, who actor, push bool) *Problem {
	if rp == nil {
		return errNotFound
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if push {
		return rp.may(who, "contents", "write", "write")
	}
	return rp.may(who, "contents", "read", "read")
}

// refuseGit tells the client what GitHub tells it; Git shows the text.
func (f *Forge) refuseGit(w http.ResponseWriter, who actor, p *Problem) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	switch {
	case who.token == nil:
		w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, "Authentication required.\n")
	case p == nil || p.Status == http.StatusNotFound:
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, "Repository not found.\n")
	default:
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, "Write access to repository not granted.\n")
	}
}

// update is one ref that a push has moved.
type update struct {
	old, new, ref string
	merged        bool // by a button, of a pull request
}

// parseUpdates reads what a post-receive hook is told.
func parseUpdates(s string) []update {
	var out []update
	for line := range strings.Lines(s) {
		if p := strings.Fields(line); len(p) == 3 && len(p[0]) == 40 && len(p[1]) == 40 {
			out = append(out, update{old: p[0], new: p[1], ref: p[2]})
		}
	}
	return out
}

// isGit tells requests of the Git protocol from all others.
func isGit(r *http.Request) bool { return gitPath.MatchString(r.URL.Path) }
