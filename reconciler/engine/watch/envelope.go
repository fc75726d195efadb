// The envelope: whether a retraining that a monitor proposed may be merged without a person. All of
// it is of the base branch; the pull request says nothing that counts. Whatever is not known, and
// whatever is not what was recorded, waits for people.

package watch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Retraining is a pull request that asks to be merged within an envelope.
type Retraining struct {
	Monitor  schemas.Ref
	Envelope schemas.Envelope // of the base branch
	// Others are the envelopes of other monitors that propose the same training: their bounds hold too.
	Others map[schemas.Ref]schemas.Envelope
	Facts  *ledger.Facts

	Pull     port.PullRequest
	Rejected []string // who asked for changes, and did not take it back
	// Cancelled says that somebody said /vishwa cancel, and nobody /vishwa train since.
	Cancelled bool
	Queued    bool     // a merge queue's commit was judged, and not the one that would be merged
	BaseSHA   string   // of the base branch, as it was judged
	Commits   []string // that a merge would add to it

	Base, Head graph.Graph
	Alters     []string // of what judges pull requests, what it changes
	Model      schemas.Ref
	Plan       plan.Plan // of the merge, judged
	Scores     []ledger.Score
}

// Names are the monitors whose envelopes are asked, the one that proposed it first.
func (r Retraining) Names() string {
	all := []string{r.Monitor.String()}
	for _, ref := range slices.SortedFunc(maps.Keys(r.Others), schemas.Ref.Compare) {
		all = append(all, ref.String())
	}
	return strings.Join(all, " and ")
}

// Outside says why it is not merged without a person, a reason a line; none is that it is.
func (r Retraining) Outside() (why []string) {
	why = append(why, r.Strange()...)
	why = append(why, r.moved()...)
	why = append(why, r.undone()...)
	why = append(why, r.unbounded()...)
	for _, ref := range slices.SortedFunc(maps.Keys(r.Others), schemas.Ref.Compare) {
		other := r
		other.Envelope = r.Others[ref]
		for _, w := range append(other.moved(), other.unbounded()...) {
			if !slices.Contains(why, w) {
				why = append(why, w+" (by the envelope of "+ref.String()+", which proposes the same training)")
			}
		}
	}
	return why
}

// Strange tells what is not the very commit that the monitor's controller wrote and recorded: none
// of its code is new, and it may be run unasked.
func (r Retraining) Strange() (why []string) {
	var made ledger.Proposed
	if last := r.Facts.Observed[r.Monitor]; last != nil && last.Watched != nil && len(last.Watched.Proposals) > 0 {
		made = last.Watched.Proposals[0] // the newest: an older one was answered, or is out of date
	}
	switch {
	case made.SHA == "" || made.SHA != r.Pull.HeadSHA || made.Branch != r.Pull.Head || r.Pull.Fork:
		why = append(why, "its newest commit is not the one that "+r.Monitor.String()+" proposed last")
	case made.Others:
		why = append(why, "its branch holds commits of others")
	case made.Pull != r.Pull.Number:
		why = append(why, fmt.Sprintf("it was proposed as pull request %d", made.Pull))
	}
	if !slices.Equal(r.Commits, []string{r.Pull.HeadSHA}) {
		why = append(why, "it is not one commit on top of "+r.Pull.Base+" as that is now")
	}
	if e := Let(r.Facts, r.Pull.HeadSHA); e != nil {
		why = append(why, fmt.Sprintf("this commit was merged within the envelope before, by entry %d", e.Seq))
	}
	if r.Pull.Closed || r.Pull.Draft {
		why = append(why, "it is closed, or a draft")
	}
	if r.Queued {
		why = append(why, "a branch of a merge queue has it, and what that holds is judged in its place")
	}
	if len(r.Rejected) > 0 {
		why = append(why, "changes are asked for by "+strings.Join(r.Rejected, ", "))
	}
	if r.Cancelled {
		why = append(why, "somebody said /vishwa cancel; /vishwa train takes that back")
	}
	return why
}

// moved tells what it changes besides the pins and the round that the envelope names.
func (r Retraining) moved() (why []string) {
	if len(r.Alters) > 0 {
		why = append(why, "it changes what judges it: "+strings.Join(r.Alters, ", "))
	}
	at := map[schemas.Ref]*graph.Node{}
	for i := range r.Base.Nodes {
		at[r.Base.Nodes[i].Ref] = &r.Base.Nodes[i]
	}
	some, decides := false, r.scoredWith()
	for i := range r.Head.Nodes {
		now := &r.Head.Nodes[i]
		was := at[now.Ref]
		delete(at, now.Ref)
		if was == nil {
			why = append(why, now.Ref.String()+" is new")
			continue
		}
		what := differs(was, now)
		some = some || what != ""
		switch {
		case what == "":
		case decides[now.Ref]:
			why = append(why, fmt.Sprintf("%s of %s moves, and %s is scored with it (spec.evaluate.inputs)", what, now.Ref, r.Model))
		case what == pins && slices.Contains(r.Envelope.Data, now.Ref):
		case what == rounds && r.Envelope.Rounds:
		default:
			why = append(why, fmt.Sprintf("%s of %s moves, which the envelope does not name", what, now.Ref))
		}
	}
	for _, ref := range slices.SortedFunc(maps.Keys(at), schemas.Ref.Compare) {
		why = append(why, ref.String()+" is taken away")
	}
	if !some {
		why = append(why, "it moves nothing")
	}
	return why
}

// scoredWith lists what the inputs of the evaluation are made of, besides the model and the rows,
// such as answers that are right: one that moves decides on the scores of both models, and nothing
// of before is left to hold them against.
func (r Retraining) scoredWith() map[schemas.Ref]bool {
	out := map[schemas.Ref]bool{}
	n := r.Base.Node(r.Model)
	if n == nil || n.Scored == nil {
		return out
	}
	for more := slices.Collect(maps.Values(n.Scored.Inputs)); len(more) > 0; {
		ref := more[0].Whole()
		more = more[1:]
		if out[ref] {
			continue
		}
		out[ref] = true
		if of := r.Base.Node(ref); of != nil {
			more = slices.AppendSeq(more, maps.Values(of.Inputs))
		}
	}
	return out
}

const (
	pins   = "the pin"
	rounds = "the round"
	others = "more than a pin or a round"
)

// differs tells what two nodes differ in, placement and words for people too: nothing of a
// declaration moves but a round, and nothing that it names but a pin.
func differs(was, now *graph.Node) string {
	a, errA := json.Marshal(was.Decl.Spec)
	b, errB := json.Marshal(now.Decl.Spec)
	c, errC := json.Marshal(was.Decl.Metadata)
	d, errD := json.Marshal(now.Decl.Metadata)
	x, errX := was.Recipe.Key()
	y, errY := now.Recipe.Key()
	for _, err := range []error{errA, errB, errC, errD, errX, errY} {
		if err != nil {
			return others
		}
	}
	same := bytes.Equal(a, b) && bytes.Equal(c, d)
	switch {
	case same && x == y && maps.Equal(was.Inputs, now.Inputs):
		return ""
	case same && now.Ref.Kind.Traits().Pinned:
		return pins
	}
	if _, is := now.Decl.Spec.(schemas.Rounds); !is || !bytes.Equal(c, d) || !maps.Equal(was.Inputs, now.Inputs) {
		return others
	}
	sa, oka := roundless(a)
	sb, okb := roundless(b)
	xa, ya := was.Recipe, now.Recipe
	ra, okc := roundless(xa.Spec)
	rb, okd := roundless(ya.Spec)
	xa.Spec, ya.Spec = ra, rb
	x, errX = xa.Key()
	y, errY = ya.Key()
	if oka && okb && okc && okd && errX == nil && errY == nil && bytes.Equal(sa, sb) && x == y {
		return rounds
	}
	return others
}

// roundless is a spec without its round.
func roundless(spec json.RawMessage) (json.RawMessage, bool) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(spec, &fields) != nil {
		return nil, false
	}
	delete(fields, "round")
	out, err := digest.Canonical(fields)
	return out, err == nil
}

// undone tells what is yet to be made, is held for another reason than an approval, or would be
// done to something else.
func (r Retraining) undone() (why []string) {
	for _, s := range r.Plan.Work() {
		is := s.Ref.Kind.Traits()
		n := r.Head.Node(s.Ref)
		switch {
		case is.PreMerge:
			text := s.Ref.String() + " is not made"
			if s.Held != "" {
				text += ": " + s.Held
			}
			why = append(why, text)
		case s.Do == plan.Retire || !is.Serves || n == nil:
			why = append(why, s.Ref.String()+" would be changed too")
		default:
			to, ok := n.Decl.Spec.(schemas.Serves)
			switch {
			case !ok || to.Serves().Model != r.Model:
				why = append(why, s.Ref.String()+" would be changed too")
			case r.Base.Project == nil || !r.Base.Project.Environments[to.Serves().Environment].Envelope:
				why = append(why, fmt.Sprintf("%s is not one that asks for it (envelope: true below spec.environments)", to.Serves().Environment))
			case s.Held != "" && !strings.HasPrefix(s.Held, ledger.ApprovalRule+": "):
				why = append(why, s.Ref.String()+" is held: "+s.Held)
			}
		}
	}
	return why
}

// unbounded tells which metrics are not within their bounds, or are not known.
func (r Retraining) unbounded() (why []string) {
	if len(r.Envelope.Metrics) == 0 {
		why = append(why, "the envelope bounds no metric")
	}
	for _, m := range r.Envelope.Metrics {
		known := false
		for _, s := range r.Scores {
			if s.Rows != m.Rows {
				continue
			}
			known = true
			name := fmt.Sprintf("%s on %s (%s)", m.Metric, m.Rows, s.Data.Short())
			now, has := s.Metrics[m.Metric]
			was, had := s.ChampionMetrics[m.Metric]
			switch {
			case !has || !had || s.Champion == "":
				why = append(why, name+" is not known of both models")
			case m.Down == nil || m.Up == nil || was-now > *m.Down+rounding || now-was > *m.Up+rounding:
				why = append(why, fmt.Sprintf("%s goes from %g to %g, which is more than it may move", name, was, now))
			case m.Min != nil && now < *m.Min || m.Max != nil && now > *m.Max:
				why = append(why, fmt.Sprintf("%s is %g, out of its bounds", name, now))
			}
		}
		switch {
		case !known:
			why = append(why, fmt.Sprintf("%s on %s is not scored", m.Metric, m.Rows))
		case !r.onOldRows(m.Rows):
			why = append(why, fmt.Sprintf("both models are not scored on the rows %s that the one which is served was selected with", m.Rows))
		}
	}
	return why
}

// onOldRows tells whether both models were scored on the rows that the one which is served was
// selected with: a proposal may move the very data that it is judged by.
func (r Retraining) onOldRows(rows string) bool {
	for _, now := range r.Scores {
		if now.Rows != rows {
			continue
		}
		for _, served := range r.Facts.Latest {
			e := r.Facts.Selection(served)
			if e == nil || e.Ref != r.Model || e.Model.Artifact.Digest != now.Champion {
				continue
			}
			if slices.ContainsFunc(e.Scores, func(was ledger.Score) bool { return was.Rows == rows && !was.Before && was.Data == now.Data }) {
				return true
			}
		}
	}
	return false
}

// rounding is what the rules allow for decimal fractions.
const rounding = 1e-9

// letSchema is the version of what an entry says that lets a retraining by.
const letSchema = "vishwa.dev/envelope/v1"

// let is what was checked against what.
type let struct {
	Schema   string           `json:"schema"`
	Monitor  schemas.Ref      `json:"monitor"`
	Pull     int              `json:"pull"`
	Base     string           `json:"base"`
	Commit   string           `json:"commit"`
	Plan     digest.Digest    `json:"plan"`
	Envelope schemas.Envelope `json:"envelope"`
	Scores   []ledger.Score   `json:"scores"`
	// Others are what other monitors bound the same training by.
	Others map[string]schemas.Envelope `json:"others,omitempty"`
}

// Entry records that r is merged, with all that decided on it. Its approver is the envelope: nobody
// has approved a release by it.
func (r Retraining) Entry() (ledger.Entry, error) {
	others := map[string]schemas.Envelope{}
	for ref, e := range r.Others {
		others[ref.String()] = e
	}
	text, err := digest.Canonical(let{letSchema, r.Monitor, r.Pull.Number, r.BaseSHA, r.Pull.HeadSHA, r.Plan.Digest(), r.Envelope, r.Scores, others})
	if err != nil {
		return ledger.Entry{}, fault.New(fault.Internal, "state what was checked against the envelope of %s: %w", r.Monitor, err)
	}
	e := ledger.Entry{Action: ledger.Approve, Ref: r.Monitor, Revision: r.Pull.HeadSHA, Policy: r.Plan.Policy, Verdict: "allow",
		Reason:   fmt.Sprintf("pull request %d is within the envelope: it is merged without a person", r.Pull.Number),
		Approval: &ledger.Approval{Principal: r.Monitor.String(), Statement: text}}
	e.ApprovedBy([]ledger.Approver{{Principal: r.Monitor.String(), Class: trust.Envelope}})
	return e, nil
}

// Let is the entry that let a commit by; nil is none.
func Let(facts *ledger.Facts, sha string) *ledger.Entry {
	for _, e := range facts.Approvals {
		if e.Revision == sha && e.ByEnvelope() {
			return e
		}
	}
	return nil
}
