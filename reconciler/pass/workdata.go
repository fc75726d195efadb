// Data beside its pointers: what the work tree holds otherwise than the pointer says, and
// what nobody else could fetch. A pass goes by pointers alone, so both are told.

package pass

import (
	"context"
	"strings"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// WorkData tells how data of the work tree stands. Answers are by the data's path.
type WorkData interface {
	// Changed tells what is there otherwise than points name it; what is not there is left out.
	Changed(ctx context.Context, points []port.DataPointer) (map[string]port.DataChange, error)
	// Unpushed tells which data the DVC remote lacks, and the remote's name. Of a remote that
	// does not answer it says nothing.
	Unpushed(ctx context.Context, points []port.DataPointer) map[string]string
}

// pointed are the datasets of in that a pointer names.
func pointed(in *Intent, of func(schemas.Ref) bool) (refs []schemas.Ref, points []port.DataPointer) {
	for i := range in.Graph.Nodes {
		if n := &in.Graph.Nodes[i]; n.Points != nil && of(n.Ref) {
			refs, points = append(refs, n.Ref), append(points, *n.Points)
		}
	}
	return refs, points
}

// unaltered refuses to act where data of the work tree is another than its pointer names:
// what is made would be made of other data than whoever asks sees.
func (h *Reconciler) unaltered(ctx context.Context, in *Intent) error {
	_, points := pointed(in, func(schemas.Ref) bool { return true })
	if h.WorkData == nil || len(points) == 0 {
		return nil
	}
	changed, err := h.WorkData.Changed(ctx, points)
	if err != nil {
		return err
	}
	var names, paths []string
	for _, p := range points {
		if c, ok := changed[p.Path]; ok && !c.Missing {
			names, paths = append(names, p.Path+" ("+c.What+"; "+p.File+" names other data)"), append(paths, p.Path)
		}
	}
	if len(names) == 0 {
		return nil
	}
	all := strings.Join(paths, " ")
	return fault.WithHint(fault.New(fault.Conflict, "apply acts on a commit, and data of the work tree differs from it: %s", strings.Join(names, ", ")),
		"add it and commit the pointer: vishwa data add %s; or put back what is committed: vishwa data checkout %s", all, all)
}

// dataFindings warn of the datasets of p that stand otherwise in the work tree, and of
// those that the DVC remote does not have.
func (h *Reconciler) dataFindings(ctx context.Context, w *Snapshot, p plan.Plan) (out []ledger.Finding, err error) {
	if h.WorkData == nil {
		return nil, nil
	}
	steps := sync.OnceValue(func() map[schemas.Ref]bool {
		all := make(map[schemas.Ref]bool, len(p.Steps))
		for i := range p.Steps {
			all[p.Steps[i].Ref] = true
		}
		return all
	})
	refs, points := pointed(w.Intent, func(ref schemas.Ref) bool { return steps()[ref] })
	if len(points) == 0 {
		return nil, nil
	}
	changed := map[string]port.DataChange{}
	if w.preview {
		if changed, err = h.WorkData.Changed(ctx, points); err != nil {
			return nil, err
		}
	}
	lack := h.WorkData.Unpushed(ctx, points)
	for i, at := range points {
		if c, ok := changed[at.Path]; ok {
			out = append(out, ledger.Finding{Rule: "data/changed", Level: ledger.Warn, Ref: refs[i],
				Message: at.Path + " is not what " + at.File + " names (" + c.What + "); the plan goes by " + at.File,
				Hint:    "add it: vishwa data add " + at.Path + "; or put back what is committed: vishwa data checkout " + at.Path})
		}
		if remote, ok := lack[at.Path]; ok {
			out = append(out, ledger.Finding{Rule: "data/unpushed", Level: ledger.Warn, Ref: refs[i],
				Message: "the DVC remote " + remote + " does not have " + at.Path + " as " + at.File + " names it",
				Hint:    "push it: vishwa data push " + at.Path})
		}
	}
	return out, nil
}
