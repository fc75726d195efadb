// A managed repository: its mirror, its forge and its sessions, as the controller
// and CI work on it.

package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/mirror"
	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
	"github.com/vishwaops/vishwa/reconciler/adapter/witness"
	"github.com/vishwaops/vishwa/reconciler/app/review"
	"github.com/vishwaops/vishwa/reconciler/controller"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/price"
	"github.com/vishwaops/vishwa/reconciler/failpoint"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/pass/repeats"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/wrap"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// ManagedOptions say which repository, and how it is worked on.
type ManagedOptions struct {
	Name     string   // without secrets
	URL      string   // of the remote: https, ssh or a folder of this machine; without credentials
	Branches []string // tracked; none: the default branch, whatever it is called at the time
	Forge    port.Forge
	// Credentials log in to URL over HTTP; nil where none are needed.
	Credentials func(ctx context.Context) (user, password string, err error)
	Env         port.Env
	Version     string
	Password    func() ([]byte, error)
	Keys        *signer.Ring  // holds the keys open for the process; nil: for each errand
	Seal        seal.Key      // see Options
	Wall        wall.Policy   // how runs are kept apart on this machine
	Prices      price.Prices  // what runners cost; none: nothing is said of cost
	Pass        []string      // variables that runs for pull requests may see
	Packages    *[]string     // repositories of registries that packages may go to; nil: those that are declared
	Trackers    *[]string     // addresses of trackers that may be asked; nil: those that are declared
	Reach       *wrap.Reach   // where runs and deployments may be begun; nil: wherever it is declared
	Glance      time.Duration // see review.Service
	Lease       *Lease        // nil: nobody else works on the repository
	Refresh     Refreshing
	Full        string // where a report that was cut is to be had
	// Recorded is told each entry that is recorded, and Asked each question to the
	// remote, by its name; both may be nil.
	Recorded func(ledger.Entry)
	// Failed is told each step that failed, recorded anew or not; may be nil.
	Failed func(ref schemas.Ref, err error)
	Asked  func(operation string)
	// Receivers are told of incidents, by their names.
	Receivers []Receiver
	// Incidents is told how many incidents are not over; may be nil.
	Incidents func(open int)
	// Watched is told what a monitor found last, Unwatched the monitors that are declared no
	// more, and Models what was released last; all may be nil.
	Watched   func(controller.Watched)
	Unwatched func(monitors []string)
	Models    func([]controller.Model)
}

// Lease says how controllers of one repository take turns.
type Lease struct {
	Holder   string // this controller
	Duration time.Duration
}

// ManagedRepository is a wired repository. It is safe for concurrent use.
type ManagedRepository struct {
	o      ManagedOptions
	mirror *mirror.Mirror
	lease  *mirror.Lease // nil: nobody else works on the repository
	office *review.Service

	mu        sync.Mutex
	branches  []string
	carried   map[string]string // branch -> revision that was carried out last
	schedules map[string][]string
	wakes     map[string]time.Time                  // branch -> when something of it may go on that waits for a time
	freed     map[string][]schemas.Ref              // branch -> what its last pass freed
	sources   map[string]map[schemas.Ref]watched    // branch -> dataset -> when it is looked at
	refused   map[string]map[port.TrackerMoved]bool // branch -> what trackers were told and people closed
	looked    map[string]map[schemas.Ref]time.Time  // branch -> dataset -> when it was
	monitors  map[string]map[schemas.Ref]string     // branch -> monitor -> when it measures
	measured  map[string]map[schemas.Ref]time.Time  // branch -> monitor -> when this process did, though nothing was news
	shown     map[schemas.Ref]digest.Digest         // monitor -> evidence that metrics were told
	provides  map[string]map[schemas.Ref]bool       // branch -> stacks that it declares
	drifting  map[string]bool                       // branch -> the ledger has incidents of stacks; absent: nobody looked
	calendars map[string]bool                       // branch -> some training is proposed by a calendar
	proposed  map[string]time.Time                  // branch and training -> the time of its calendar that was proposed
	ending    map[string]bool                       // branch -> a monitor is gone whose incidents may have to end
	swept     time.Time
	firsts    map[string]string // branch -> its first commit
	open      []int             // pull requests, as of the last sweep
	served    served
	trials    trials
	trackers  bool       // the tracked branch declares some
	tracking  *trackings // which are shown something just now
	control   *os.File   // held: this process looks after what is served here
	ledgers   ledgers
	repeats   repeats.Known
	stated    remembered
}

var (
	_ controller.Repository = (*ManagedRepository)(nil)
	_ controller.Opener     = (*ManagedRepository)(nil)
	_ controller.Waiter     = (*ManagedRepository)(nil)
	_ controller.Server     = (*ManagedRepository)(nil)
)

// OpenManaged wires the repository. It is cloned where it was not yet.
func OpenManaged(ctx context.Context, o ManagedOptions) (*ManagedRepository, error) {
	if o.Reach != nil {
		o.Env.Bounds = o.Reach
	}
	dir, err := mirrorDir(o.Env.Lookup, o.URL)
	if err != nil {
		return nil, err
	}
	s := &ManagedRepository{o: o, branches: o.Branches, carried: map[string]string{}, firsts: map[string]string{}, schedules: map[string][]string{}, wakes: map[string]time.Time{}, freed: map[string][]schemas.Ref{},
		refused: map[string]map[port.TrackerMoved]bool{},
		sources: map[string]map[schemas.Ref]watched{}, looked: map[string]map[schemas.Ref]time.Time{},
		monitors: map[string]map[schemas.Ref]string{}, measured: map[string]map[schemas.Ref]time.Time{}, shown: map[schemas.Ref]digest.Digest{}, ending: map[string]bool{},
		provides: map[string]map[schemas.Ref]bool{}, drifting: map[string]bool{}, calendars: map[string]bool{}, proposed: map[string]time.Time{}, tracking: newTrackings()}
	s.mirror, err = mirror.Open(ctx, mirror.Options{URL: o.URL, Dir: dir, Credentials: o.Credentials, Env: o.Env})
	if err != nil {
		return nil, fmt.Errorf("mirror %s: %w", o.Name, err)
	}
	if o.Lease != nil {
		s.lease = &mirror.Lease{Mirror: s.mirror, Holder: o.Lease.Holder, Duration: o.Lease.Duration}
	}
	s.office = &review.Service{
		Mirror: Mirrored{s.mirror}, Open: s.session, Now: o.Env.Now, Log: o.Env.Log, PollInterval: o.Glance, Full: o.Full,
		Declared: s.declared, Failed: o.Failed, Envelope: s.envelope,
	}
	if o.Forge != nil {
		s.office.Forge = wrap.Discreet(o.Forge, append(strange(o.Env.Lookup), wrap.Folder{Path: dir, Name: "(the mirror)"}))
	}
	if len(o.Branches) == 0 {
		_, err = s.Refs(ctx)
	}
	return s, err
}

// track follows the default branch where no other is named: it may be renamed.
func (s *ManagedRepository) track(head string) error {
	if len(s.o.Branches) > 0 {
		return nil
	}
	branch, ok := strings.CutPrefix(head, "refs/heads/")
	if !ok {
		return fault.WithHint(fault.New(fault.Missing, "%s has no default branch", s.o.Name), "push a first commit, or list its branches in the configuration")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.branches = []string{branch}
	return nil
}

// tracked are the branches that are carried out.
func (s *ManagedRepository) tracked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.branches
}

// mirrorDir is where the clone of url is kept.
func mirrorDir(lookup func(string) (string, bool), url string) (string, error) {
	p, err := FindPaths(lookup, digest.Of([]byte(url)))
	if err != nil {
		return "", err
	}
	return filepath.Join(filepath.Dir(p.Cache), "mirrors", digest.Of([]byte(url)).Short()), nil
}

// opening is with what the repository is opened, whatever for.
func (s *ManagedRepository) opening(branch string) Options {
	o := Options{
		Dir: s.mirror.Dir(), URL: s.o.URL, Branch: branch, Allow: s.o.Refresh.Allow, Tracked: s.tracked(), Act: true, Env: s.o.Env, Version: s.o.Version, Password: s.o.Password, Keys: s.o.Keys,
		Credentials: s.o.Credentials, Seal: s.o.Seal, Wall: s.o.Wall, Prices: s.o.Prices, Wrote: s.ledgers.wrote, Packages: s.o.Packages, Trackers: s.o.Trackers, Reach: s.o.Reach,
	}
	if s.o.Forge != nil {
		o.Tips, o.Landed = s.o.Forge.Tips, s.o.Forge.Landed
	}
	if board, ok := s.o.Forge.(witness.Statuses); ok {
		o.Board = &StatusBoard{board, func(ctx context.Context) (string, error) { return s.first(ctx, branch) }}
	}
	return o
}

// session opens the repository for one errand.
func (s *ManagedRepository) session(ctx context.Context, e review.Scope) (*review.Session, error) {
	o := s.opening(e.Branch)
	o.Trigger = controller.Trigger(ctx)
	if e.PullRequest != nil {
		o.Isolation = &Isolation{PullRequest: e.PullRequest, Merged: e.Merged, Pass: s.o.Pass, Allow: s.o.Refresh.Allow}
		if s.o.Lease != nil { // its runs have a lease of their own: a deployment does not wait for them
			o.Isolation.Lease = &mirror.Lease{Mirror: s.mirror, Holder: s.o.Lease.Holder, Duration: s.o.Lease.Duration, Ref: fmt.Sprintf("refs/vishwa/pull/%d", e.PullRequest.Pull)}
		}
	} else if !e.Beside {
		o.Lease = s.lease
	}
	h, err := Open(ctx, o)
	if err != nil {
		return nil, err
	}
	s.learn(h)
	if err := s.serving(h.Paths); err != nil {
		h.Close()
		return nil, err
	}
	s.ledgers.call(e.Branch, h.GitLedger.Branch())
	h.Ledger, h.Repeats = notifyingLedger{h.Ledger, s}, &s.repeats
	return &review.Session{Reconciler: h.Reconciler, Releases: h.Releases, Suspensions: h.Suspensions, Close: h.Close}, nil
}

// first is the first commit of a branch, which is looked for once.
func (s *ManagedRepository) first(ctx context.Context, branch string) (string, error) {
	s.mu.Lock()
	sha := s.firsts[branch]
	s.mu.Unlock()
	if sha != "" {
		return sha, nil
	}
	sha, err := s.mirror.First(ctx, branch)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.firsts[branch] = sha
	return sha, nil
}

// Name tells repositories apart.
func (s *ManagedRepository) Name() string { return s.o.Name }

// Refs is one ls-remote.
func (s *ManagedRepository) Refs(ctx context.Context) (controller.Refs, error) {
	s.asked("ls-remote")
	all, err := s.mirror.Refs(ctx)
	if err != nil {
		return controller.Refs{}, err
	}
	if err := s.track(all["HEAD"]); err != nil {
		return controller.Refs{}, err
	}
	branches := s.tracked()
	refs := controller.Refs{Branches: map[string]string{}, Pulls: map[int]string{}, Ledgers: map[string]controller.Ledger{}, Lease: all["refs/vishwa/lease"]}
	for _, branch := range branches {
		tip := all["refs/heads/"+s.ledgerOf(ctx, branch)]
		refs.Ledgers[branch] = controller.Ledger{Tip: tip, Before: s.ledgers.before(tip)}
	}
	for name, sha := range all {
		if branch, ok := strings.CutPrefix(name, "refs/heads/"); ok && slices.Contains(branches, branch) {
			refs.Branches[branch] = sha
		}
		if n, ok := pullOf(name); ok && s.o.Forge != nil {
			refs.Pulls[n] = sha
		}
	}
	return refs, nil
}

// pullOf is N of refs/pull/N/head.
func pullOf(ref string) (int, bool) {
	rest, ok := strings.CutPrefix(ref, "refs/pull/")
	if !ok {
		return 0, false
	}
	if rest, ok = strings.CutSuffix(rest, "/head"); !ok {
		return 0, false
	}
	n, err := strconv.Atoi(rest)
	return n, err == nil && n > 0
}

// Branch carries out a tracked branch. An error says that its work is not done.
func (s *ManagedRepository) Branch(ctx context.Context, branch string) error {
	_, err := s.untilSettled(ctx, branch)
	return err
}

// ReconcileBranch is Branch, and says what came of it: where the report tells what was not done,
// that is no error.
func (s *ManagedRepository) ReconcileBranch(ctx context.Context, branch string) (templates.Report, error) {
	r, err := s.untilSettled(ctx, branch)
	return r, reported(err)
}

// reported is err, unless it is of what a report tells.
func reported(err error) error {
	if errors.As(err, new(review.Unfinished)) {
		return nil
	}
	return err
}

// untilSettled carries out a branch. Sources whose time has come are looked at; a pin that may
// be committed directly is carried out at once.
func (s *ManagedRepository) untilSettled(ctx context.Context, branch string) (templates.Report, error) {
	r, err := s.reconcileBranch(ctx, branch)
	undrifted := s.stacks(ctx, branch, r)
	if k := fault.Of(err); err != nil && (k == fault.Transient || k == fault.Cancelled || k == fault.Conflict) {
		return r, err
	}
	moved, notes, refused := s.refresh(ctx, branch)
	refused = cmp.Or(refused, undrifted)
	if moved {
		r, err = s.reconcileBranch(ctx, branch)
	}
	r.Notes = append(r.Notes, notes...)
	s.showTrackers(ctx, branch)
	if reported(err) == nil {
		notes, unmeasured := s.measure(ctx, branch, r)
		r.Notes = append(r.Notes, notes...)
		refused = cmp.Or(refused, unmeasured)
		notes, unproposed := s.calendar(ctx, branch)
		r.Notes = append(r.Notes, notes...)
		refused = cmp.Or(refused, unproposed)
		notes, unreverted := s.revert(ctx, branch)
		r.Notes = append(r.Notes, notes...)
		refused = cmp.Or(refused, unreverted)
	}
	return r, cmp.Or(err, refused)
}

func (s *ManagedRepository) reconcileBranch(ctx context.Context, branch string) (templates.Report, error) {
	s.asked("fetch")
	if err := s.mirror.Fetch(ctx, "refs/heads/"+branch); err != nil {
		return templates.Report{Base: branch}, err
	}
	failpoint.At(failpoint.Fetched)
	s.mu.Lock()
	since := s.carried[branch]
	s.mu.Unlock()
	r, err := s.office.Branch(ctx, branch, since)
	s.mu.Lock()
	s.wakes[branch] = wakes(r, s.freed[branch], s.o.Env.Now())
	s.freed[branch] = r.Freed
	s.mu.Unlock()
	if reported(err) == nil && r.Head != "" {
		s.mu.Lock()
		s.carried[branch] = r.Head
		s.mu.Unlock()
	}
	return r, err
}

// Account is who Vishwa is on the forge, as far as it has come up.
func (s *ManagedRepository) Account() string {
	if f, ok := s.o.Forge.(interface{ Account() string }); ok {
		return f.Account()
	}
	return ""
}

// Open lists the pull requests that were open at the last sweep.
func (s *ManagedRepository) Open() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// Close lets everything go.
func (s *ManagedRepository) Close() error {
	s.tracking.close()
	s.trials.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.control == nil {
		return nil
	}
	err := s.control.Close()
	s.control = nil
	return err
}
