// Package app wires the tools to their ports: one explicit table, no
// registration by side effect.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/adapter/gitledger"
	"github.com/vishwaops/vishwa/reconciler/adapter/mirror"
	"github.com/vishwaops/vishwa/reconciler/adapter/provisioner"
	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/adapter/server"
	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
	"github.com/vishwaops/vishwa/reconciler/data"
	"github.com/vishwaops/vishwa/reconciler/engine/attest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/price"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/pass/track"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/wrap"
	"github.com/vishwaops/vishwa/schemas"
)

// Options are what the caller chooses.
type Options struct {
	Dir      string // where the repository is looked for
	URL      string // of its remote, where it is a mirror: whose own configuration is not asked
	Env      port.Env
	Version  string
	Password func() ([]byte, error)      // of the controller's keys; asked for when something is to be signed
	Keys     *signer.Ring                // holds the keys open for the process; nil: for this repository
	Wrote    func(before, commit string) // see gitledger.Options
	Offline  bool                        // leave the ledger's remote alone; Env says of the rest
	Look     bool                        // what is checked out is looked at by the way, and may be a stranger's
	Act      bool                        // something will be recorded: this machine must hold a controller's keys
	Branch   string                      // the tracked branch; without it, whatever HEAD is on
	Tracked  []string                    // the branches that are tracked besides
	Allow    []string                    // private hosts and networks that gauges of a rollout may be asked at
	Trigger  string                      // of the pass, for the ledger
	// Seal is what the sealing keys of this installation are made of; the zero key: each state folder has one of its own.
	Seal   seal.Key
	Wall   wall.Policy  // what this machine's owner says of how runs are kept apart
	Prices price.Prices // what runners cost; none: nothing is said of cost
	// Packages are the repositories of registries that packages may go to; nil: those that are
	// declared, with the credentials of whoever runs the command.
	Packages *[]string
	// Trackers are the addresses of trackers that may be asked; nil: those that are declared, as of Packages.
	Trackers *[]string
	// Reach is where runs and deployments may be begun; nil: wherever it is declared, as of Packages.
	Reach *wrap.Reach
	// Credentials log in to URL over HTTP; asked for at each dial.
	Credentials func(ctx context.Context) (user, password string, err error)
	// Lease is how controllers take turns; nil: nobody else works on the repository.
	Lease *mirror.Lease
	// Board keeps checkpoints of the ledger on the forge; nil: there is none.
	Board *StatusBoard
	// Tips tells what a branch was at, as the forge noted it; nil: nobody does.
	Tips func(ctx context.Context, branch, since string) ([]string, error)
	// Landed tells the logins of those who moved a branch; nil: nobody does.
	Landed func(ctx context.Context, branch, since string) ([]string, error)
	// Isolation is set for a pull request: its runs have environments and folders of their
	// own, and see none of the caller's variables but those of Apart.Pass.
	Isolation *Isolation
}

// Isolation is for whom a repository is opened that is set apart from the tracked branch's.
type Isolation struct {
	PullRequest *ledger.PullRequest
	Pass        []string
	Allow       []string      // private hosts and networks that its data may be brought from
	Merged      bool          // what it looks at is the tracked branch's: infrastructure is planned as there
	Lease       *mirror.Lease // of its runs; nil: nobody else makes any
}

// Repository is a wired reconciler with what stands behind it.
type Repository struct {
	*pass.Reconciler
	Repo      *repo.Repo
	GitLedger *gitledger.Ledger
	Paths     Paths
	Trust     *trust.Trust
	Keys      *signer.Keys
	Trackers  []Shown // none for a pull request
	// StoreNamed tells why the declared store may be named by this checkout alone, which may be anybody's; nil: it is not declared where the store is.
	StoreNamed func(context.Context) error

	trackersOf func(*schemas.Project) []Shown
	read       *track.Reading // for trackers; nil: nothing yet
	declined   func(port.TrackerMoved) bool

	asking sync.Mutex
	asks   *agreement // of the published commit asksAt
	asksAt string
}

// NoProject is the error of a repository that declares nothing.
func NoProject(dir string) error {
	return fault.WithHint(fault.New(fault.Missing, "%s has no vishwa.yaml", dir), "make one with vishwa init, or name the folder that has one with -C")
}

// Open wires the repository that dir is in, as its vishwa.yaml says.
func Open(ctx context.Context, o Options) (h *Repository, err error) {
	if o.Reach != nil {
		o.Env.Bounds = o.Reach
	}
	r, err := repo.Open(o.Dir, repo.Options{Branch: o.Branch, URL: o.URL})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	tree, err := settled(ctx, r, o.Act)
	if err != nil {
		return nil, err
	}
	project, t, err := pass.Settings(tree)
	if fault.Of(err) == fault.Missing && o.URL == "" && !r.Bare() {
		return nil, NoProject(r.Dir())
	}
	if err != nil {
		return nil, err
	}
	h = &Repository{Repo: r, Trust: t}
	if err := h.oneRemote(ctx, project.Ledger); err != nil {
		return nil, err
	}
	if h.Paths, err = FindPaths(o.Env.Lookup, r.ID()); err != nil {
		return nil, err
	}
	if err := h.Paths.keep(r.Formerly(cmp.Or(project.Ledger.Branch, gitledger.UsualBranch))); err != nil {
		return nil, err
	}
	h.Keys = o.Keys.Open(h.Paths.Keys, o.Password)
	if !o.Seal.None() {
		if err := seal.Plant(h.Paths.Seal(), o.Seal.Derive("installation "+string(r.ID()))); err != nil {
			return nil, err
		}
	}
	name, err := h.controller(o.Act)
	if err != nil {
		return nil, err
	}
	place, err := h.place(project, tree)
	if err != nil {
		return nil, err
	}
	if err := h.wire(o, project, name, place); err != nil {
		return nil, err
	}
	h.Actor = pass.Actor{Name: name}
	h.Trigger = o.Trigger
	return h, nil
}

// settled has what must be known before the ports can be opened: the project and
// who is trusted. Who acts goes by the revision alone; who only looks, by the work
// tree where there is one.
func settled(ctx context.Context, r *repo.Repo, act bool) (fs.FS, error) {
	if !act && !r.Bare() {
		return r.Worktree(), nil
	}
	head, err := r.Head(ctx)
	if err != nil {
		return nil, err
	}
	return r.Open(ctx, head.SHA)
}

// wire opens every port. This is the table of adapters.
func (h *Repository) wire(o Options, project *schemas.Project, name string, place StoreRef) error {
	if place.Away != nil || place.Shared {
		h.StoreNamed = h.namedStore(place)
	}
	asking := place
	asking.may = h.asksStore(o, place)
	kept, err := OpenStore(asking, o.Env)
	if err != nil {
		return err
	}
	verifier, err := verifier(h.Trust)
	if err != nil {
		return err
	}
	sealed, err := seal.Load(h.Paths.Seal())
	if err != nil {
		return err
	}
	if place.Shared {
		if err := o.Env.MayUse(place.Dir); err != nil {
			return err
		}
	}
	work := runs{Store: place.String(), Envs: h.Paths.Envs, Seal: h.Paths.Seal(), Wall: o.Wall}
	work.Wall.Hidden = slices.Concat(o.Wall.Hidden, h.Paths.Hidden(o.Env.Lookup), place.hidden(o.Env), []string{h.Repo.Dir()})
	apart := "" // folder of what is set apart, below the state
	if o.Isolation != nil {
		apart, work.For, work.Envs = "pulls", "pulls", h.Paths.Envs+"-pulls"
		work.Wall.Strict = work.Wall.Level != wall.None
		work.Allow = o.Isolation.Allow
	}
	serves := work.Wall // a served process has no network
	if o.Reach != nil && o.Reach.Declared {
		work.bind(o.Reach.Allow)
	}
	envs := work.environments(o.Env, sealed)
	book := gitledger.Options{
		Branch: project.Ledger.Branch, Remote: project.Ledger.Remote, Offline: o.Offline,
		Signer: h.Keys, Verifier: verifier, SSH: h.Keys.SSH, Trusted: commitKeys(h.Trust),
		Controller: name, Stands: h.Trust.ControllerStands, Then: h.then, Log: o.Env.Log,
		CacheDir: h.Paths.Cache, Now: o.Env.Now, Credentials: o.Credentials, Wrote: o.Wrote,
	}
	if o.Lease != nil {
		book.Fence, book.Held = o.Lease.Fence, o.Lease.Held
	}
	if h.GitLedger, err = h.open(book, project, asking, o); err != nil {
		return err
	}
	away := h.remoteConfig(o, apart, work, kept, sealed)
	routes := h.elsewhere(project, place, away, o.Reach)
	remote := h.located(project.Ledger).Remote
	var worktree fs.FS
	if !h.Repo.Bare() {
		worktree = h.Repo.Worktree()
	}
	named := wrap.Named(append(strange(o.Env.Lookup), wrap.Folder{Path: h.Repo.Dir(), Name: "(the repository)"}))
	h.Reconciler = &pass.Reconciler{
		Observers: pass.Observers{
			Repo: h.Repo, Ledger: &steadyLedger{Ledger: h.GitLedger, repository: h, options: book, now: h.located(project.Ledger), named: named},
			Provisioner: h.stacks(o, apart, work),
			Server:      h.serving(o, project, place, sealed, server.Config{Env: o.Env, Store: kept, Dir: h.Paths.Serving(), Seal: h.Paths.Seal(), Envs: envs, Wall: serves, Starters: starters(o.Env)}),
			Store:       kept,
			Packager:    h.packs(o, kept, envs),
			Machine:     sealed.Name(), Named: named,
			Arms: h.arms(o), Broken: o.brokenOff,
		},
		Worktree: worktree, Watch: h.watch, Unwatched: h.Repo.Unwatched,
		Data:     data.Fetcher{Store: kept, Env: o.Env, Dir: h.checkout()},
		WorkData: h.workData(o),
		Runner: wrap.Routed(runner.Local(runner.Config{Env: o.Env, Store: kept, Dir: filepath.Join(h.Paths.State, apart, "runs"), Envs: envs,
			Seal: sealed.Derive("runs " + work.For), Wall: work.Wall, Own: place.variables(), Args: []string{work.String()}, GPUs: machineGPUs}), routes),
		Signer: pass.ModelSigner{Store: kept, Verifier: verifier, Sign: func(ctx context.Context, m port.Artifact, p attest.Provenance) ([]byte, []byte, error) {
			return signer.SignModel(ctx, h.Keys, m, p)
		}, Statement: h.Keys.Sign},
		Bounds:    o.Env.Bounds,
		Isolation: work.isolation(), Ready: h.ready(o, place, away),
		Hands: h.Repo.Hands,
		Parents: func(ctx context.Context, head string, n int) ([]string, error) {
			return h.Repo.Merges(ctx, head, "", n)
		},
		Between: h.Repo.Between,
		Lock:    h.lock, Beside: h.beside(o.URL != ""),
		Remote:  h.Repo.RemoteURL(remote),
		Version: o.Version,
		Now:     o.Env.Now,
		Prices:  o.Prices,
		State:   filepath.Join(h.Paths.State, apart),
	}
	if o.Isolation == nil {
		h.trackersOf = func(p *schemas.Project) []Shown { return h.declaredTrackers(p, o, sealed) }
		h.Trackers = h.trackersOf(project)
	}
	h.Runner = wrap.BoundedRuns(h.Runner, o.Env)
	if o.Tips != nil && o.Branch != "" {
		h.Tips = func(ctx context.Context, since string) ([]string, error) { return o.Tips(ctx, o.Branch, since) }
	}
	if o.Landed != nil && o.Branch != "" {
		h.Landed = func(ctx context.Context, since string) (out []string, err error) {
			who, err := o.Landed(ctx, o.Branch, since)
			for _, login := range who {
				out = append(out, "github:"+login)
			}
			return out, err
		}
	}
	if o.Lease != nil {
		h.Reconciler.Lease = o.Lease.Acquire
	}
	if o.Isolation != nil {
		h.PullRequest, h.Tried = o.Isolation.PullRequest, !o.Isolation.Merged
		h.Data = data.Fetcher{Store: kept, Env: o.Env, Wary: &data.Wary{Whose: "this pull request", Known: h.reviewed, Allow: o.Isolation.Allow}}
		if o.Isolation.Lease != nil {
			h.Reconciler.Lease = o.Isolation.Lease.Acquire
		}
		h.Runner = wrap.PassingRuns(h.Runner, o.Isolation.Pass, reviewed(h.Repo))
	}
	return nil
}

// reviewed is the DVC configuration of the tracked branch; nil where it has none.
func (h *Repository) reviewed(ctx context.Context) (*dvc.Config, error) {
	head, err := h.Repo.Head(ctx)
	if err != nil {
		return nil, err
	}
	tree, err := h.Repo.Open(ctx, head.SHA)
	if err != nil {
		return nil, err
	}
	b, err := fs.ReadFile(tree, ".dvc/config")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read .dvc/config of the tracked branch: %w", err)
	}
	return dvc.ParseConfig(".dvc/config", b)
}

// stacks plan infrastructure, and provision it where that is not for a pull request.
func (h *Repository) stacks(o Options, apart string, work runs) port.Provisioner {
	c := provisioner.Config{Env: o.Env, Dir: filepath.Join(h.Paths.State, apart, "terraform"), States: filepath.Join(h.Paths.State, "terraform"), Wall: work.Wall, Dial: work.dial(o.Env)}
	if o.Isolation == nil || o.Isolation.Merged {
		return wrap.OfflineTools(wrap.BoundedTools(provisioner.Terraform(c), o.Reach), o.Env)
	}
	return wrap.PassingTools(provisioner.ForPulls(c), o.Isolation.Pass)
}

// checkout is the folder of the work tree; "" where there is none.
func (h *Repository) checkout() string {
	if h.Repo.Bare() {
		return ""
	}
	return h.Repo.Dir()
}

// noVerifier is the verifier of a repository that trusts no key.
type noVerifier struct{}

func (noVerifier) Verify(context.Context, []byte) ([]byte, port.Identity, error) {
	return nil, port.Identity{}, untrusting()
}

// untrusting is the error of a repository whose trust file names nobody who could have signed.
func untrusting() error {
	return fault.WithHint(fault.New(fault.Denied, "trust.yaml is missing or names no controller: no signature can be trusted"),
		"if it was removed, bring it back: git checkout HEAD -- trust.yaml; else make a controller's keys with vishwa keys generate, and commit trust.yaml")
}

// Close lets the repository go.
func (h *Repository) Close() error {
	if h.GitLedger != nil {
		h.GitLedger.Flush(context.Background()) // for as long as a place is waited for
	}
	return h.Repo.Close()
}
