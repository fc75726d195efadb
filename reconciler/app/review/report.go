// What a report says of a proposal: how models and data would change, and how runs stand.

package review

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/app/chatops"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/lineage"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// fillReport fills in what p says.
func (v *pullRequest) fillReport(ctx context.Context, h *Session, p *pass.Proposal, r *templates.Report, outcomes []execute.Outcome) (err error) {
	shown := p.Plan
	r.Plan, r.Digest = &shown, shown.Digest()
	r.Models = models(p, v.base, v.pull.Base)
	if r.Data, err = Data(ctx, Look{Store: h.Store, Now: h.Now()}, p.World, v.base); err != nil {
		return err
	}
	r.Runs = runs(p, outcomes, v.pull.Number)
	logged(ctx, h, p.World.Facts, r.Runs)
	r.Commands = commands(p, r.Stage, chatops.Plan, chatops.Train, chatops.Retry, chatops.Explain, chatops.Approve, chatops.Cancel, chatops.Help)
	return nil
}

// commands are those of verbs that can be given at this stage.
func commands(p *pass.Proposal, stage templates.Stage, verbs ...chatops.Verb) (out []string) {
	for _, verb := range verbs {
		switch verb {
		case chatops.Train:
			if !p.Runs() {
				continue
			}
		case chatops.Cancel:
			if stage != templates.Running {
				continue
			}
		case chatops.Retry:
			if !slices.ContainsFunc(p.Plan.Steps, func(s plan.Step) bool {
				return slices.ContainsFunc(s.Keys(), func(key digest.Digest) bool { return p.World.Facts.Failed[key].N > 0 })
			}) {
				continue
			}
		case chatops.Approve:
			if stage == templates.Blocked || !slices.ContainsFunc(p.Needs(), func(n pass.Need) bool { return n.Reviews && len(n.Given) < n.Count }) {
				continue
			}
		}
		text := "/vishwa " + string(verb)
		if verb == chatops.Explain {
			text += " REF"
		}
		out = append(out, text)
	}
	return out
}

// models compares what would be selected with the base branch's and the live model.
func models(p *pass.Proposal, base *pass.Intent, branch string) (out []templates.ModelChange) {
	w := p.World
	was := map[schemas.Ref]*ledger.Entry{}
	for _, s := range plan.Compute(base.Graph, plan.Observed{Facts: w.Facts}).Steps {
		was[s.Ref] = w.Facts.ByKey[s.Key]
	}
	steps := map[schemas.Ref]plan.Step{}
	for _, s := range p.Plan.Steps {
		steps[s.Ref] = s
	}
	for _, b := range pass.Leaderboards(w) {
		c := templates.ModelChange{Ref: b.Model, Metric: b.Metric, Maximize: b.Goal == "maximize", Objectives: b.Objectives, TieBreak: b.TieBreak, Scores: b.Scores}
		if e := was[b.Model]; e != nil && e.Model != nil {
			c.Was = &templates.Measured{Digest: e.Model.Artifact.Digest, Where: branch, Metrics: e.Metrics}
		}
		if b.Live != "" {
			c.Live = &templates.Measured{Digest: b.Live, Where: "live", Metrics: b.Was}
		}
		whole := len(b.Rows) > 0
		for _, row := range b.Rows {
			whole = whole && row.Made
		}
		if whole && b.Rows[0].Stopped == "" {
			best := b.Rows[0]
			c.Candidate, c.Digest, c.Now = best.Ref, best.Model, best.Metrics
		}
		for _, g := range b.Gates {
			c.Gates = append(c.Gates, gates(g, c.Now, b)...)
		}
		same := c.Was != nil && c.Digest != "" && c.Was.Digest == c.Digest
		if same && steps[b.Model].Do == plan.Keep {
			continue // the change does not reach it
		}
		out = append(out, c)
	}
	return out
}

// gates holds a candidate against one declared gate, bound by bound.
func gates(g schemas.Gate, now map[string]float64, b pass.Leaderboard) (out []templates.GateResult) {
	was, compared := b.Was, b.Live != ""
	if g.Rows != "" {
		i := slices.IndexFunc(b.Scores, func(s ledger.Score) bool { return s.Rows == g.Rows && !s.Before })
		now, was, compared = nil, nil, false
		if i >= 0 {
			s := b.Scores[i]
			now, was, compared = s.Metrics, s.ChampionMetrics, s.Champion != ""
		}
	}
	value, known := now[g.Metric]
	add := func(rule string, known, passed bool, format string, args ...any) {
		result := templates.GateResult{Metric: g.Metric, Rows: g.Rows, Rule: rule, Known: known, Passed: known && passed}
		if known {
			result.Message = fmt.Sprintf(format, args...)
		}
		out = append(out, result)
	}
	if g.Min != nil {
		add("min "+number(*g.Min), known, value >= *g.Min, "%s", number(value))
	}
	if g.Max != nil {
		add("max "+number(*g.Max), known, value <= *g.Max, "%s", number(value))
	}
	if g.MaxRegression == nil {
		return out
	}
	rule := "maxRegression " + number(*g.MaxRegression)
	live, lives := was[g.Metric]
	if !lives {
		add(rule, known && (g.Rows == "" || !compared), true, "nothing is live to compare with")
		return out
	}
	regressed := func(rule string, value, live float64) {
		worse := live - value
		if g.Metric == b.Metric && b.Goal == "minimize" || g.Metric != b.Metric && g.Max != nil {
			worse = value - live
		}
		if worse <= 0 {
			add(rule, known, true, "not worse than live")
			return
		}
		add(rule, known, worse <= *g.MaxRegression+rounding, "%s worse than live", number(worse))
	}
	regressed(rule, value, live)
	for _, s := range b.Scores {
		if s.Before && s.Rows == g.Rows && s.ChampionMetrics != nil && s.Metrics != nil {
			regressed(rule+", on the rows that live was released with", s.Metrics[g.Metric], s.ChampionMetrics[g.Metric])
		}
	}
	return out
}

func number(f float64) string { return templates.Number(f) }

// rounding is what policy/model.rego allows for decimal fractions.
const rounding = 1e-9

// runs tells how each run of the pull request stands or ended.
func runs(p *pass.Proposal, outcomes []execute.Outcome, pull int) (out []templates.Run) {
	ended := map[schemas.Ref]execute.Outcome{}
	for _, o := range outcomes {
		ended[o.Ref] = o
	}
	for _, s := range p.Plan.Steps {
		if !s.Ref.Kind.Traits().Runs {
			continue
		}
		r := templates.Run{Ref: s.Ref}
		o, acted := ended[s.Ref]
		e := p.World.Facts.ByKey[s.Key]
		failed := p.World.Facts.Failed[s.Key]
		switch {
		case s.Key != "" && failed.N > 0:
			r.State, r.Seq = "failed", failed.Last.Seq
			if f := failed.Last.Failure; f != nil {
				r.Text, r.Tail = f.Message, f.Tail
			}
		case acted && o.End == execute.Failed:
			r.State, r.Seq = "failed", o.Seq
			if fault.Of(o.Error) == fault.Cancelled {
				r.State = "cancelled"
			}
			text, tail, _ := strings.Cut(steady(p.World.Facts, o), "\n")
			if way := fault.HintOf(o.Error); way != "" {
				text = strings.TrimSuffix(text, ".") + "; " + way
			}
			r.Text, r.Tail = text, tail
		case e != nil && e.PullRequest != nil && e.PullRequest.Pull == pull && e.Run != nil:
			r.State, r.Seq = "done", e.Seq
			r.Text, r.Isolation = took(e.Run.Started, e.Run.Finished), e.Run.Isolation
			if early := e.Stopped(); early != nil {
				r.State, r.Text = stoppedEarly(early.String())
			}
		case s.Do == plan.Keep:
			continue // nothing new
		case s.Held != "":
			r.State, r.Text = "held", s.Held
		case p.KeepsBack(s.Ref) != "":
			r.State, r.Text = "held", p.KeepsBack(s.Ref)+": it is made after the merge"
		default:
			r.State, r.Text = "waiting", s.Why
			if last := failing(p.World.Facts, s.Ref, s.Key, pull); last != nil {
				r.Text, r.Seq = "it is tried again; the last time: "+last.Failure.Message, last.Seq
			}
		}
		out = append(out, r)
	}
	return out
}

// mostLogs bounds the runs of which it is told what they logged.
const mostLogs = 32

// logged fills in what runs logged. It is told where it is to be had: a comment is not worth less
// without it.
func logged(ctx context.Context, h *Session, facts *ledger.Facts, all []templates.Run) {
	told := 0
	for i := range all {
		e := facts.Latest[all[i].Ref]
		if e == nil || all[i].State != "done" || e.Seq != all[i].Seq || told == mostLogs {
			continue
		}
		if d, err := pass.Logged(ctx, h.Store, e.Run); err == nil && d != nil {
			all[i].Logged = templates.LoggedBy(*d, e.Run.Tracking.Files)
			told++
		}
	}
}

// answers says what people asked to have explained, and why a command was not followed.
func (v *pullRequest) answers(r *templates.Report, p *pass.Proposal) {
	r.Answers = nil
	for i, o := range v.orders {
		if !o.fresh && !o.shown {
			continue
		}
		a := templates.Answer{Command: o.Command.String(), By: o.remark.By.Login}
		switch {
		case o.Err != nil:
			a.Command = o.Text
			a.Text = o.Err.Error() + ": " + fault.WayOut(o.Err)
		case o.void:
			continue // told with the approvals
		case o.refuse != "":
			a.Text = o.refuse
		case !o.counts(v.careful):
			a.Text = "it was given before this comment showed the newest commit: look at that, and give it again"
		case o.said != "":
			a.Text = o.said
		case o.Verb == chatops.Rollback && !v.pull.Merged:
			a.Text = "there is nothing to roll back before the merge: say it below a pull request that was merged"
		case o.Verb == chatops.Resume && !v.pull.Merged:
			a.Text = "nothing goes on by a pull request that is not merged: say it below one that was"
		case o.Verb == chatops.Help:
			a.Text = help()
		case o.Verb == chatops.Explain && v.pull.Merged && !o.fresh:
			continue // it was about the plan before the merge
		case o.Verb == chatops.Explain && p != nil:
			a.Text, v.orders[i].puzzles = explained(p, o.Ref)
		case o.Verb == chatops.Apply && v.pull.Merged:
			a.Text = fmt.Sprintf("%s is carried out again", v.pull.Base)
		case o.Verb == chatops.Apply:
			a.Text = "there is nothing to carry out before the merge"
		default:
			continue
		}
		r.Answers = append(r.Answers, a)
	}
	keep := 5 // of those that nobody has seen yet
	if !slices.ContainsFunc(v.orders, func(o order) bool { return o.fresh }) {
		keep = 1 // what is remembered is the newest
	}
	if over := len(r.Answers) - keep; over > 0 {
		r.Answers = r.Answers[over:]
	}
}

func help() string {
	var b strings.Builder
	for _, u := range chatops.Usage() {
		fmt.Fprintf(&b, "%-24s %s\n", u.Command, u.Does)
	}
	return b.String()
}

// explained says why each step of ref is done or not, and where what stands under it
// comes from. Nothing is known of it where unknown.
func explained(p *pass.Proposal, ref schemas.Ref) (text string, unknown bool) {
	var b strings.Builder
	found := false
	for _, s := range p.Plan.Steps {
		if ref != (schemas.Ref{}) && s.Ref != ref && s.Ref.Whole() != ref || ref == (schemas.Ref{}) && s.Do == plan.Keep {
			continue
		}
		found = true
		fmt.Fprintf(&b, "%s: %s, %s\n", s.Ref, s.Do, s.Why)
		if s.Held != "" {
			fmt.Fprintf(&b, "  held: %s\n", s.Held)
		}
		for _, f := range p.Plan.Findings {
			if f.Ref == s.Ref {
				fmt.Fprintf(&b, "  %s %s: %s; %s\n", f.Level, f.Rule, f.Message, f.Hint)
			}
		}
	}
	if ref == (schemas.Ref{}) && !found {
		return "nothing is to be done", false
	}
	if ref != (schemas.Ref{}) {
		declared := map[schemas.Ref]digest.Digest{}
		for _, s := range p.Plan.Steps {
			if s.Do != plan.Retire {
				declared[s.Ref] = s.Key
			}
		}
		if n, err := (lineage.Record{Facts: p.World.Facts, Declared: declared}).Ref(ref); err == nil {
			_ = templates.Tree(&b, n) // a Builder takes everything
		} else if !found {
			names := make([]string, len(p.Plan.Steps))
			for i, s := range p.Plan.Steps {
				names[i] = s.Ref.String()
			}
			return fmt.Sprintf("%s is not declared here and the ledger does not know it; there are %s", ref, strings.Join(names, ", ")), true
		}
	}
	return b.String(), false
}
