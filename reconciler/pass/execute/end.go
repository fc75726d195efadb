// How steps end: done, held or failed, each told and, where it matters to an
// auditor, recorded.

package execute

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// refusal is a policy's no, with its findings.
type refusal struct{ found []ledger.Finding }

func (r refusal) Error() string {
	var out []string
	for _, f := range r.found {
		text := f.Rule + ": " + f.Message
		if f.Hint != "" {
			text += " (" + f.Hint + ")"
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

// kind tells what waits for people alone from what no approval would let through.
func (r refusal) kind() fault.Kind {
	if slices.ContainsFunc(r.found, func(f ledger.Finding) bool { return f.Rule != ledger.ApprovalRule }) {
		return fault.Refused
	}
	return fault.Held
}

// untimely is a step whose time has not come. Nothing of it is recorded: the next pass looks again.
type untimely struct{ why string }

func (u untimely) Error() string { return u.why }

func (a *execution) note(s plan.Step, end EventKind, text string, err error) Outcome {
	a.mu.Lock()
	a.how[s.Ref] = end
	a.mu.Unlock()
	a.sendEvent(s.Ref, end, text)
	return Outcome{Ref: s.Ref, Do: s.Do, End: end, Text: text, Error: err}
}

func (a *execution) hold(s plan.Step, why string) Outcome { return a.note(s, Held, why, nil) }

func (a *execution) fail(s plan.Step, err error) Outcome { return a.note(s, Failed, err.Error(), err) }

// end is the outcome of a step that acted.
func (a *execution) end(s plan.Step, seq int64, err error) Outcome {
	var no refusal
	var wait untimely
	switch {
	case err == nil:
		o := a.note(s, Ended, s.Why, nil)
		o.Seq = seq
		return o
	case errors.As(err, &wait):
		o := a.hold(s, wait.why)
		o.Seq = seq
		return o
	case errors.As(err, &no):
		o := a.hold(s, no.Error())
		o.Seq = seq
		o.Error = fault.New(no.kind(), "%s: %w", s.Ref, err)
		return o
	default:
		o := a.fail(s, err)
		o.Seq = seq
		return o
	}
}

// judge asks the policies; a denial is recorded and returned as a refusal. What they warn of
// or note, and the plan could not know yet, is told, and recorded with what j comes to.
func (a *execution) judge(ctx context.Context, j *job, m Material) error {
	m.Recipe, m.Of, m.Scored = j.recipe, a.of, a.scored
	found, err := a.Judge(ctx, j.Step, m)
	if err != nil {
		return err
	}
	denied := slices.DeleteFunc(slices.Clone(found), func(f ledger.Finding) bool { return f.Level != ledger.Denied })
	if len(denied) == 0 {
		a.remark(j, found)
		return nil
	}
	var o Outcome
	a.denial(ctx, j.Step, denied, &o)
	j.seq = o.Seq
	var no refusal
	if !errors.As(o.Error, &no) {
		return o.Error
	}
	return no
}

// remark tells of the findings that deny nothing, each once.
func (a *execution) remark(j *job, found []ledger.Finding) {
	for _, f := range found {
		if slices.Contains(a.plan.Findings, f) || slices.Contains(j.found, f) {
			continue
		}
		level, text := "note", f.Rule+": "+f.Message
		if f.Level == ledger.Warn {
			level = "warning"
		}
		if f.Hint != "" {
			text += "; " + f.Hint
		}
		a.sendEvent(j.Ref, Output, level+": "+text)
		j.found = append(j.found, f)
	}
}

// denial records a refusal, once for the same key under the same findings.
func (a *execution) denial(ctx context.Context, s plan.Step, found []ledger.Finding, o *Outcome) {
	found = slices.DeleteFunc(slices.Clone(found), func(f ledger.Finding) bool { return f.Level != ledger.Denied })
	if len(found) == 0 {
		return
	}
	no := refusal{found}
	o.Error = fault.New(no.kind(), "%s: %w", s.Ref, no)
	e := a.base(ledger.Deny, &job{Step: s})
	e.Verdict, e.Findings = "deny", found
	e.ApprovedBy(nil)
	e = a.Stamp(e)
	if last := a.Facts.Denied[s.Ref]; last != nil && last.Key == s.Key && last.Policy == a.Common.Policy && slices.Equal(last.PlainFindings(), e.PlainFindings()) {
		o.Seq = last.Seq
		return
	}
	seq, known, _ := a.Repeats.Again(e, a.Facts, a.Now())
	if known { // the branch and a pull request that are refused in turns
		o.Seq = seq
		return
	}
	got, err := a.Append(context.WithoutCancel(ctx), e)
	if err != nil {
		o.Error = err
		return
	}
	a.Repeats.Recorded(got, a.Now())
	o.Seq = got.Seq
}

// failure records that a step failed and returns the error it failed with. A
// cause that lies outside the key does not count against it.
func (a *execution) failure(ctx context.Context, j *job, f ledger.Failure, err error) error {
	action := ledger.Fail
	e := a.base(action, j)
	if fault.Of(err) == fault.Cancelled {
		e.Action = ledger.Cancel
	}
	switch port.Cause(f.Cause) {
	case port.Exit, port.Signal, port.OutOfMemory, port.TimedOut, port.MissingOutput, port.BadMetrics:
	default:
		e.Key = ""
	}
	e.Verdict, e.Failure = "", &f
	e.ApprovedBy(nil)
	return a.failed(ctx, j, e, err, false)
}

// failed records e, a step that failed with err, unless it is one more of what was
// recorded within the hour. What counts against its key is told apart by the count,
// and what changed something before it failed is always news.
func (a *execution) failed(ctx context.Context, j *job, e ledger.Entry, err error, changed bool) error {
	if e.Failure.Message == err.Error() { // the ledger is read elsewhere, too
		e.Failure.Message = WithoutPaths(err)
	}
	e = a.Stamp(e)
	if e.Key == "" && !changed {
		seq, known, times := a.Repeats.Again(e, a.Facts, a.Now())
		if known {
			j.seq = seq
			return err
		}
		if times > 1 {
			e.Failure.Times = times
		}
	}
	got, appendErr := a.Append(context.WithoutCancel(ctx), e)
	if appendErr != nil {
		return errors.Join(err, appendErr)
	}
	if e.Key == "" {
		a.Repeats.Recorded(got, a.Now())
	}
	j.seq = got.Seq
	return err
}
