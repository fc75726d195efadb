// Measuring on schedule: the monitors of a tracked branch measure when their time has come, and
// what persists is answered as they declare. Monitors are those of the tracked branch alone: a
// pull request makes nobody ask an address, read a file or open another pull request.

package app

import (
	"context"
	"fmt"
	"time"

	"github.com/vishwaops/vishwa/reconciler/controller"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/pass/measure"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// watching lists the monitors, and when each measures; "" is never by itself.
func watching(in *pass.Intent) map[schemas.Ref]string {
	out := map[schemas.Ref]string{}
	for _, d := range in.Decls {
		if spec, ok := d.Spec.(schemas.Watches); ok {
			out[d.Ref()] = spec.Watches().Schedule
		}
	}
	return out
}

// measure measures what is due, and says what there is to say of it. A monitor that cannot
// measure is told, and keeps no other from it.
func (s *ManagedRepository) measure(ctx context.Context, branch string, r templates.Report) (notes []string, err error) {
	s.mu.Lock()
	any := len(s.monitors[branch]) > 0 || s.ending[branch] && !r.Unobserved
	s.mu.Unlock()
	if !any || s.o.Refresh.Off {
		return nil, nil
	}
	at, err := s.standpoint(ctx, branch)
	if err != nil {
		return nil, err
	}
	defer at.h.Close()
	at.h.Trigger = controller.Trigger(ctx)
	s.show(ctx, at.h, at.in, at.facts)
	bench := Bench(at.h, s.o.Env, s.o.Refresh.Allow)
	bench.Branch = branch
	var failed []error
	all, measured := watching(at.in), map[schemas.Ref]bool{}
	for _, ref := range monitorsOf(all) {
		expr := all[ref]
		if expr == "" {
			continue
		}
		var since time.Time
		if last := at.facts.Observed[ref]; last != nil && last.Watched != nil {
			since = last.Time
		}
		if here := s.measuredAt(branch, ref); here.After(since) {
			since = here
		}
		if !controller.Due(expr, since, s.o.Env.Now()) {
			continue
		}
		note, err := s.measureOne(ctx, at, bench, ref)
		measured[ref] = err == nil
		if err != nil {
			failed = append(failed, fmt.Errorf("measure %s: %w", ref, err))
		}
		if note != "" {
			notes = append(notes, note)
		}
		if k := fault.Of(err); err == nil || k != fault.Transient && k != fault.Conflict && k != fault.Cancelled {
			s.noteMeasured(branch, ref)
		}
	}
	facts := at.facts
	if len(measured) > 0 {
		if facts, err = at.h.Ledger.Facts(ctx); err != nil {
			return notes, worst(append(failed, err))
		}
	}
	if _, err := s.alert(ctx, bench, facts, at.in, at.rev.SHA, measured); err != nil {
		failed = append(failed, err)
	} else {
		s.mu.Lock()
		delete(s.ending, branch)
		s.mu.Unlock()
	}
	return notes, worst(failed)
}

// measuredAt is when this process measured last: two branches may declare monitors of one name,
// and each has a time of its own.
func (s *ManagedRepository) measuredAt(branch string, ref schemas.Ref) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.measured[branch][ref]
}

func (s *ManagedRepository) noteMeasured(branch string, ref schemas.Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.measured[branch] == nil {
		s.measured[branch] = map[schemas.Ref]time.Time{}
	}
	s.measured[branch][ref] = s.o.Env.Now()
}

func (s *ManagedRepository) measureOne(ctx context.Context, at *standpoint, bench *measure.Bench, ref schemas.Ref) (string, error) {
	m, err := bench.Look(ctx, at.in, ref)
	if err != nil {
		return "", err
	}
	if err := bench.Record(ctx, &m, at.rev.SHA); err != nil {
		return "", err
	}
	s.showOne(at.in, m, true)
	note := fmt.Sprintf("%s: %s (entry %d).", ref, measure.Line(m.Watched), m.Seq)
	p, err := s.proposer(ctx, at, "retrain")
	if err != nil {
		return note, err
	}
	a := Answering{Bench: bench, Intent: at.in, Now: s.o.Env.Now(), Refresh: s.answering(ctx, at.h)}
	if s.o.Forge != nil {
		a.Ask, a.Open = s.office.Forge.Propose, s.office.Forge.Open
	}
	made, why, err := p.Answer(ctx, &m, a)
	switch {
	case err != nil:
		return note, err
	case made == nil && why != "" && m.Watched.Verdict == ledger.Drifted:
		return note + " No retraining is proposed: " + why + ".", nil
	case made == nil:
		return note, nil
	}
	s.o.Env.Log.InfoContext(ctx, "proposed", "monitor", ref.String(), "branch", made.Branch, "revision", made.SHA, "pull", made.Pull)
	if s.o.Refresh.Consider && made.Pull > 0 {
		if _, err := s.ReconcilePull(ctx, made.Pull); err != nil {
			return note, err
		}
	}
	return fmt.Sprintf("%s A retraining is proposed on %s.", note, made.Branch), nil
}
