// Repositories: a bare one on disk that Git serves, and beside it in memory what
// only the forge knows: roles, protection, pull requests, marks.

package devforge

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

type repo struct {
	id     int64
	owner  string
	name   string
	dir    string
	parent *repo // forked from
	// reopened says that it was there before the forge began.
	reopened atomic.Bool

	turn sync.Mutex // one merge or one follow-up of a push at a time; taken before Forge.mu

	// Guarded by Forge.mu.
	public      bool
	base        string // default branch
	roles       map[string]string
	protected   map[string]Protection
	pulls       []*pull
	queue       []*group
	comments    []*comment
	issues      []*issue
	statuses    []*status
	checks      []*check
	deployments []*deployment
	hooks       []*hook
	activity    []activity // newest first
}

func (r *repo) full() string { return r.owner + "/" + r.name }

// branchName is what Git and its configuration take as a branch.
var branchName = lazyregexp.New(`^[^\x00-\x20\x7f~^:?*\[\\/.-][^\x00-\x20\x7f~^:?*\[\\]*$`)

func checkBranch(name string) error {
	if !branchName.MatchString(name) || strings.Contains(name, "..") || strings.Contains(name, "@{") || strings.Contains(name, "//") {
		return refuse(http.StatusUnprocessableEntity, "%q is no name of a branch", name)
	}
	return nil
}

var plainName = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$`)

// CreateRepo makes an empty private repository whose default branch is main.
func (f *Forge) CreateRepo(owner, name string) error {
	_, err := f.createRepo(owner, name, nil)
	return err
}

func (f *Forge) createRepo(owner, name string, parent *repo) (*repo, error) {
	if !plainName.MatchString(owner) || !plainName.MatchString(name) || strings.HasSuffix(name, ".git") {
		return nil, refuse(http.StatusUnprocessableEntity, "%s/%s is not a name of a repository", owner, name)
	}
	f.mu.Lock()
	if r := f.repos[strings.ToLower(owner+"/"+name)]; r != nil {
		f.mu.Unlock()
		if r.reopened.CompareAndSwap(true, false) {
			return r, nil
		}
		return nil, invalid("Repository", "name", "custom", "name already exists on this account")
	}
	r := &repo{
		id: f.id(), owner: owner, name: name, dir: filepath.Join(f.dir, owner, name+".git"), base: "main",
		parent: parent, roles: map[string]string{}, protected: map[string]Protection{},
	}
	f.addUser(owner, false)
	f.repos[strings.ToLower(r.full())] = r
	r.turn.Lock() // nobody uses it before it is there
	f.mu.Unlock()
	defer r.turn.Unlock()
	if err := f.initialise(r); err != nil {
		f.mu.Lock()
		delete(f.repos, strings.ToLower(r.full()))
		f.mu.Unlock()
		return nil, err
	}
	return r, nil
}

// initialise makes the bare repository, or takes up the one that is there.
func (f *Forge) initialise(r *repo) error {
	if _, err := os.Stat(filepath.Join(r.dir, "HEAD")); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(r.dir), 0o755); err != nil {
			return fmt.Errorf("make folder of %s: %w", r.full(), err)
		}
		if _, err := f.run(f.dir, "", "init", "--quiet", "--bare", "--initial-branch=main", r.dir); err != nil {
			return err
		}
	}
	settings := `[core]
	repositoryformatversion = 0
	bare = true
	logallrefupdates = false
[http]
	receivepack = true
[receive]
	hideRefs = refs/pull
	denyDeleteCurrent = refuse
	advertisePushOptions = true
[uploadpack]
	allowFilter = true
	allowAnySHA1InWant = true
[gc]
	auto = 0
`
	if err := os.WriteFile(filepath.Join(r.dir, "config"), []byte(settings), 0o644); err != nil {
		return fmt.Errorf("configure %s: %w", r.full(), err)
	}
	for name, text := range hookScripts {
		if err := os.MkdirAll(filepath.Join(r.dir, "hooks"), 0o755); err != nil {
			return fmt.Errorf("make hooks of %s: %w", r.full(), err)
		}
		if err := os.WriteFile(filepath.Join(r.dir, "hooks", name), []byte(text), 0o755); err != nil {
			return fmt.Errorf("write hook of %s: %w", r.full(), err)
		}
	}
	return nil
}

// Fork copies a repository to another owner, who then may open pull requests from it.
func (f *Forge) Fork(name, owner string) (string, error) {
	r, err := f.find(name)
	if err != nil {
		return "", err
	}
	fork, err := f.createRepo(owner, r.name, r)
	if err != nil {
		return "", err
	}
	if _, err := f.run(fork.dir, "", "fetch", "--quiet", r.dir, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"); err != nil {
		return "", err
	}
	f.mu.Lock()
	fork.base, fork.public = r.base, r.public
	base := r.base
	f.mu.Unlock()
	if _, err = f.run(fork.dir, "", "symbolic-ref", "HEAD", "refs/heads/"+base); err != nil {
		return "", err
	}
	return fork.full(), f.keep(fork)
}

// Grant gives login a role: none, read, triage, write, maintain or admin.
func (f *Forge) Grant(name, login, role string) error {
	r, err := f.find(name)
	if err != nil {
		return err
	}
	if _, known := ranks[role]; !known {
		return refuse(http.StatusUnprocessableEntity, "there is no role %q; give none, read, triage, write, maintain or admin", role)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.addUser(login, false)
	r.roles[strings.ToLower(login)] = role
	return nil
}

// Publish lets everybody read a repository.
func (f *Forge) Publish(name string) error {
	r, err := f.find(name)
	if err != nil {
		return err
	}
	f.mu.Lock()
	r.public = true
	f.mu.Unlock()
	return f.keep(r)
}

// Protection is what a protected branch asks for. A protected branch is neither
// deleted nor rewritten.
type Protection struct {
	RequiredReviews    int      `json:"requiredReviews,omitempty"` // direct pushes are refused then
	RequiredSignatures bool     `json:"requiredSignatures,omitempty"`
	NoDirectPush       bool     `json:"noDirectPush,omitempty"`
	RequiredChecks     []string `json:"requiredChecks,omitempty"`
	DismissStale       bool     `json:"dismissStale,omitempty"` // a push dismisses the reviews before it
	Bypass             []string `json:"bypass,omitempty"`       // logins that push nevertheless, fast-forward and signed
}

// Protect protects a branch, which need not be there yet.
func (f *Forge) Protect(name, branch string, p Protection) error {
	r, err := f.find(name)
	if err != nil {
		return err
	}
	if err := checkBranch(branch); err != nil {
		return err
	}
	if strings.ContainsFunc(strings.Join(slices.Concat(p.Bypass, p.RequiredChecks), ""), unicode.IsControl) {
		return refuse(http.StatusUnprocessableEntity, "a login or check of the protection holds control characters")
	}
	r.turn.Lock()
	defer r.turn.Unlock()
	if err := f.guard(r, branch, p); err != nil {
		return err
	}
	f.mu.Lock()
	r.protected[branch] = p
	f.mu.Unlock()
	return f.keep(r)
}

// RenameDefault renames the default branch; open pull requests follow, as on GitHub.
func (f *Forge) RenameDefault(name, to string) error {
	r, err := f.find(name)
	if err != nil {
		return err
	}
	if err := checkBranch(to); err != nil {
		return err
	}
	r.turn.Lock()
	defer r.turn.Unlock()
	f.mu.Lock()
	from := r.base
	p, protected := r.protected[from]
	f.mu.Unlock()
	if _, err := f.run(r.dir, "", "branch", "--move", from, to); err != nil {
		return err
	}
	if _, err := f.run(r.dir, "", "symbolic-ref", "HEAD", "refs/heads/"+to); err != nil {
		return err
	}
	if protected {
		if err := f.guard(r, to, p); err != nil {
			return err
		}
	}
	f.renamed(r, from, to)
	return f.keep(r)
}

// renamed has all that named the default branch from name it to.
func (f *Forge) renamed(r *repo, from, to string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r.base = to
	if p, ok := r.protected[from]; ok {
		r.protected[to] = p
		delete(r.protected, from)
	}
	for _, p := range r.pulls {
		if p.base == from && p.state == "open" {
			p.base, p.updated = to, f.at()
		}
	}
}

// DeleteBranch deletes a branch whatever protects it, as an administrator would.
// Its open pull requests are closed.
func (f *Forge) DeleteBranch(name, branch, by string) error {
	r, err := f.find(name)
	if err != nil {
		return err
	}
	old, err := f.resolve(r, "refs/heads/"+branch)
	if err != nil {
		return err
	}
	if _, err := f.run(r.dir, "", "update-ref", "-d", "refs/heads/"+branch, old); err != nil {
		return err
	}
	f.pushed(r, by, []update{{old: old, new: zeroSHA, ref: "refs/heads/" + branch}})
	return nil
}

// find is the repository OWNER/NAME.
func (f *Forge) find(name string) (*repo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.repos[strings.ToLower(name)]; r != nil {
		return r, nil
	}
	return nil, refuse(http.StatusNotFound, "there is no repository %s", cmp.Or(name, `""`))
}
