// What monitors found, told to metrics: when it is measured, and once after a start, as the ledger
// and the evidence have it.

package app

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/controller"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/drift"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/pass/measure"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// mostEvidence bounds what is read of a store as evidence.
const mostEvidence = 64 << 20

// ReadEvidence reads what a monitor found, by the name that its entry gives.
func ReadEvidence(ctx context.Context, store port.Store, entry *ledger.Entry) (e watch.Evidence, err error) {
	name := entry.Watched.Evidence
	if _, err := digest.Parse(string(name)); err != nil {
		return e, fault.New(fault.Corrupt, "entry %d: %w", entry.Seq, err)
	}
	in, err := store.Get(ctx, name)
	if err != nil {
		return e, err
	}
	defer in.Close()
	raw, err := io.ReadAll(io.LimitReader(in, mostEvidence+1))
	if err != nil {
		return e, err
	}
	if len(raw) > mostEvidence || json.Unmarshal(raw, &e) != nil {
		return e, fault.New(fault.Corrupt, "the evidence of entry %d cannot be read", entry.Seq)
	}
	return e, nil
}

// undeclared notes which monitors a branch declares, and tells those that no branch does any more.
// It is called with the lock held.
func (s *ManagedRepository) undeclared(branch string, now map[schemas.Ref]string) (gone []string) {
	for ref := range s.monitors[branch] {
		if _, still := now[ref]; still {
			continue
		}
		elsewhere := false
		for other, all := range s.monitors {
			_, has := all[ref]
			elsewhere = elsewhere || has && other != branch
		}
		if !elsewhere {
			gone = append(gone, ref.Name)
			delete(s.shown, ref)
		}
	}
	return gone
}

// show tells what the monitors of a branch found, as far as it was not told yet. Evidence that
// cannot be read keeps nothing else.
func (s *ManagedRepository) show(ctx context.Context, h *Repository, in *pass.Intent, facts *ledger.Facts) {
	if s.o.Watched == nil {
		return
	}
	for ref := range watching(in) {
		last := facts.Observed[ref]
		if last == nil || last.Watched == nil || s.isShown(ref, last.Watched.Evidence) {
			continue
		}
		e, err := ReadEvidence(ctx, h.Store, last)
		if err != nil {
			s.o.Env.Log.DebugContext(ctx, "the evidence of a monitor cannot be read", "monitor", ref.String(), "error", err)
		}
		s.showOne(in, measure.Measured{Ref: ref, Evidence: e, Watched: *last.Watched, Seq: last.Seq, At: last.Time}, false)
	}
}

func (s *ManagedRepository) isShown(ref schemas.Ref, evidence digest.Digest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown[ref] == evidence
}

// showOne tells what a monitor found.
func (s *ManagedRepository) showOne(in *pass.Intent, m measure.Measured, measured bool) {
	if s.o.Watched == nil {
		return
	}
	s.mu.Lock()
	measured = measured && s.shown[m.Ref] != m.Watched.Evidence // the same window again is none
	s.shown[m.Ref] = m.Watched.Evidence
	s.mu.Unlock()
	w := controller.Watched{
		Monitor: m.Ref.Name, Model: modelOf(in, m.Watched.Deployment), Verdict: string(m.Watched.Verdict), Entry: m.Seq, At: m.At,
		Compared: m.Watched.Columns, Drifting: m.Watched.Drifting, New: measured,
	}
	for _, c := range m.Evidence.Columns {
		one := controller.WatchedColumn{Name: c.Name, Method: c.Method, Score: math.NaN(), Drift: c.Verdict == drift.Drift}
		if c.Score != nil {
			one.Score = float64(*c.Score)
		}
		w.Columns = append(w.Columns, one)
	}
	s.o.Watched(w)
}

// modelOf is the name of the model that a deployment declares; "" where it is not declared.
func modelOf(in *pass.Intent, deployment schemas.Ref) string {
	for i := range in.Decls {
		if serves, ok := in.Decls[i].Spec.(schemas.Serves); ok && in.Decls[i].Ref() == deployment {
			return serves.Serves().Model.Name
		}
	}
	return ""
}

// released are the models that a ledger says are released.
func released(f *ledger.Facts) (out []controller.Model) {
	for ref, e := range f.Latest {
		if e.Action == ledger.Select && e.Model != nil {
			out = append(out, controller.Model{Name: ref.Name, Version: strconv.FormatInt(e.Seq, 10), Digest: string(e.Model.Artifact.Digest), Commit: e.Revision})
		}
	}
	slices.SortFunc(out, func(a, b controller.Model) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// monitorsOf lists the monitors that a branch declares, in order.
func monitorsOf(all map[schemas.Ref]string) []schemas.Ref {
	return slices.SortedFunc(maps.Keys(all), func(a, b schemas.Ref) int { return strings.Compare(a.String(), b.String()) })
}
