// Judging: each step of a plan is one decision, made on its own, side by side with
// the others. Whatever goes wrong in one is a denial of that step.

package policy

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/vishwaops/vishwa/policy/terms"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// Rules of findings that come from judging itself.
const (
	ruleEvidence  = "policy/evidence"  // what must be known is not
	ruleUndefined = "policy/undefined" // the rules gave no answer
	ruleTimeout   = "policy/timeout"   // the answer took too long
	ruleMemory    = "policy/memory"    // the answer took too much memory
	ruleError     = "policy/error"     // a rule ended in an error
	ruleShape     = "policy/shape"     // an answer is neither text nor {rule, message, hint}
)

// Judge says what the rules find in p: findings in the order of its steps, the
// same for the same evidence. An error means that nothing was judged: ctx ended,
// or the evidence lacks what every decision needs.
func (e *Engine) Judge(ctx context.Context, p plan.Plan, ev Evidence) ([]ledger.Finding, error) {
	switch {
	case ev.Time.IsZero(), ev.Project == nil, ev.Of == nil:
		return nil, fault.New(fault.Internal, "judge plan: the evidence has no time, project or subjects")
	case ev.Phase != Planning && ev.Phase != Acting:
		return nil, fault.New(fault.Internal, "judge plan: unknown phase %q", ev.Phase)
	}
	var steps []*plan.Step
	kinds := map[string]bool{}
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Judged(ev.All) {
			steps = append(steps, s)
			kinds[string(s.Ref.Kind)] = true
		}
	}
	if len(steps) == 0 {
		return nil, nil
	}
	asked, err := e.ready(ctx, slices.Sorted(maps.Keys(kinds)))
	if err != nil {
		return nil, err
	}
	shared := &terms.Shared{}
	guarded, over, stop := e.guard(ctx)
	defer stop()
	found := make([][]ledger.Finding, len(steps))
	var next atomic.Int64
	var workers routine.Set
	for range min(runtime.GOMAXPROCS(0), len(steps)) {
		workers.Start(func() {
			for i := int(next.Add(1)) - 1; i < len(steps) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				found[i] = asked[string(steps[i].Ref.Kind)].decide(guarded, *steps[i], &ev, shared, e.opts.Timeout)
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return nil, fault.New(fault.Cancelled, "judge plan: %w", err)
	}
	if over() {
		for i := range found {
			found[i] = []ledger.Finding{denial(*steps[i], ruleMemory, "judging the plan took more than %d MiB", e.opts.Memory>>20)}
		}
	}
	return slices.Concat(found...), nil
}

// decide is one decision, kept within its time.
func (q *question) decide(ctx context.Context, s plan.Step, ev *Evidence, shared *terms.Shared, within time.Duration) (out []ledger.Finding) {
	defer func() {
		if r := recover(); r != nil { // a fault in a built-in function must not let a step through
			out = []ledger.Finding{denial(s, ruleError, "a rule made the evaluator fail: %v", r)}
		}
	}()
	subject := ev.Of(s.Ref)
	doc, err := describe(s, ev, subject)
	if err != nil {
		return []ledger.Finding{denial(s, ruleEvidence, "the step cannot be judged: %v", err)}
	}
	input, err := q.shape.Value(doc, shared)
	if err != nil {
		return []ledger.Finding{denial(s, ruleEvidence, "what is known of the step cannot be judged: %v", err)}
	}
	out = q.evaluate(ctx, s, input, ev.Time, within)
	if s.Failed && ev.Phase == Planning && s.Ref.Kind.Traits().Provisioned {
		out = append(q.unplanned(s, subject.Hint), out...)
	}
	return out
}

// evaluate asks the rules about input.
func (q *question) evaluate(ctx context.Context, s plan.Step, input ast.Value, now time.Time, within time.Duration) []ledger.Finding {
	var ends limit
	defer time.AfterFunc(within, ends.Cancel).Stop()
	defer context.AfterFunc(ctx, ends.Cancel)()
	result, err := q.query.Eval(ctx, rego.EvalParsedInput(input), rego.EvalTime(now), rego.EvalSortSets(true), rego.EvalMetrics(metrics.NoOp()),
		rego.EvalTransaction(q.none), rego.EvalExternalCancel(&ends))
	switch {
	case err != nil && topdown.IsCancel(err):
		return []ledger.Finding{denial(s, ruleTimeout, "the rules took longer than %s", within)}
	case err != nil:
		return []ledger.Finding{denial(s, ruleError, "a rule ended in an error: %s", inOneLine(err))}
	}
	return q.findings(s, result)
}

// limit ends one evaluation before its next expression.
type limit struct{ over atomic.Bool }

func (l *limit) Cancelled() bool { return l.over.Load() }

func (l *limit) Cancel() { l.over.Store(true) }

// findings reads the answer: one list of members a set.
func (q *question) findings(s plan.Step, result rego.ResultSet) []ledger.Finding {
	if len(result) != 1 || len(result[0].Expressions) != 1 {
		return []ledger.Finding{denial(s, ruleUndefined, "the rules gave no answer")}
	}
	sets, ok := result[0].Expressions[0].Value.([]any)
	if !ok || len(sets) != len(q.sets) {
		return []ledger.Finding{denial(s, ruleUndefined, "the rules gave no answer")}
	}
	var out []ledger.Finding
	for i, set := range q.sets {
		members, ok := sets[i].([]any)
		if !ok {
			out = append(out, denial(s, ruleShape, "%s is not a set", set))
		}
		for _, m := range members {
			out = append(out, set.finding(s, m))
		}
	}
	slices.SortStableFunc(out, func(a, b ledger.Finding) int {
		return cmp.Or(slices.Index(levels, string(a.Level))-slices.Index(levels, string(b.Level)),
			strings.Compare(a.Rule, b.Rule), strings.Compare(a.Message, b.Message))
	})
	return ledger.Fewer(slices.Compact(out))
}

func (s set) String() string { return strings.TrimPrefix(s.pkg, "data.") + "/" + s.level }

// maxText bounds what a rule may say, in bytes.
const maxText = 4096

// finding reads one member: text, or an object of rule, message and hint.
func (s set) finding(step plan.Step, member any) ledger.Finding {
	f := ledger.Finding{Rule: s.String(), Level: ledger.Level(s.level), Ref: step.Ref}
	wrong := denial(step, ruleShape, "%s holds something that is neither text nor an object of rule, message and hint", s)
	switch m := member.(type) {
	case string:
		f.Message = m
	case map[string]any:
		for key, value := range m {
			text, ok := value.(string)
			switch {
			case !ok:
				return wrong
			case key == "rule" && text != "":
				f.Rule = text
			case key == "message":
				f.Message = text
			case key == "hint", key == "way" && m["hint"] == nil: // way: how rules spelt it before the first release
				f.Hint = text
			default:
				return wrong
			}
		}
	}
	if f.Message == "" || len(f.Message)+len(f.Hint)+len(f.Rule) > maxText {
		return wrong
	}
	return f
}

func denial(s plan.Step, rule, format string, args ...any) ledger.Finding {
	ways := map[string]string{
		ruleEvidence:  "see that what the step is made from can be read, and plan again",
		ruleUndefined: "correct the rules, and try them with vishwa policy test",
		ruleTimeout:   "make the rules simpler, and try them with vishwa policy test",
		ruleMemory:    "make the rules simpler, and try them with vishwa policy test",
		ruleError:     "correct the rule, and try it with vishwa policy test",
		ruleShape:     "write: deny contains message if { ... }",
	}
	return ledger.Finding{Rule: rule, Level: ledger.Denied, Ref: s.Ref, Message: fmt.Sprintf(format, args...), Hint: ways[rule]}
}

// inOneLine is err for a finding. OPA's errors carry file and line, never the input.
func inOneLine(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > 500 {
		text = text[:500] + "..."
	}
	return text
}
