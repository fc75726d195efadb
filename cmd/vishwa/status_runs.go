// Runs that have not ended, in vishwa status.

package main

import (
	"cmp"
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// runUnderWay is a run that has not ended, as far as its runner tells, or that nobody has recorded since it ended well.
type runUnderWay struct {
	Key    digest.Digest `json:"key"`
	Runner string        `json:"runner"`
	State  port.RunState `json:"state,omitempty"`  // none where the runner does not tell
	Since  time.Time     `json:"since,omitzero"`   // it was begun or, where it is done, ended
	Reason string        `json:"reason,omitempty"` // what it waits for, how far it has come, or why nothing is known
	// Revision is the tracked one, of a run that the work tree declares otherwise.
	Revision string `json:"revision,omitempty"`
}

// standing is the state of what it makes; without it, was.
func (r runUnderWay) standing(was string) string {
	switch r.State {
	case port.Done:
		return was
	case port.Running:
		return "under way"
	case port.Waiting:
		return "waits"
	}
	return "unknown"
}

func (r runUnderWay) String() string {
	text := "on " + r.Runner
	if r.Runner == schemas.LocalRunner {
		text = "on this machine"
	}
	if r.Revision != "" {
		text += " (as of revision " + r.Revision[:min(7, len(r.Revision))] + ")"
	}
	switch r.State {
	case port.Done:
		return text + ", ended well at " + r.Since.UTC().Format(time.RFC3339)
	case "":
		return text + ", state not known: " + r.Reason
	}
	if news := (port.Run{State: r.State, Reason: r.Reason}).News(); news != "" {
		text += ", " + news
	}
	return text
}

// askedFor bounds how long runners are asked for how their runs stand: what is served is not to wait for a cluster that is gone.
const askedFor = 15 * time.Second

// unrecorded are the runs of p's steps that this machine began and that nobody has recorded.
func (s *station) unrecorded(ctx context.Context, p plan.Plan) (map[digest.Digest]runUnderWay, error) {
	short, cancel := context.WithTimeout(ctx, askedFor)
	defer cancel()
	g, short := errgroup.WithContext(short)
	g.SetLimit(8)
	found := make([][]runUnderWay, len(p.Steps))
	for i, st := range p.Steps {
		if is := st.Ref.Kind.Traits(); st.Do == plan.Keep || !is.Runs && !is.Releases {
			continue
		}
		g.Go(func() error {
			for _, key := range st.Keys() {
				if slices.ContainsFunc(st.Evaluations, func(e plan.Evaluation) bool { return e.Key == key && e.Metrics != nil }) {
					continue // recorded
				}
				run, err := s.Runner.Poll(short, key)
				on := cmp.Or(run.Runner, schemas.LocalRunner)
				switch kind := fault.Of(err); {
				case ctx.Err() != nil:
					return fault.New(fault.Cancelled, "ask for runs: %w", context.Cause(ctx))
				case kind == fault.Missing, kind == fault.Corrupt: // none
				case err == nil && run.State == port.Done && run.Result.Cause != "": // the ledger tells of it
				case err == nil && run.State == port.Done: // well, and nobody has recorded it
					found[i] = append(found[i], runUnderWay{Key: key, Runner: on, State: run.State, Since: run.Result.Finished})
				case err != nil:
					found[i] = append(found[i], runUnderWay{Key: key, Runner: on, Reason: err.Error()})
				default:
					r := runUnderWay{Key: key, Runner: on, State: run.State, Since: run.Started, Reason: run.Reason}
					if r.State == port.Waiting {
						r.Reason = cmp.Or(r.Reason, "its software environment is being made")
					}
					found[i] = append(found[i], r)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := map[digest.Digest]runUnderWay{}
	for _, r := range slices.Concat(found...) {
		out[r.Key] = r
	}
	return out, nil
}

// withRuns adds to what stands the runs that have not ended: of what the work tree declares, and of the tracked revision, where
// that differs.
func (s *station) withRuns(ctx context.Context, w *pass.Snapshot, p plan.Plan, all []standing) ([]standing, error) {
	seen := map[digest.Digest]bool{}
	add := func(p plan.Plan, revision string) error {
		known, err := s.unrecorded(ctx, p)
		if err != nil {
			return err
		}
		for _, st := range p.Steps {
			for _, key := range st.Keys() {
				r, under := known[key]
				if !under || seen[key] {
					continue
				}
				seen[key], r.Revision = true, revision
				i := slices.IndexFunc(all, func(x standing) bool { return x.Ref == st.Ref })
				if i < 0 {
					all = append(all, standing{Ref: st.Ref, Want: st.Do, Why: st.Why})
					i = len(all) - 1
				}
				all[i].Runs = append(all[i].Runs, r)
				all[i].State, all[i].Since = all[i].Runs[0].standing(all[i].State), all[i].Runs[0].Since
			}
		}
		return nil
	}
	if err := add(p, ""); err != nil || !w.Dirty {
		return all, err
	}
	rev, head, err := s.Head(ctx)
	if err != nil {
		return all, nil // the revision may be broken where the work tree mends it
	}
	facts, err := s.Here(ctx, w.Facts, head.Graph)
	if err != nil {
		return nil, err
	}
	return all, add(plan.Compute(head.Graph, plan.Observed{Facts: facts}), rev.SHA)
}
