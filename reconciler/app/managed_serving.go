// What a site has deployed on this machine, looked after without a question to the
// remote: who is told of every ledger that is folded, and of every entry that is
// written, knows what should be served.

package app

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/controller"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/wrap"
	"github.com/vishwaops/vishwa/reconciler/routine"
	"github.com/vishwaops/vishwa/schemas"
)

// served is guarded by the site's lock.
type served struct {
	server   port.Server
	machine  string // this one: see ledger.Facts.On
	count    int64  // of the ledger's entries; zero: it was never folded
	deployed map[schemas.Ref]standing
	by       map[schemas.Ref]string // the tracked branch that declares it
	nodes    map[schemas.Ref]*graph.Node
	arms     func(context.Context, *schemas.Declaration, port.Trial) (rollout.Evidence, error)
}

// standing is what the ledger says of a deployment.
type standing struct {
	key       digest.Digest
	own       digest.Digest // what this machine serves of it, where another serves something else since
	down      bool          // it was seen not to answer
	suspended bool          // nothing is to be done about it; what it was rolled back to is brought back all the same
	rollout   rollout.State // of a release that is tried next to it
}

// observeWithin is how long a deployment may take to say how it stands.
const observeWithin = 10 * time.Second

func (s *ManagedRepository) learn(h *Repository) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.served.server, s.served.machine = h.Server, h.Machine
	if h.Arms != nil {
		s.served.arms = h.Arms
	}
	s.trackers = s.trackers || len(h.Trackers) > 0
}

// serving says on this machine that this process looks after what is served.
func (s *ManagedRepository) serving(p Paths) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.control != nil {
		return nil
	}
	var err error
	s.control, err = p.control()
	return err
}

// known takes in a folded ledger, where it is not older than what is known.
func (s *ManagedRepository) known(f *ledger.Facts) {
	if s.newest(f) && s.o.Models != nil {
		s.o.Models(released(f))
	}
}

// newest takes in a folded ledger; false where it is older than what is known.
func (s *ManagedRepository) newest(f *ledger.Facts) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Count < s.served.count {
		return false
	}
	s.served.count, s.served.deployed = f.Count, map[schemas.Ref]standing{}
	for ref, e := range f.Latest {
		if e.Action == ledger.Deploy {
			st := standing{key: e.Key, suspended: f.Suspension(ref) != nil && !e.Rollback()}
			if own := f.On(s.served.machine, ref); own.Action == ledger.Deploy && own.Key != e.Key {
				st.own = own.Key
			}
			st.rollout = f.RolloutOf(ref)
			if seen := f.Observed[ref]; seen != nil && seen.Observed != nil {
				st.down = !seen.Observed.Up
			}
			s.served.deployed[ref] = st
		}
	}
	return true
}

// recorded takes in an entry that was written just now.
func (s *ManagedRepository) recorded(e ledger.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.served.deployed == nil || !e.Ref.Kind.Traits().Serves {
		return
	}
	was := s.served.deployed[e.Ref]
	switch {
	case e.Action == ledger.Deploy:
		s.served.deployed[e.Ref] = standing{key: e.Key, down: was.down, suspended: was.suspended && !e.Rollback()}
	case e.Action == ledger.Retire:
		delete(s.served.deployed, e.Ref)
	case e.Action == ledger.Observe && e.Observed != nil && was.key != "":
		was.down = !e.Observed.Up
		s.served.deployed[e.Ref] = was
	case e.Action == ledger.RollOut && was.key != "":
		was.rollout = e.Rolled(was.rollout)
		s.served.deployed[e.Ref] = was
	}
	s.served.count = max(s.served.count, e.Seq+1)
}

// deploys notes what a branch declares.
func (s *ManagedRepository) deploys(branch string, in *pass.Intent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.served.by == nil {
		s.served.by, s.served.nodes = map[schemas.Ref]string{}, map[schemas.Ref]*graph.Node{}
	}
	for i := range in.Graph.Nodes {
		if ref := in.Graph.Nodes[i].Ref; ref.Kind.Traits().Serves {
			s.served.by[ref], s.served.nodes[ref] = branch, &in.Graph.Nodes[i]
		}
	}
}

// standings are what should be served, and who serves it. The ledger is folded once,
// where no pass has done so yet.
func (s *ManagedRepository) standings(ctx context.Context) (port.Server, map[schemas.Ref]standing, error) {
	s.mu.Lock()
	server, deployed := s.served.server, s.served.deployed
	s.mu.Unlock()
	if deployed != nil {
		return server, s.copied(), nil
	}
	for _, branch := range s.tracked() {
		h, err := s.beside(ctx, branch, true)
		if fault.Of(err) == fault.Missing { // nothing was fetched yet
			s.asked("fetch")
			if err = s.mirror.Fetch(ctx, "refs/heads/"+branch); err == nil {
				h, err = s.beside(ctx, branch, true)
			}
		}
		if err != nil {
			return nil, nil, err
		}
		_, err = h.Ledger.Facts(ctx)
		if _, in, broken := h.Head(ctx); err == nil && broken == nil {
			s.deploys(branch, in)
		}
		h.Close()
		if err != nil {
			return nil, nil, err
		}
	}
	s.mu.Lock()
	server = s.served.server
	s.mu.Unlock()
	return server, s.copied(), nil
}

func (s *ManagedRepository) copied() map[schemas.Ref]standing {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[schemas.Ref]standing, len(s.served.deployed))
	for ref, st := range s.served.deployed {
		out[ref] = st
	}
	return out
}

// Deployed tells how each deployment stands that the ledger says is there.
func (s *ManagedRepository) Deployed(ctx context.Context) ([]controller.Deployment, error) {
	server, deployed, err := s.standings(ctx)
	if err != nil || len(deployed) == 0 {
		return nil, err
	}
	var mu sync.Mutex
	var all routine.Set
	var out []controller.Deployment
	slots := make(chan struct{}, 16) // those that hang hold up few others
	survey := wrap.Survey(server)
	whole := ctx
	for ref, st := range deployed {
		all.Start(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if !st.suspended {
				s.renew(whole, survey, ref)
			}
			ctx, cancel := context.WithTimeout(whole, observeWithin) // of its own: who lends may hang where what is served answers
			defer cancel()
			var live port.Live
			err := fault.Guard(func() (err error) { live, err = survey.Observe(ctx, ref.Name); return err })
			d := controller.Deployment{Ref: ref, Name: ref.Name, Branch: s.declares(ref), Noted: st.down}
			switch {
			case err != nil: // one that cannot be asked hides no other
				d.Health = port.Failing
				s.o.Env.Log.WarnContext(ctx, "a deployment cannot be asked what its state is", "deployment", ref.Name, "error", err, "hint", fault.WayOut(err))
			case live.Key == st.key, live.Key == st.own && st.own != "":
				d.Health = live.Health
			}
			if err == nil && live.Beside != nil {
				d.Tries = true
				s.aside(whole, ref, func(ctx context.Context) { s.tryOn(ctx, d, st, live) })
			}
			mu.Lock()
			defer mu.Unlock()
			out = append(out, d)
		})
	}
	all.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	slices.SortFunc(out, func(a, b controller.Deployment) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

// renew has what a deployment reads of the store lent anew, where by can.
func (s *ManagedRepository) renew(ctx context.Context, by port.Observer, ref schemas.Ref) {
	r, can := by.(port.Renewer)
	if !can {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, observeWithin)
	defer cancel()
	if err := fault.Guard(func() error { return r.Renew(ctx, ref.Name) }); err != nil {
		s.o.Env.Log.WarnContext(ctx, "what a deployment reads of the store could not be lent anew", "deployment", ref.Name, "error", err, "hint", fault.WayOut(err))
	}
}

// declares is the tracked branch that declares ref, or the first where none is known to.
func (s *ManagedRepository) declares(ref schemas.Ref) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.served.by[ref]; b != "" || len(s.branches) == 0 {
		return b
	}
	return s.branches[0]
}

// Revive brings back what the ledger says is deployed under ref, as it stands on this
// machine: no declaration is read and nothing is decided anew.
func (s *ManagedRepository) Revive(ctx context.Context, ref schemas.Ref) error {
	server, deployed, err := s.standings(ctx)
	if err != nil {
		return err
	}
	st, there := deployed[ref]
	reviver, can := server.(port.Reviver)
	if !there || !can {
		return fault.WithHint(fault.New(fault.Missing, "%s is not deployed by what could bring it back", ref.Name), "run vishwa apply, or wait for the next pass")
	}
	if st.suspended {
		return fault.WithHint(fault.New(fault.Held, "%s is suspended", ref.Name), "let it go on: vishwa resume %s", ref)
	}
	_, err = reviver.Revive(ctx, ref.Name, st.key)
	return err
}

// beside opens the repository beside whatever passes are under way: it acts on nothing,
// and so it takes no turn. Offline, it goes by the ledger that this machine has.
func (s *ManagedRepository) beside(ctx context.Context, branch string, offline bool) (*Repository, error) {
	o := s.opening(branch)
	o.Offline = offline
	h, err := Open(ctx, o)
	if err != nil {
		return nil, err
	}
	s.learn(h)
	if err := s.serving(h.Paths); err != nil {
		h.Close()
		return nil, err
	}
	h.Ledger = notifyingLedger{h.Ledger, s}
	return h, nil
}

// Note records that a deployment does not answer, or does so again.
func (s *ManagedRepository) Note(ctx context.Context, d controller.Deployment, up bool) error {
	h, err := s.beside(ctx, d.Branch, false)
	if err != nil {
		return err
	}
	defer h.Close()
	return h.Observed(ctx, d.Ref, ledger.Observed{Up: up, Health: d.Health})
}
