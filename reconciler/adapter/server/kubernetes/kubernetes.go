// Package kubernetes serves from pods of a cluster: a Deployment a release, and a Service of the name that
// has the traffic of one of them. Nothing takes the traffic that is not ready with a verified model, and what
// has it is not touched until then.
package kubernetes

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/holder"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Options are what a server is made of. All but May and the last four are needed.
type Options struct {
	Env      port.Env
	Store    port.Store
	Clusters map[string]schemas.Cluster // by the names that deployments have for them
	Dir      string                     // where it is kept what stands where
	Seal     seal.Key                   // seals that, and says whose objects are ours
	Keys     []string                   // that sign models, in PEM
	// May refuses a cluster or a namespace before it is asked anything; nil refuses none.
	May func(schemas.Cluster) error
	// Shelf is the shared store's bucket, which lends; Object names content in it.
	Shelf  func() (port.Bucket, error)
	Object func(digest.Digest) string
	// Branch is a branch of the repository, for what others apply; nil: nothing is delivered so.
	Branch func(name string) (port.Branch, error)
	// At is the bucket's address, for what reads a folder of it: s3://NAME/PREFIX.
	At string
	// Worker is the worker's program for an architecture of Go's, on this machine.
	Worker func(arch string) (path string, err error)

	status.Patience
	Pace   time.Duration // of looking at a rollout; zero is what a cluster bears
	Steady time.Duration // that a pod has to go on being ready before it counts; zero is a second, below it none
	Drain  time.Duration // that requests may still go where they went, once it is said that they go elsewhere; zero is 5 s
	Reach  time.Duration // that a Gateway may take to say that it carries a route; zero is a minute
}

// Rights is the file that gives an account what is asked for, and Watching the one for what others apply.
const (
	Rights   = "templates/kubernetes/serving.yaml"
	Watching = "templates/kubernetes/watching.yaml"
)

type server struct {
	o      Options
	owner  string
	seen   memory
	silent silent
	shapes map[string]*shape
}

var (
	_ port.Server   = (*server)(nil)
	_ port.Reviver  = (*server)(nil)
	_ port.Renewer  = (*server)(nil)
	_ port.Surveyor = (*server)(nil)
)

// New serves on clusters, for all of their targets. Nothing is asked of any yet.
func New(o Options) port.Server {
	o.Image, o.Room, o.Start = cmp.Or(o.Image, 2*time.Minute), cmp.Or(o.Room, 15*time.Second), cmp.Or(o.Start, time.Minute)
	o.Drain = cmp.Or(o.Drain, drain*time.Second)
	o.Steady = max(0, cmp.Or(o.Steady, time.Second))
	if o.Env.Log == nil {
		o.Env.Log = slog.New(slog.DiscardHandler)
	}
	return &server{o: o, owner: "s-" + o.Seal.Name(), shapes: shapes(), silent: silent{file: filepath.Join(o.Dir, "silent"), seal: o.Seal}}
}

// place is a namespace of a cluster where something of a name may stand.
type place struct {
	Name string          `json:"name"` // as deployments have it
	At   schemas.Cluster `json:"at"`
	UID  string          `json:"uid"`            // that the cluster had
	Made []kube.Resource `json:"made,omitempty"` // the kinds of what may stand there
	// Git is where it is written for others to apply; nil: we do.
	Git *schemas.GitDelivery `json:"git,omitempty"`
}

// is tells whether two are one, by whatever name and context it is reached.
func (p place) is(q place) bool { return p.UID == q.UID && p.At.Namespace == q.At.Namespace }

func (s *server) open(p place) (*kube.Client, error) {
	at, rights := p.At, Rights
	if p.Git != nil {
		rights = Watching
	}
	if at.Namespace == "" {
		return nil, fault.WithHint(fault.New(fault.Invalid, "a cluster is given without the namespace for Vishwa's objects"), "name one: spec.clusters.NAME.namespace in vishwa.yaml")
	}
	if s.o.May != nil {
		if err := s.o.May(at); err != nil {
			return nil, err
		}
	}
	return kube.Open(kube.Options{Cluster: at, Env: s.o.Env, Rights: rights})
}

// there leads to a place that something stands in, where it still is the cluster that it was.
func (s *server) there(ctx context.Context, p place) (*kube.Client, error) {
	c, err := s.open(p)
	if err != nil {
		return nil, err
	}
	uid, err := c.UID(ctx)
	if err == nil && uid != p.UID && p.UID != "" {
		err = other(p, uid)
	}
	return c, err
}

// other is a cluster that is not the one that something was served on.
func other(p place, uid string) error {
	return fault.WithHint(fault.New(fault.Conflict, "cluster %s is not the one that it was served on: its uid is %s, and not %s", p.Name, uid, p.UID),
		"point the context to that cluster again; if the cluster was made again on purpose, set uid: %s there, below spec.clusters of vishwa.yaml, and run vishwa apply", uid)
}

// anew tells whether what was served at p went with its cluster: the declaration says that another has its place.
func (w *work) anew(p place) bool {
	return p.Name == w.Place.Name && p.UID != w.Place.UID && w.Place.At.UID == w.Place.UID
}

var nameForm = lazyregexp.New(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)

// turn lets one at a time change what is served under name, in whatever processes.
func (s *server) turn(ctx context.Context, name string) (end func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.New(fault.Cancelled, "serve %s: %w", name, err)
	}
	if !nameForm.MatchString(name) {
		return nil, fault.WithHint(fault.New(fault.Invalid, "release %q: a Service of a cluster cannot have that name", name), "use up to 63 of a-z, 0-9 and -, and begin with a letter")
	}
	if err := os.MkdirAll(s.o.Dir, 0o700); err != nil {
		return nil, artifact.Disk(fault.New(fault.Internal, "make state folder: %w", err), s.o.Dir)
	}
	held, err := holder.Told(s.o.Env.Log).Lock(ctx, s.lock(name))
	if err != nil {
		return nil, artifact.Disk(err, s.o.Dir)
	}
	return func() { sandbox.Unlock(held) }, nil
}

func (s *server) lock(name string) string { return filepath.Join(s.o.Dir, name+".lock") }

// busy tells whether somebody changes what is served under name.
func (s *server) busy(name string) bool {
	held, err := sandbox.Held(s.lock(name))
	return err == nil && held
}

// Apply serves r, or takes away what is served under its name.
func (s *server) Apply(ctx context.Context, r port.Release) (port.Live, error) {
	if !r.Serves() && len(s.o.Clusters) == 0 && s.unknown(r.Name) {
		return port.Live{}, nil
	}
	end, err := s.turn(ctx, r.Name)
	if err != nil {
		return port.Live{}, err
	}
	defer end()
	rec, err := s.readRecord(r.Name)
	if err != nil {
		return port.Live{}, err
	}
	if !r.Serves() && s.unknown(r.Name) {
		if rec.Places, err = s.found(ctx, r.Name, ""); err != nil {
			return port.Live{}, err
		}
	}
	if !r.Serves() {
		return port.Live{}, s.retire(ctx, r.Name, rec)
	}
	how := s.shapes[r.Target()]
	if how == nil {
		return port.Live{}, fault.New(fault.Internal, "release %s is of target %q, and not of a cluster", r.Name, r.Target())
	}
	p, _ := how.part(r)
	live, err := s.serve(ctx, r, p, rec)
	if err != nil {
		return live, fault.WithHint(fault.New(fault.Of(err), "serve %s on cluster %s: %w", r.Name, p.cluster, err), "%s",
			cmp.Or(fault.HintOf(err), "correct what the message names, then run vishwa apply; the release before is still served"))
	}
	return live, nil
}

// serve makes r, waits until it is ready, gives it the traffic, and takes away what was before.
func (s *server) serve(ctx context.Context, r port.Release, p part, rec record) (port.Live, error) {
	w, err := s.plan(ctx, r, p)
	if err != nil {
		return port.Live{}, err
	}
	if w.kube, err = s.open(w.Place); err != nil {
		return port.Live{}, err
	}
	if w.Place.UID, err = w.kube.UID(ctx); err != nil {
		return port.Live{}, err
	}
	for _, p := range rec.Places {
		if p.Name == w.Place.Name && p.At.Context == w.Place.At.Context && p.UID != w.Place.UID && !w.anew(p) {
			return port.Live{}, other(p, w.Place.UID)
		}
	}
	standing := rec.Places
	if s.unknown(r.Name) { // not so the cluster, where another replica may have made it
		if standing, err = s.found(ctx, r.Name, p.cluster); err != nil {
			return port.Live{}, err
		}
	}
	if err := w.delivers(ctx, &rec, standing); err != nil {
		return port.Live{}, err
	}
	if err := w.able(ctx, r, p.adopt); err != nil {
		return port.Live{}, err
	}
	if rec.stands(w.Place) { // before anything is made there
		if err := s.writeRecord(r.Name, rec); err != nil {
			return port.Live{}, err
		}
	}
	w.served = rec.Served != nil && rec.Served.Unit == w.Unit && rec.Served.Place.is(w.Place)
	if w.Place.Git != nil {
		return s.deliver(ctx, w, rec, r.Timeout)
	}
	if by := w.shape().divides; rec.Tried != nil && by != nil && by.back != nil && rec.Tried.Place.is(w.Place) { // else what is tried would have all requests meanwhile
		if err := s.untry(ctx, w.kube, w.name, &rec); err != nil {
			return port.Live{}, err
		}
	}
	err = w.begin(ctx, rec)
	away := err != nil && fault.Of(err) == fault.Transient // it is gone on with when the cluster, or the store, answers
	if err == nil {
		err = w.readied(ctx, r.Timeout)
	}
	if err != nil {
		if !w.served && !away && (w.shape().kept || fault.Of(err) != fault.Cancelled) {
			w.undo(ctx, rec, err)
		}
		return port.Live{}, err
	}
	if err := s.takeOver(ctx, w, rec); err != nil {
		return port.Live{}, err
	}
	rec.outlives(rec.Tried)
	rec.Tried = nil
	return s.succeed(ctx, w, rec)
}

// takeOver gives w, which is ready, the requests. Whatever leads to its Service comes when that has pods: a Gateway answers 500 for a route
// to nothing, and goes on to for some seconds after there is something.
func (s *server) takeOver(ctx context.Context, w *work, was record) error {
	w.moves = was.Tried != nil || was.Served != nil && was.Served.Unit != w.Unit
	if w.short {
		made, err := w.hand().Put(ctx, w.unit)
		if err == nil && w.shape().routed == nil { // else it is waited for next
			err = w.shape().divides.took(ctx, s, w.kube, made, w.standing, whole)
		}
		if err != nil {
			return err
		}
	}
	for _, o := range w.fronts {
		_, err := w.hand().Put(ctx, o)
		if err == nil && o.Resource == kube.Services {
			err = s.reached(ctx, w)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// succeed records what has the traffic, and takes away what had it before, wherever that stands.
func (s *server) succeed(ctx context.Context, w *work, rec record) (port.Live, error) {
	was, old, made := rec.Places, rec.Served, rec.made(w.Place)
	if old != nil && old.Place.is(w.Place) {
		rec.outlives(old)
	}
	rec.Served, rec.Places = &w.standing, []place{w.Place}
	if err := s.writeRecord(w.name, record{Places: was, Served: rec.Served, Forget: rec.Forget}); err != nil {
		return port.Live{}, err
	}
	if err := s.reached(ctx, w); err != nil { // of what another sends to, too
		return port.Live{}, err
	}
	if err := s.route(ctx, w); err != nil {
		return port.Live{}, err
	}
	if err := s.comes(ctx, w, old); err != nil {
		return port.Live{}, err
	}
	h := w.hand()
	h.Made = made
	if err := s.prune(ctx, h, w.all()); err != nil {
		return port.Live{}, err
	}
	if err := w.forgets(ctx, &rec); err != nil {
		return port.Live{}, err
	}
	for _, p := range was {
		if p.is(w.Place) || w.anew(p) {
			continue
		}
		if err := s.leave(ctx, w.name, p, record{Places: was, Served: old}); err != nil {
			return port.Live{}, fault.New(fault.Of(err), "it is served there, and what it was on cluster %s stays: %w", p.Name, err)
		}
	}
	if err := s.writeRecord(w.name, rec); err != nil {
		return port.Live{}, err
	}
	if w.Laid != "" || old != nil && old.Laid != "" {
		s.sweep(ctx, w.name, w.Laid)
	}
	return s.observe(ctx, w.name, rec)
}
