// Package review keeps the conversation of one repository: for each pull request it
// looks, says in one comment what a merge would do and how the model changes, runs
// what may run ahead, and takes approvals and commands; after the merge it says what
// came of it. It goes by how things are, never by what an event said.
package review

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/app/chatops"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	monitor "github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/reconciler/failpoint"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// Scope is what a session is opened for.
type Scope struct {
	Branch      string              // tracked branch, whose settings count
	PullRequest *ledger.PullRequest // nil: for the branch itself
	Merged      bool                // the pull request is merged: the branch itself is looked at
	Beside      bool                // of the branch itself: beside whatever pass is under way, without the lease that a deployment takes
}

// Session is a reconciler that is closed after use.
type Session struct {
	*pass.Reconciler
	// Releases are the deploy entries of a deployment, oldest first.
	Releases func(ctx context.Context, ref schemas.Ref) ([]ledger.Entry, error)
	// Suspensions are what was recorded of a ref's suspensions and their ends, oldest first.
	Suspensions func(ctx context.Context, ref schemas.Ref) ([]ledger.Entry, error)
	Close       func() error
}

// Mirror is the clone that revisions are read from.
type Mirror interface {
	// Merge tries head on base, and returns the merge's SHA or the paths in conflict.
	Merge(ctx context.Context, base, head string) (sha string, conflicts []string, err error)
	// Merges lists what was committed to a branch by itself, its first parents, from
	// head back to since, newest first, at most n.
	Merges(ctx context.Context, head, since string, n int) ([]string, error)
	// Contains tells whether sha is head or came before it.
	Contains(ctx context.Context, head, sha string) (bool, error)
}

// Service is the conversation of one repository. It is safe for concurrent use for
// different pull requests.
type Service struct {
	Forge  port.Forge
	Mirror Mirror
	Open   func(ctx context.Context, e Scope) (*Session, error)
	Now    func() time.Time
	Log    *slog.Logger
	// Name tells the comments of several controllers of one repository apart; usually empty.
	Name string
	// PollInterval is how often, while runs are under way, it is asked whether they are still wanted.
	PollInterval time.Duration
	// Declared is told what a tracked branch declares, after each pass that could read it; may be nil.
	Declared func(branch string, in *pass.Intent)
	// Failed is told each step that failed, recorded anew or not; may be nil.
	Failed func(ref schemas.Ref, err error)
	// Envelope is what decides whether a pull request onto rev may be merged without a person, as far
	// as it is known before it is planned; nil where that is not asked for.
	Envelope func(ctx context.Context, pull port.PullRequest, rev port.Revision, base *pass.Intent, facts *ledger.Facts) (*monitor.Retraining, error)
	// Full says where all of a report about a pull request is, for one that was cut.
	Full string

	mu    sync.Mutex
	busy  map[int]*sync.Mutex
	loose map[int]map[digest.Digest]bool // runs that were handed back, by pull request
	acts  map[string]action              // what is being made on a tracked branch
	runs  map[int]bool                   // pull requests whose runs are under way
	vouch map[int]string                 // strangers' pull requests -> commit that somebody else had run
	guest map[int]string                 // strangers' pull requests -> what is looked at, or was last
	late  map[int]string                 // strangers' pull requests -> what took too long to be looked at
	over  map[string]bool                // what the forge was told is over, since this process began: see left
}

// action is a pass that makes something on a tracked branch.
type action struct {
	keys map[digest.Digest]bool
	done chan struct{}
}

func (o *Service) ready() {
	if o.busy == nil {
		o.busy, o.loose = map[int]*sync.Mutex{}, map[int]map[digest.Digest]bool{}
		o.acts, o.runs = map[string]action{}, map[int]bool{}
		o.vouch, o.guest, o.late = map[int]string{}, map[int]string{}, map[int]string{}
	}
}

// Marks of commits.
const (
	planMark  = "vishwa/plan"
	applyMark = "vishwa/apply"
)

func (o *Service) marker() string {
	if o.Name == "" {
		return chatops.Marker("report")
	}
	return chatops.Marker("report-" + o.Name)
}

// hold lets one pass at a time speak in pull request n.
func (o *Service) hold(n int) (release func()) {
	o.mu.Lock()
	o.ready()
	m := o.busy[n]
	if m == nil {
		m = &sync.Mutex{}
		o.busy[n] = m
	}
	o.mu.Unlock()
	m.Lock()
	return m.Unlock
}

// Pull looks at pull request n and says how it stands. The report is what the
// comment now tells. An error is a reason to look again: nothing is told of it
// that may pass. Group is the commit of a merge queue that would become the base
// with n in it; where there is one, it is what is planned, and is marked too.
func (o *Service) Pull(ctx context.Context, n int, group string) (templates.Report, error) {
	defer o.hold(n)()
	pull, err := o.Forge.Pull(ctx, n)
	if err != nil {
		return templates.Report{}, fmt.Errorf("look at pull request %d: %w", n, err)
	}
	v, err := o.visit(ctx, pull)
	if err != nil {
		return templates.Report{}, err
	}
	v.group = group
	switch {
	case pull.Merged:
		return v.merged(ctx)
	case pull.Closed:
		return v.abandoned(ctx)
	default:
		return v.proposed(ctx)
	}
}

// pullRequest is one look at one pull request.
type pullRequest struct {
	*Service
	pull   port.PullRequest
	group  string        // a merge queue's commit of it; "": none
	said   string        // the comment, as it is
	state  chatops.State // what it carries
	orders []order
	base   *pass.Intent
	rev    port.Revision // of the base

	careful bool // the author's code runs only for those who have seen it

	// What the comment tells while runs are under way.
	shown    templates.Report
	proposal *pass.Proposal
	quiet    bool // what runs has failed before, and nothing is said before something comes of it
}

func (o *Service) visit(ctx context.Context, pull port.PullRequest) (*pullRequest, error) {
	said, err := o.Forge.OwnComment(ctx, pull.Number, o.marker())
	if err != nil {
		return nil, fmt.Errorf("read the comment of pull request %d: %w", pull.Number, err)
	}
	state, _ := chatops.DecodeState(said)
	return &pullRequest{Service: o, pull: pull, said: said, state: state}, nil
}

// abandoned tells that pull was closed; a pull request that was never talked about
// stays so.
func (v *pullRequest) abandoned(ctx context.Context) (templates.Report, error) {
	r := templates.Report{Stage: templates.Abandoned, Pull: v.pull.Number, Base: v.pull.Base, Head: v.pull.HeadSHA}
	if v.said == "" {
		return r, nil
	}
	if err := v.stopLoose(ctx, nil); err != nil {
		return r, err
	}
	return r, v.publish(ctx, &r)
}

// stopLoose ends the runs that were handed back and that nobody wants any more.
func (v *pullRequest) stopLoose(ctx context.Context, wanted map[digest.Digest]bool) error {
	v.mu.Lock()
	loose := v.loose[v.pull.Number]
	delete(v.loose, v.pull.Number)
	v.mu.Unlock()
	if len(loose) == 0 {
		return nil
	}
	h, err := v.Open(ctx, Scope{Branch: v.pull.Base, PullRequest: v.behalf("")})
	if err != nil {
		return err
	}
	defer h.Close()
	for key := range loose {
		if wanted[key] {
			continue
		}
		if err := h.Runner.Stop(ctx, key); err != nil && fault.Of(err) != fault.Missing {
			return fmt.Errorf("stop run %s: %w", key.Short(), err)
		}
		v.Log.Info("stopped a run that nobody wants any more", "pull", v.pull.Number, "key", key.Short())
	}
	return nil
}

func (v *pullRequest) behalf(base string) *ledger.PullRequest {
	return &ledger.PullRequest{Pull: v.pull.Number, Head: v.pull.HeadSHA, Base: base, By: "github:" + strings.ToLower(v.pull.Author.Login)}
}

// publish brings comment and marks up to r, and remembers what was shown when.
func (v *pullRequest) publish(ctx context.Context, r *templates.Report) error {
	v.remember(r)
	var b strings.Builder
	b.WriteString(v.marker() + "\n")
	if err := templates.Comment(&b, *r); err != nil {
		return err
	}
	body := b.String() + "\n" + chatops.EncodeState(v.state) + "\n"
	if _, err := v.Forge.UpsertComment(ctx, v.pull.Number, v.marker(), body); err != nil {
		return fmt.Errorf("comment on pull request %d: %w", v.pull.Number, err)
	}
	v.said = body
	failpoint.At(failpoint.Planned)
	if r.Stage == templates.Abandoned || r.MergedAs != "" {
		return nil // the head's marks stay as they were
	}
	return v.mark(ctx, *r)
}

// remember moves what was shown before to the earlier plans.
func (v *pullRequest) remember(r *templates.Report) {
	now, s := v.Now().Unix(), &v.state
	if s.Head != r.Head || s.Digest != string(r.Digest) {
		if s.Digest != "" {
			s.Earlier = append([]chatops.Past{{Head: s.Head, Digest: s.Digest, Verdict: s.Verdict}}, s.Earlier...)
			s.Earlier = s.Earlier[:min(len(s.Earlier), 20)]
		}
		if s.Head != r.Head {
			s.HeadAt = now
		}
		s.PlanAt = now
	}
	s.Head, s.Digest, s.Stage, s.Verdict = r.Head, string(r.Digest), string(r.Stage), templates.Title(*r)
	r.Earlier = nil
	for _, p := range s.Earlier {
		r.Earlier = append(r.Earlier, templates.Earlier{Head: p.Head, Digest: digest.Digest(p.Digest), Verdict: p.Verdict})
	}
}

func (v *pullRequest) mark(ctx context.Context, r templates.Report) error {
	m, err := markOf(planMark, r)
	if err != nil {
		return err
	}
	for _, sha := range []string{r.Head, v.group} {
		if m.SHA = sha; sha == "" {
			continue
		}
		if err := v.Forge.ReportStatus(ctx, m); err != nil {
			return fmt.Errorf("mark %.7s: %w", sha, err)
		}
	}
	failpoint.At(failpoint.Marked)
	return nil
}

// markOf shows r beside the commit that it is about.
func markOf(name string, r templates.Report) (port.CommitStatus, error) {
	var summary strings.Builder
	if err := templates.Comment(&summary, r); err != nil {
		return port.CommitStatus{}, err
	}
	m := port.CommitStatus{SHA: r.Head, Name: name, Title: templates.Title(r), Summary: summary.String(), Annotations: templates.Annotations(r)}
	switch r.Stage {
	case templates.Broken, templates.Blocked:
		m.State = port.Failure
	case templates.Running, templates.Merged, templates.Delayed:
		m.State = port.Pending
	case templates.Planned:
		m.State = port.Waits
	default: // what waits for approval may be merged: the deployment waits
		m.State = port.Succeeded
	}
	return m, nil
}

// broken is the report about an error that a person must mend; one that may pass is returned.
func broken(r templates.Report, err error) (templates.Report, error) {
	var problems pass.Problems
	switch fault.Of(err) {
	case fault.Transient, fault.Cancelled, fault.Internal, fault.Conflict:
		return r, err
	}
	r.Stage = templates.Broken
	if errors.As(err, &problems) {
		r.Problems = problems
		return r, nil
	}
	r.Error, r.Hint = err.Error(), fault.WayOut(err)
	return r, nil
}
