// Package measure carries out a monitor: the reference and the window are read, held against
// each other and judged, and what was found is recorded with its evidence.
package measure

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/drift"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/sample"
	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/reconciler/machine/recall"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Bench is what measuring needs.
type Bench struct {
	*pass.Reconciler
	Branch string // that a controller tracks, and whose declarations these are; "": it is not said
	// Gauge opens a gauge; files are read from tree.
	Gauge func(tree fs.FS, g schemas.Gauge) (port.Gauge, error)
	// Log reads the log of predictions of a deployment, rows of a time and later ones. A
	// deployment that logs nothing is Missing.
	Log func(ctx context.Context, deployment schemas.Declaration, from, now time.Time) (r table.Reader, done func() error, err error)
	// Spool takes numbers that are too many for memory, until it is done with; nil: there is none.
	Spool func() (s sample.Spool, done func() error, err error)
	// Known and Keep are null alarm rates by the digest of all that they come from; nil: each is
	// found anew.
	Known func(digest.Digest) (drift.Null, bool)
	Keep  func(digest.Digest, drift.Null)
	// References has references as they were sorted; the zero one keeps none, and each is read and sorted anew.
	References recall.Shelf
	// Program tells this build from others, which may read a reference otherwise.
	Program string
}

// Measured is what was found.
type Measured struct {
	Ref      schemas.Ref
	Evidence watch.Evidence
	Name     digest.Digest // of the evidence in the store
	Watched  ledger.Watched
	Seq      int64     // of the entry; 0: not recorded
	At       time.Time // of the entry
}

// Look measures, and keeps the evidence, but records nothing.
func (b *Bench) Look(ctx context.Context, in *pass.Intent, ref schemas.Ref) (m Measured, err error) {
	s, err := b.session(ctx, in, ref)
	if err != nil {
		return m, err
	}
	e, err := s.evidence(ctx)
	if err != nil {
		return m, err
	}
	raw, err := digest.Canonical(e)
	if err != nil {
		return m, fault.New(fault.Internal, "encode the evidence: %w", err)
	}
	name, _, err := b.Store.Put(ctx, bytes.NewReader(raw))
	if err != nil {
		return m, fmt.Errorf("keep the evidence: %w", err)
	}
	return Measured{Ref: ref, Evidence: e, Name: name, Watched: s.watched(e, name)}, nil
}

// Line says a verdict in one line.
func Line(w ledger.Watched) string {
	rows := plural.Of(w.Rows, "row")
	switch {
	case w.Verdict == ledger.Drifted && w.Drifting > 0:
		return fmt.Sprintf("drift in %d of %s, of %s", w.Drifting, plural.Of(w.Columns, "column"), rows)
	case w.Verdict == ledger.Drifted:
		return "a bound is broken, of " + rows
	case w.Verdict == ledger.Faulty:
		return "columns are missing or of another type, or outcomes that are due have not come, of " + rows
	case w.Verdict == ledger.Unknown:
		return "too little is known, of " + rows
	}
	return fmt.Sprintf("well: %s of %s", plural.Of(w.Columns, "column"), rows)
}

// session is one measurement.
type session struct {
	*Bench
	in    *pass.Intent
	ref   schemas.Ref
	spec  *schemas.Monitor
	facts *ledger.Facts
	model digest.Digest
	now   time.Time
	notes []string // of columns
	// season is the hours of the window, where the reference is narrowed to them.
	season *watch.Season
	// baseline is the reference, where it is of the log.
	baseline *ledger.Baseline
	anew     bool // the reference is read, whatever is kept of it
}

func (b *Bench) session(ctx context.Context, in *pass.Intent, ref schemas.Ref) (*session, error) {
	s := &session{Bench: b, in: in, ref: ref, now: b.Now()}
	for i := range in.Decls {
		if w, ok := in.Decls[i].Spec.(schemas.Watches); ok && in.Decls[i].Ref() == ref {
			s.spec = w.Watches()
		}
	}
	if s.spec == nil {
		return nil, fault.WithHint(fault.New(fault.Missing, "%s is not a declared monitor", ref), "name one that is: vishwa monitor show lists them")
	}
	facts, err := b.Ledger.Facts(ctx)
	if err != nil {
		return nil, err
	}
	if s.facts, err = b.Here(ctx, facts, in.Graph); err != nil {
		return nil, err
	}
	served := s.facts.On(b.Machine, s.spec.Deployment)
	if served != nil && served.Action == ledger.Retire {
		return nil, fault.WithHint(fault.New(fault.Missing, "%s watches %s, which is retired since %s (entry %d)", ref, s.spec.Deployment, served.Time.UTC().Format(time.RFC3339), served.Seq), "deploy it again: vishwa apply; or remove the monitor: what it found stays in the ledger")
	}
	if served == nil || served.Action != ledger.Deploy {
		return nil, fault.WithHint(fault.New(fault.Missing, "%s watches %s, which is not deployed", ref, s.spec.Deployment), "deploy it: vishwa apply; or remove the monitor")
	}
	if served.Model != nil {
		s.model = served.Model.Artifact.Digest
	}
	return s, nil
}

// made is what stands under a ref for what is declared now: a dataset, or an output of a transform.
func (s *session) made(ref schemas.Ref) (port.Artifact, error) {
	for _, st := range plan.Compute(s.in.Graph, plan.Observed{Facts: s.facts, Machine: s.Machine}).Steps {
		e := s.facts.ByKey[st.Key]
		if st.Ref != ref.Whole() || st.Do != plan.Keep || e == nil {
			continue
		}
		name := ref.Output
		if ref.Kind.Traits().Pinned {
			name = "data"
		}
		if name == "" && len(e.Outputs) == 1 {
			name = e.Outputs[0].As
		}
		if a, ok := e.Outputs.Find(name); ok {
			return a, nil
		}
	}
	return port.Artifact{}, fault.WithHint(fault.New(fault.Missing, "%s needs %s, which is not made yet", s.ref, ref), "make it: vishwa apply")
}

func (s *session) evidence(ctx context.Context) (e watch.Evidence, err error) {
	e = watch.Evidence{Schema: watch.Schema, Monitor: s.ref, Deployment: s.spec.Deployment, Model: s.model, FDR: 0.05}
	if s.spec.FDR != nil {
		e.FDR = *s.spec.FDR
	}
	from, short, err := s.reference(ctx)
	if err != nil {
		return e, err
	}
	if short != "" {
		return s.without(ctx, e, short)
	}
	if c := s.spec.Current; c.Season != nil {
		s.season = watch.SeasonOf(c.Season.Every, s.now.Add(-c.Window.Or(0)), s.now)
	}
	base, now, done, err := s.sides()
	if err != nil {
		return e, err
	}
	defer done()
	ref, err := s.sorted(ctx, base, from)
	if err != nil {
		return e, err
	}
	defer ref.done()
	now.base = ref
	if s.baseline != nil {
		base.told.From = s.baselineOf()
	}
	if err := now.window(ctx); err != nil {
		return e, err
	}
	e.Reference, e.Window = base.told, now.told
	if err := s.seasonal(&e, base); err != nil {
		return e, err
	}
	if n := now.told.Future; n > 0 {
		e.Why = append(e.Why, plural.Of(n, "row")+" left out: their time has not come yet")
	}
	e.Why = append(e.Why, now.notes...)
	if e.Columns, err = s.columns(ref, &now.side, from.Digest); err != nil && ref.spoiled(err) {
		s.notes, s.baseline, s.anew = nil, nil, true
		return s.evidence(ctx)
	}
	if err != nil {
		return e, err
	}
	s.keep(ref, base)
	e.Why = append(e.Why, s.notes...)
	drift.Judge(e.Columns, e.FDR)
	if err := s.performance(ctx, &e, base, now); err != nil {
		return e, err
	}
	if err := s.gauges(ctx, &e); err != nil {
		return e, err
	}
	e.Judge()
	return e, nil
}

// sides are the reference and the window, before they are read, and how they are done with.
func (s *session) sides() (base, now *rows, done func() error, err error) {
	base, now, done = &rows{session: s}, &rows{session: s, current: true}, func() error { return nil }
	base.side.Each, now.side.Each = AtOnce, AtOnce
	if s.Spool != nil {
		spool, end, err := s.Spool()
		if err != nil {
			return nil, nil, nil, err
		}
		base.side.Spool, now.side.Spool, done = spool, spool, end
	}
	return base, now, done, nil
}

// seasonal tells which rows of the reference are like the window's, and refuses where none are.
func (s *session) seasonal(e *watch.Evidence, base *rows) error {
	if s.season == nil {
		return nil
	}
	every := s.spec.Current.Season.Every
	e.Why = append(e.Why, fmt.Sprintf("the reference is its rows of the window's hours of the %s: %d of %d", every, base.told.Rows, base.told.Rows+base.other))
	if base.told.Rows == 0 {
		return fault.WithHint(fault.New(fault.Missing, "%s has no rows of the window's hours of the %s", s.spec.Reference, every), "name a longer reference, or say every: day; or leave out spec.current.season")
	}
	return nil
}

// columns holds each column that is declared, or all of the reference.
func (s *session) columns(base sample.Reference, now *sample.Side, from digest.Digest) ([]drift.Column, error) {
	names := base.Columns()
	if len(s.spec.Columns) > 0 {
		names = slices.Sorted(maps.Keys(s.spec.Columns))
	}
	if len(s.spec.Columns) == 0 { // ids, times, outcomes: no features
		names = slices.DeleteFunc(names, s.apart)
	}
	out, notes, failed := make([]drift.Column, len(names)), make([][]string, len(names)), make([]error, len(names))
	AtOnce(len(names), func(i int) { // each has one column of both sides in memory
		out[i], notes[i], failed[i] = s.column(names[i], compared{s.spec.Columns[names[i]], base, now, from})
	})
	s.notes = append(s.notes, slices.Concat(notes...)...)
	return out, errors.Join(failed...)
}

// personal tells whether a dataset has a column of this name whose values are nobody's to see.
func (s *session) personal(name string) bool {
	for _, d := range s.in.Decls {
		if data, ok := d.Spec.(schemas.Data); ok && slices.Contains(data.Data().Columns[name].Tags, "personal") {
			return true
		}
	}
	return false
}

func reason(err error) string {
	if err == nil {
		return "no row has a value"
	}
	return err.Error()
}

// apart tells whether a column is no feature, where none are named.
func (s *session) apart(name string) bool {
	p := s.spec.Predictions
	if s.baseline != nil && logOwn(name) {
		return true
	}
	own := []string{cmp.Or(s.spec.Current.Time, "time"), cmp.Or(p.Score, "score"), cmp.Or(p.Prediction, "prediction"), "id", "model", "release", "arm", "status", "latency", "rate"}
	if season := s.spec.Current.Season; season != nil {
		own = append(own, season.Time)
	}
	if l := s.spec.Labels; l != nil {
		own = append(own, cmp.Or(l.Key, "id"), cmp.Or(l.Label, "label"))
	}
	return slices.Contains(own, name)
}

// watched is what the ledger keeps of the evidence.
func (s *session) watched(e watch.Evidence, name digest.Digest) ledger.Watched {
	w := ledger.Watched{Verdict: e.Verdict, Evidence: name, Deployment: s.spec.Deployment, Model: s.model, Rows: e.Window.Rows, Columns: len(e.Columns)}
	for _, c := range e.Columns {
		if c.Verdict == drift.Drift {
			w.Drifting++
			if len(w.Drift) < 10 {
				w.Drift = append(w.Drift, c.Name)
			}
		}
	}
	violations, of := 1, 1
	if p := s.spec.Persistence; p != nil {
		violations, of = p.Violations, p.Of
	}
	w.Baseline = s.baseline
	w.First, w.Last = e.Window.First, e.Window.Last
	if last := s.facts.Observed[s.ref]; last != nil && last.Watched != nil {
		watch.Succeed(last.Watched, &w, of)
		w.Proposals = last.Watched.Proposals
	}
	w.Persists = watch.Persists(w.Verdict, w.Before, violations)
	return w
}
