// Places: what will keep a step from being carried out where it is declared to be, told by the plan.

package pass

import (
	"context"

	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Place is where a step is carried out: a runner, or a cluster, a model server or an engine of Docker that a deployment is served on, or
// the registry that a package is sent to.
type Place struct {
	Runner, Cluster string
	ModelServer     string
	Engine          string // its address
	External        bool   // work of the team's, which has no worker
	Brought         bool   // a deployment whose worker an image brings, or that has none
	Apart           bool   // a deployment that reads nothing of the store
	Package         *port.Package
	Declared        bool // by a pull request: whoever a package names is not asked
	Acts            bool // the plan is to be carried out: whoever a package names is asked
}

// placeOf is where a step of p, which is made for w, is carried out; the zero Place is this machine.
func (w *Snapshot) placeOf(p plan.Plan, ref schemas.Ref) (at Place) {
	n := w.Graph.Node(ref)
	if n == nil {
		return at
	}
	on := n.RunsOn
	if n.Scored != nil {
		on = n.Scored.RunsOn
	}
	switch spec := n.Decl.Spec.(type) {
	case schemas.Serves:
		is := spec.Serves()
		return Place{Cluster: is.Cluster, ModelServer: is.ModelServer, Engine: is.Engine, Brought: is.Worker != "" || is.Bytes == schemas.BytesTrusted, Apart: is.Cluster != "" && !is.Fetches}
	case schemas.Packs:
		return Place{Package: w.packing(p, n, spec.Packs()), Declared: w.Base != nil, Acts: w.acts}
	case schemas.Runnable:
		at.External = spec.Delegates() != nil
	}
	if on.Runner != schemas.LocalRunner {
		at.Runner = on.Runner
	}
	return at
}

// packing is the package that n is to be, with the files of its model where the plan does not make another.
func (w *Snapshot) packing(p plan.Plan, n *graph.Node, is schemas.Packing) *port.Package {
	out := &port.Package{At: port.Registry{Repository: is.OCI.Repository, PlainHTTP: is.OCI.PlainHTTP}, Name: is.Model.Name, Image: execute.Imaged(n, is.Image), Known: execute.Sent(w.Facts)}
	for _, s := range p.Steps {
		if s.Ref != is.Model || s.Do != plan.Keep {
			continue
		}
		if e := w.entry(s); e != nil && e.Model != nil {
			out.Model = e.Model.Artifact
		}
	}
	return out
}

// placeFindings tell of the steps of p that cannot be begun where they are declared to be. What the owner of the machine does not let
// them is denied; what this machine lacks another may have, so that it is a warning.
func (h *Reconciler) placeFindings(ctx context.Context, w *Snapshot, p plan.Plan) (out []ledger.Finding) {
	if h.Ready == nil {
		return nil
	}
	var places []Place
	index := map[Place]int{}
	of := map[schemas.Ref]int{}
	for s := range p.Working() {
		at := w.placeOf(p, s.Ref)
		if at == (Place{}) || s.Do == plan.Retire {
			continue
		}
		i, known := index[at]
		if !known {
			i = len(places)
			index[at], places = i, append(places, at)
		}
		of[s.Ref] = i
	}
	if len(places) == 0 {
		return nil
	}
	errs := h.Ready(ctx, w.Project, places)
	for s := range p.Working() {
		if i, has := of[s.Ref]; has && errs[i] != nil {
			out = append(out, places[i].finding(s.Ref, errs[i]))
		}
	}
	return out
}

// finding tells of ref, which is to be carried out at p, what keeps it from that.
func (p Place) finding(ref schemas.Ref, err error) ledger.Finding {
	f := ledger.Finding{Rule: "place/unready", Level: ledger.Warn, Ref: ref, Message: p.cannot() + " from here: " + err.Error(), Hint: fault.HintOf(err)}
	if port.WasUnasked(err) {
		f.Rule, f.Level, f.Message = "place/unasked", ledger.Note, "its registries were not asked: "+err.Error()
	} else if fault.Of(err) == fault.Denied {
		f.Rule, f.Level, f.Message = "place/denied", ledger.Denied, p.words()+": "+err.Error()
	}
	return f
}

// passFindings tell of the steps of p that would pass on, or reach, what the owner of the machine does not let them have.
func (h *Reconciler) passFindings(w *Snapshot, p plan.Plan) (out []ledger.Finding) {
	may := port.Env{Bounds: h.Bounds}
	for s := range p.Working() {
		names, all, claims := w.wants(s.Ref)
		err := may.MayPass(names...)
		for _, c := range claims {
			if err == nil && h.Bounds != nil {
				err = h.Bounds.Host(c)
			}
		}
		if err == nil {
			err = may.MayReach(all)
		}
		if err != nil && s.Do != plan.Retire {
			out = append(out, ledger.Finding{Rule: "place/denied", Level: ledger.Denied, Ref: s.Ref, Message: err.Error(), Hint: fault.HintOf(err)})
		}
	}
	return out
}

// wants are the variables that a step of w has passed on, whether a run of it may reach all that the machine does, and the requests that it has
// fronts send to what it serves.
func (w *Snapshot) wants(ref schemas.Ref) (names []string, all bool, claims []schemas.Claim) {
	n := w.Graph.Node(ref)
	if n == nil {
		return nil, false, nil
	}
	if spec, is := n.Decl.Spec.(schemas.Serves); is {
		claims = spec.Serves().Claims
	}
	if spec, is := n.Decl.Spec.(schemas.Evaluates); is && spec.Evaluates() != nil {
		names, all = append(names, spec.Evaluates().Env.Pass...), spec.Evaluates().Network.All()
	}
	if spec, is := n.Decl.Spec.(schemas.Commanded); is {
		if c, _ := spec.Command(); c != nil {
			names = append(names, c.Env.Pass...)
		}
	}
	if spec, is := n.Decl.Spec.(schemas.Runnable); is && spec.Delegates() == nil {
		all = all || spec.Bounds().Network.All()
	}
	return names, all, claims
}

func (p Place) words() string {
	if p.Cluster != "" {
		return "cluster " + p.Cluster
	}
	if p.ModelServer != "" {
		return "model server " + p.ModelServer
	}
	if p.Engine != "" {
		return "the engine at " + p.Engine
	}
	if p.Package != nil {
		return "its image"
	}
	return "runner " + p.Runner
}

func (p Place) cannot() string {
	if p.Package != nil {
		return "it cannot be packed"
	}
	return "it cannot be begun on " + p.words()
}
