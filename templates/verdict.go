// The first line of a report: what happens, or what stands in the way and the way out.

package templates

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/schemas"
)

// piece is a part of a sentence: words of ours, or of the repository.
type piece struct {
	text   string
	theirs bool
}

type sentence []piece

func (s *sentence) addClause(format string, args ...any) *sentence {
	*s = append(*s, piece{text: fmt.Sprintf(format, args...)})
	return s
}

func (s *sentence) quote(text string) *sentence {
	*s = append(*s, piece{text, true})
	return s
}

// markdown puts what is the repository's into code.
func (s sentence) markdown() string {
	var b strings.Builder
	for _, p := range s {
		if p.theirs {
			b.WriteString(code(p.text, nameLimit))
		} else {
			b.WriteString(p.text)
		}
	}
	return b.String()
}

func (s sentence) text() string {
	var b strings.Builder
	for _, p := range s {
		b.WriteString(harmless.Line(p.text))
	}
	return b.String()
}

// titleLimit is the length in characters of a commit status' description.
const titleLimit = 140

// Title is the verdict on one plain line of at most 140 characters.
func Title(r Report) string {
	text := strings.TrimSuffix(verdict(r).text(), ".")
	if r.Stage == Broken && r.Error != "" && len(r.Conflict)+len(r.Problems) == 0 { // a line alone: nothing stands below it
		why, _, _ := strings.Cut(strings.TrimSpace(r.Error), "\n")
		s := sentence{}
		merged(r, &s)
		text = strings.TrimSuffix(s.addClause("There is no plan: %s", why).text(), ".")
	}
	if utf8.RuneCountInString(text) <= titleLimit {
		return text
	}
	runes := []rune(text)
	return strings.TrimRight(string(runes[:titleLimit-1]), " ,") + "…"
}

// verdict is one sentence for the stage of r.
func verdict(r Report) sentence {
	s := sentence{}
	switch r.Stage {
	case Broken, Blocked, Delayed, Awaiting, Deployed:
		merged(r, &s)
	}
	switch r.Stage {
	case Broken:
		broken(r, &s)
	case Running:
		running(r, &s)
	case Blocked:
		blocked(r, &s)
	case Delayed:
		delayed(r, &s)
	case Awaiting:
		awaiting(r, &s)
	case Settled:
		s.addClause("Ready to merge")
		if len(r.Alters) > 0 {
			s.addClause(", and changes what judges it (%s)", strings.Join(r.Alters, ", "))
		}
		effect(r, &s, ": ")
	case Merged:
		s.addClause("Merged")
		if r.MergedAs != "" {
			s.addClause(" as ").quote(revision(r.MergedAs))
		}
		effect(r, onto(r, s.addClause(", and being carried out")), ": ")
	case Deployed:
		onto(r, s.addClause("Carried out"))
		recorded(r, &s)
	case Abandoned:
		s.addClause("Closed without a merge: nothing of it is deployed.")
	default: // Planned
		switch {
		case r.Pull > 0 && r.Plan != nil && !count(*r.Plan).settled():
			effect(r, s.addClause("When this is merged"), ": ")
		default:
			effect(r, s.addClause("Plan"), ": ")
		}
	}
	return s
}

// merged says first that a pull request was merged: what is told then is its deployment.
func merged(r Report, s *sentence) {
	if r.MergedAs != "" {
		s.addClause("Merged as ").quote(revision(r.MergedAs)).addClause(". ")
	}
}

// onto names the tracked branch.
func onto(r Report, s *sentence) *sentence {
	if r.Base == "" {
		return s
	}
	return s.addClause(" on ").quote(r.Base)
}

// effect ends a sentence with what the plan does, behind sep.
func effect(r Report, s *sentence, sep string) {
	if r.Plan == nil {
		s.addClause(".")
		return
	}
	t := count(*r.Plan)
	switch {
	case t.settled() && len(*s) == 1 && (*s)[0].text == "Plan":
		*s = nil
		s.addClause("Nothing to do: %d up to date.", t.all)
	case t.settled():
		s.addClause("%snothing to do, %d up to date.", sep, t.all)
	default:
		s.addClause("%s%s.", sep, t)
	}
}

func broken(r Report, s *sentence) {
	switch n, m := len(r.Conflict), len(r.Problems); {
	case n > 0:
		s.addClause("This does not merge: %s", counted(n, "file conflicts", "files conflict"))
		if r.Base != "" {
			s.addClause(" with ").quote(r.Base)
		}
		s.addClause("; merge it into the pull request's branch, or rebase, and push.")
	case m > 0:
		s.addClause("The declarations do not hold together: %s to put right. Nothing is planned or run before.", counted(m, "problem", "problems"))
	default:
		s.addClause("There is no plan: see below what was found.")
	}
}

func running(r Report, s *sentence) {
	ended, failed := 0, 0
	for _, run := range r.Runs {
		switch run.State {
		case "failed", "cancelled":
			failed++
			ended++
		case "done", "kept", "stopped early":
			ended++
		}
	}
	s.addClause("Under way")
	if len(r.Runs) > 0 { // else a model is selected, of runs that ended long ago
		s.addClause(": %d of %s ended", ended, counted(len(r.Runs), "run", "runs"))
	}
	if failed > 0 {
		s.addClause(", %d badly", failed)
	}
	effect(r, s, "; ")
}

// hindrances are what stands in the way of a report's plan.
type hindrances struct {
	denied               []ledger.Finding
	unplannable          []schemas.Ref
	failed, gates, held  int
	firstRun, firstModel string
}

func hindering(r Report) (h hindrances) {
	if r.Plan != nil {
		h.held, h.unplannable = count(*r.Plan).held, r.Plan.Failed()
		unjudged := append(r.Plan.Passing(), h.unplannable...)
		for _, f := range r.Plan.Findings {
			// That rules have no plan to judge follows from there being none.
			if place, _ := weigh(f.Level); place == 0 && !slices.Contains(unjudged, f.Ref) {
				h.denied = append(h.denied, f)
			}
		}
	}
	for _, run := range r.Runs {
		if run.State == "failed" {
			if h.failed++; h.failed == 1 {
				h.firstRun = run.Ref.String()
			}
		}
	}
	for _, m := range r.Models {
		for _, g := range m.Gates {
			if g.Known && !g.Passed {
				if h.gates++; h.gates == 1 {
					h.firstModel = m.Ref.String()
				}
			}
		}
	}
	return h
}

// blocked names what stands in the way, by name where it is one thing.
func blocked(r Report, s *sentence) {
	h := hindering(r)
	s.addClause("Blocked")
	parts := 0
	next := func() *sentence {
		parts++
		if parts == 1 {
			return s.addClause(": ")
		}
		return s.addClause(", ")
	}
	switch {
	case h.failed == 1:
		next().quote(h.firstRun).addClause(" failed")
	case h.failed > 1:
		next().addClause("%d runs failed", h.failed)
	}
	switch {
	case h.gates == 1:
		next().quote(h.firstModel).addClause(" fails a gate")
	case h.gates > 1:
		next().addClause("%d gates fail", h.gates)
	}
	switch n := len(h.denied); {
	case n == 1:
		next().addClause("policy ").quote(h.denied[0].Rule).addClause(" denies ").quote(h.denied[0].Ref.String())
	case n > 1:
		next().addClause("policy denies in %d findings", n)
	}
	switch n := len(h.unplannable); {
	case n == 1:
		next().quote(h.unplannable[0].String()).addClause(" cannot be planned")
	case n > 1:
		next().addClause("%d stacks cannot be planned", n)
	}
	if h.held > 0 {
		next().addClause("%s held", counted(h.held, "step is", "steps are"))
	}
	switch {
	case len(h.denied) > 0:
		s.addClause("; each finding below says what to do.")
	case h.failed > 0, len(h.unplannable) > 0:
		s.addClause("; see the reason below.")
	case parts == 0:
		s.addClause(": see below what was found.")
	default:
		s.addClause(".")
	}
}

// delayed names what could not be planned this time.
func delayed(r Report, s *sentence) {
	var refs []schemas.Ref
	if r.Plan != nil {
		refs = r.Plan.Passing()
	}
	s.addClause("Not planned yet: ")
	if len(refs) == 1 {
		s.quote(refs[0].String()).addClause(" could not be planned this time")
	} else {
		s.addClause("%s could not be planned this time", plural.Of(len(refs), "step"))
	}
	s.addClause(", for a reason that may pass: the next look plans again.")
}

// recorded ends a sentence with where it is recorded.
func recorded(r Report, s *sentence) {
	low, high := int64(-1), int64(-1)
	for _, e := range r.Records {
		if low < 0 || e.Seq < low {
			low = e.Seq
		}
		high = max(high, e.Seq)
	}
	switch {
	case low < 0:
		s.addClause(": there was nothing to record.")
	case low == high:
		s.addClause(", and recorded as entry %d of the ledger.", low)
	default:
		s.addClause(", and recorded as %d entries of the ledger, %d to %d.", len(r.Records), low, high)
	}
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
