// Package mirror is a remote as a controller sees it: a bare clone that is kept between
// passes and that nothing planted in it can lead, and the refs of the remote by which
// several controllers agree on who acts.
package mirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
	"github.com/vishwaops/vishwa/reconciler/machine/holder"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Options say what is mirrored, and where.
type Options struct {
	URL string // without credentials
	Dir string // of the bare clone
	// Credentials log in over HTTP; nil where none are needed.
	Credentials func(ctx context.Context) (user, password string, err error)
	Env         port.Env
	Git         string // the program; without it, git on PATH
	Paces       gitremote.Paces
}

// Mirror is a bare clone of a remote. It is safe for concurrent use, by several
// processes too.
type Mirror struct {
	o      Options
	mu     sync.Mutex
	sealed atomic.Bool // by this process, once
}

// Open opens the clone, or makes an empty one.
func Open(ctx context.Context, o Options) (*Mirror, error) {
	if o.Git == "" {
		o.Git = "git"
	}
	if _, err := exec.LookPath(o.Git); err != nil {
		return nil, fault.WithHint(fault.New(fault.Missing, "find git: %w", err), "install git 2.38 or newer")
	}
	if strings.ContainsFunc(o.URL, unicode.IsControl) {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the address of the repository holds a character that cannot be seen"), "write it without")
	}
	m := &Mirror{o: o}
	return m, m.locked(ctx, func() error {
		if info, err := os.Lstat(o.Dir); err != nil || !info.IsDir() || !gitstore.IsGitDir(o.Dir) {
			return m.begin()
		}
		return m.seal()
	})
}

func (m *Mirror) locked(ctx context.Context, f func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := os.MkdirAll(filepath.Dir(m.o.Dir), 0o700); err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "make the folder of mirrors: %w", err), "let the user of the controller write to %s", filepath.Dir(m.o.Dir))
	}
	l, err := holder.Told(m.o.Env.Log).Lock(ctx, m.o.Dir+".lock")
	if err != nil {
		return fmt.Errorf("wait for the mirror: %w", err)
	}
	defer l.Close()
	return f()
}

// Dir is the folder of the bare clone.
func (m *Mirror) Dir() string { return m.o.Dir }

// URL is the address of the remote, without credentials.
func (m *Mirror) URL() string { return m.o.URL }

// way makes ready to ask the remote, as who.
func (m *Mirror) way(ctx context.Context) (*gitremote.Reach, transport.AuthMethod, error) {
	ep, err := transport.NewEndpoint(m.o.URL)
	if err != nil {
		return nil, nil, fault.WithHint(fault.New(fault.Invalid, "the address of the repository cannot be read"), "use an https, ssh or file URL")
	}
	r, err := gitremote.NewReach(ep, m.o.Paces.OrUsual().Ask, gitremote.Direct)
	if err != nil {
		return nil, nil, fault.WithHint(fault.New(fault.Invalid, "%s", gitremote.Redact(err.Error())), "correct the repository's url in the controller's file: an https, ssh or file URL")
	}
	if m.o.Credentials == nil || !strings.HasPrefix(m.o.URL, "http") {
		return r, nil, nil
	}
	user, password, err := m.o.Credentials(ctx)
	if err != nil {
		return nil, nil, err
	}
	return r, &githttp.BasicAuth{Username: user, Password: password}, nil
}

// MayPush tells whether the remote takes what these credentials push: it says what it has to
// who may push, and nothing is sent.
func (m *Mirror) MayPush(ctx context.Context) error {
	r, auth, err := m.way(ctx)
	if err != nil {
		return err
	}
	if folder, is := r.Folder(); is {
		if err := mayWrite(folder); err != nil {
			return err
		}
	}
	s, _, err := r.Takes(ctx, auth)
	if errors.Is(err, transport.ErrEmptyRemoteRepository) {
		return nil
	}
	if err != nil {
		failed := m.failed(ctx, err)
		if fault.Of(failed) == fault.Denied {
			return fault.WithHint(fault.New(fault.Denied, "%s", strings.TrimSpace(gitremote.Plainly(err))), "give the credentials write access to the repository")
		}
		return failed
	}
	defer r.Close()
	return s.Close()
}

// mayWrite tells whether this user may add objects to the repository at dir.
func mayWrite(dir string) error {
	for _, at := range []string{"objects", filepath.Join(".git", "objects")} {
		path := filepath.Join(dir, at)
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			continue
		}
		if err := unix.Access(path, unix.W_OK); err != nil {
			return fault.WithHint(fault.New(fault.Denied, "this user may not write to %s", dir), "run the controller as a user who may, or let the user's group write: chmod -R g+w %s", dir)
		}
		return nil
	}
	return fault.WithHint(fault.New(fault.Missing, "%s is not a Git repository", dir), "correct the path of the repository")
}

// Refs lists the branches, pull requests and Vishwa's own refs of the remote, by one
// question and without fetching anything. HEAD names the default branch's ref.
func (m *Mirror) Refs(ctx context.Context) (map[string]string, error) {
	r, auth, err := m.way(ctx)
	if err != nil {
		return nil, err
	}
	s, adv, err := r.Refs(ctx, auth)
	if errors.Is(err, transport.ErrEmptyRemoteRepository) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, m.failed(ctx, err)
	}
	defer r.Close()
	defer s.Close()
	out := make(map[string]string, len(adv.References)+1)
	for _, link := range adv.Capabilities.Get(capability.SymRef) {
		if branch, ok := strings.CutPrefix(link, "HEAD:"); ok {
			out["HEAD"] = branch
		}
	}
	for name, hash := range adv.References {
		out[name] = hash.String()
	}
	return out, nil
}

func (m *Mirror) failed(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return fault.New(fault.Cancelled, "look at %s: %w", gitremote.Redact(m.o.URL), context.Cause(ctx))
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed):
		return fault.WithHint(fault.New(fault.Denied, "look at %s: %s", gitremote.Redact(m.o.URL), gitremote.Plainly(err)), "check the credentials")
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return fault.WithHint(fault.New(fault.Missing, "look at %s: %s", gitremote.Redact(m.o.URL), gitremote.Plainly(err)), "check the address, and that the credentials may read it")
	}
	if gitremote.Untrusted(gitremote.Plainly(err)) {
		return gitremote.NotTrusted("look at "+gitremote.Redact(m.o.URL), gitremote.Plainly(err))
	}
	return fault.WithHint(fault.New(fault.Transient, "look at %s: %s", gitremote.Redact(m.o.URL), gitremote.Plainly(err)), "try again when it answers")
}

// Fetch makes refs here what they are there, forced updates included.
func (m *Mirror) Fetch(ctx context.Context, refs ...string) error {
	args, err := fetching(refs)
	if err != nil {
		return err
	}
	return m.locked(ctx, func() error {
		_, err := m.git(ctx, args...)
		if err == nil || fault.Of(err) != fault.Internal || ctx.Err() != nil {
			return err
		}
		// What a crash left, or what is deleted there, may be in the way.
		m.o.Env.Log.Warn("the mirror is fixed", "error", err)
		if err := errors.Join(m.unlock(), m.prune(ctx)); err != nil {
			m.o.Env.Log.Warn("the mirror cannot be fixed", "error", err)
		}
		if _, err = m.git(ctx, args...); err == nil || fault.Of(err) != fault.Internal || ctx.Err() != nil {
			return err
		}
		m.o.Env.Log.Warn("the mirror is cloned anew", "error", err)
		if err := m.begin(); err != nil {
			return err
		}
		_, err = m.git(ctx, args...)
		return err
	})
}

// FetchBeside is Fetch without waiting for other fetches, and without their waiting for
// it. Nobody else may fetch the same refs meanwhile. A mirror that is mended under it
// is a reason to try again.
func (m *Mirror) FetchBeside(ctx context.Context, refs ...string) error {
	args, err := fetching(refs)
	if err != nil {
		return err
	}
	if _, err = m.git(ctx, args...); err != nil && fault.Of(err) == fault.Internal && ctx.Err() == nil {
		return m.Fetch(ctx, refs...) // which mends what is in the way
	}
	return err
}

func fetching(refs []string) ([]string, error) {
	args := []string{"fetch", "--progress", "--no-tags", "--no-write-fetch-head", "--upload-pack=git-upload-pack", "--end-of-options", "origin"}
	for _, r := range refs {
		if err := gitstore.CheckName("ref", r); err != nil {
			return nil, err
		}
		args = append(args, "+"+r+":"+r)
	}
	return args, nil
}

// unlock removes the lock files of programs that were killed: whoever holds the
// mirror's own lock is alone here.
func (m *Mirror) unlock() error {
	return filepath.WalkDir(m.o.Dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && strings.HasSuffix(path, ".lock") {
			return os.Remove(path)
		}
		return err
	})
}

// prune deletes the refs that the remote has no more: a branch that is gone would
// keep a folder of its name from being made.
func (m *Mirror) prune(ctx context.Context) error {
	there, err := m.Refs(ctx)
	if err != nil {
		return err
	}
	here, err := m.git(ctx, "for-each-ref", "--format=%(refname)")
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(here) {
		if there[name] == "" {
			if _, err := m.git(ctx, "update-ref", "-d", "--end-of-options", name); err != nil {
				return err
			}
		}
	}
	return nil
}

// Merge tries head on base: the commit that the merge would be, the same each time,
// or the paths in conflict. It stays in the mirror.
func (m *Mirror) Merge(ctx context.Context, base, head string) (sha string, conflicts []string, err error) {
	fork, err := m.git(ctx, "merge-base", "--end-of-options", base, head)
	if ctx.Err() != nil {
		return "", nil, err
	}
	if strings.TrimSpace(fork) == head {
		return base, nil, nil
	}
	out, err := m.git(ctx, "merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", "--end-of-options", base, head)
	parts := strings.Split(strings.TrimRight(out, "\x00"), "\x00")
	if err != nil {
		if len(parts) > 1 && len(parts[0]) == 40 {
			return "", parts[1:], nil
		}
		return "", nil, err
	}
	out, err = m.git(ctx, "commit-tree", parts[0], "-p", base, "-p", head, "-m", "Try the merge of "+head)
	if err != nil {
		return "", nil, err
	}
	return strings.TrimSpace(out), nil, nil
}

// Contains tells whether sha is head or came before it. A commit that is not here
// did not.
func (m *Mirror) Contains(ctx context.Context, head, sha string) (bool, error) {
	_, err := m.git(ctx, "merge-base", "--is-ancestor", "--end-of-options", sha, head)
	if ctx.Err() != nil {
		return false, err
	}
	return err == nil, nil
}

// First is the first commit of a branch, along first parents.
func (m *Mirror) First(ctx context.Context, branch string) (string, error) {
	out, err := m.git(ctx, "rev-list", "--first-parent", "--max-parents=0", "refs/heads/"+branch)
	if err != nil {
		return "", err
	}
	sha := strings.TrimSpace(out)
	if !plumbing.IsHash(sha) {
		return "", fault.WithHint(fault.New(fault.Missing, "the branch %s has no first commit", branch), "push a first commit to the branch, or correct its name in the controller's file")
	}
	return sha, nil
}

// Push makes ref of the remote sha, where it is still at was; "" is one that is not
// there. One that moved meanwhile is a Conflict.
func (m *Mirror) Push(ctx context.Context, sha, ref, was string) error {
	if err := gitstore.CheckName("ref", ref); err != nil {
		return err
	}
	err := m.push(ctx, sha, ref, was)
	switch {
	case err == nil:
		return nil
	case fault.Of(err) == fault.Denied && errors.Is(err, gitremote.ErrRefused):
		return fault.WithHint(fmt.Errorf("push %s: %w", ref, err), "let Vishwa's account push there, or propose as a pull request")
	}
	return fmt.Errorf("push %s: %w", ref, err)
}
