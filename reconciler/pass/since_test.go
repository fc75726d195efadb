// Between the newest release and a change: who was revoked or taken out then does not come
// back by the change that needs their word.

package pass

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

var three = strings.Repeat("3", 40)

func TestNobodyIsBroughtBackByTheChangeThatTheyApprove(t *testing.T) {
	bob := "bob: {emails: [bob@example.com], forge: {github: bob}, roles: [approver]}"
	trusts := func(line string) func(fstest.MapFS) {
		return with("trust.yaml", strings.Replace(guardian, bob, line, 1))
	}
	revoked := "bob: {emails: [bob@example.com], forge: {github: bob}, roles: [approver], revoked: {after: 0, reason: laptop stolen}}"
	for name, c := range map[string]struct {
		between func(fstest.MapFS) // what is committed after the release, and carried out by nothing
		change  func(fstest.MapFS) // what then is to be released
		yes     string
		held    bool
	}{
		"revoked, and brought back":            {trusts(revoked), newModel, "bob", true},
		"revoked, and another says yes":        {trusts(revoked), newModel, "carol", false},
		"revoked, and still":                   {trusts(revoked), all(newModel, trusts(revoked)), "bob", true},
		"taken out, and brought back":          {with("trust.yaml", strings.Replace(guardian, "  "+bob+"\n", "", 1)), newModel, "bob", true},
		"their login another's, and back":      {trusts(strings.Replace(bob, "github: bob", "github: robert", 1)), newModel, "bob", true},
		"a term that ended, and goes on again": {trusts(strings.Replace(bob, "roles:", "validUntil: 2020-01-01, roles:", 1)), newModel, "bob", true},
		"a trust file that nobody can read":    {with("trust.yaml", "nonsense: ["), newModel, "bob", false},
		"nothing":                              {func(fstest.MapFS) {}, newModel, "bob", false},
		"somebody else was revoked":            {trusts(bob + "\n  dan: {emails: [dan@example.com], revoked: {after: 0, reason: left}}"), newModel, "bob", false},
	} {
		t.Run(name, func(t *testing.T) {
			h, w := settledHouse(t)
			h.commit(w, two, guardedTree(c.between))
			h.commit(w, three, guardedTree(c.change))
			h.Between = func(_ context.Context, s port.Span) ([]string, error) {
				from, to := s.From, s.To
				line := []string{three, two, one}
				return line[max(slices.Index(line, to), 0):max(slices.Index(line, from), 0)], nil
			}
			h.Hands = func(context.Context, string, string) ([]port.Hand, error) { return []port.Hand{written1(alice)}, nil }
			pass(t, h) // makes what can be made
			yes(t, h, []string{c.yes})
			if held := pass(t, h); (len(held) > 0) != c.held {
				t.Errorf("held: %q", held)
			}
		})
	}
}

// TestWhatWasNeverInForceRevokesNobody: where the forge tells what the branch was at, a commit
// that it never was at, as of a pull request that took back what it did, voids nobody's word.
// Whatever of it is not told, or does not hold together, is as if nothing was told.
func TestWhatWasNeverInForceRevokesNobody(t *testing.T) {
	bob := "  bob: {emails: [bob@example.com], forge: {github: bob}, roles: [approver]}\n"
	nobody := with("trust.yaml", strings.Replace(guardian, bob, "", 1))
	missing := fault.New(fault.Missing, "GitHub does not tell all of it")
	for name, c := range map[string]struct {
		tips   []string
		err    error
		none   bool // there is no forge
		tried  bool // the change is a merge that is only tried on the branch's newest
		parent string
		held   bool
	}{
		"it came by a merge, and was never the tip": {tips: []string{three, one}},
		"it was the tip once":                       {tips: []string{three, two, one}, held: true},
		"it was the tip, and the merge hides it":    {tips: []string{three, two, one}, held: true},
		"the change is not told yet":                {tips: []string{one}, held: true},
		"the change is not told, and its parent is": {tips: []string{one}, parent: one, held: true},
		"not back to the release":                   {tips: []string{three}, held: true},
		"nothing is told":                           {held: true},
		"the forge does not tell all":               {err: missing, held: true},
		"what is told comes with an error":          {tips: []string{three, one}, err: missing, held: true},
		"there is no forge":                         {none: true, held: true},
		"tried on what was the newest":              {tips: []string{one}, tried: true, parent: one},
		"tried on the tip that revoked":             {tips: []string{two, one}, tried: true, parent: two, held: true},
		"tried on what is not told yet":             {tips: []string{one}, tried: true, parent: two, held: true},
	} {
		t.Run(name, func(t *testing.T) {
			h, w := settledHouse(t)
			h.commit(w, two, guardedTree(nobody))
			h.commit(w, three, guardedTree(newModel))
			h.Between = func(_ context.Context, s port.Span) ([]string, error) {
				var out []string
				for _, sha := range []string{three, two} {
					if s.Only == nil || slices.Contains(s.Only, sha) {
						out = append(out, sha)
					}
				}
				return out, nil
			}
			if !c.none {
				h.Tips = func(context.Context, string) ([]string, error) { return c.tips, c.err }
			}
			h.Tried = c.tried
			h.Parents = func(context.Context, string, int) ([]string, error) { return []string{three, c.parent}, nil }
			h.Hands = func(context.Context, string, string) ([]port.Hand, error) { return []port.Hand{written1(alice)}, nil }
			pass(t, h)
			yes(t, h, []string{"bob"})
			if held := pass(t, h); (len(held) > 0) != c.held {
				t.Errorf("held: %q", held)
			}
		})
	}
}

// TestAHistoryThatIsCutOffBringsNobodyBack: a clone that has the newest release and not all that
// was committed since cannot tell whether anybody was revoked.
func TestAHistoryThatIsCutOffBringsNobodyBack(t *testing.T) {
	for _, cut := range []bool{true, false} {
		h, w := settledHouse(t)
		h.commit(w, two, guardedTree(newModel))
		h.Between = func(context.Context, port.Span) ([]string, error) {
			if cut {
				return nil, fault.New(fault.Missing, "this clone is shallow")
			}
			return nil, nil
		}
		h.Hands = func(context.Context, string, string) ([]port.Hand, error) { return []port.Hand{written1(alice)}, nil }
		pass(t, h)
		yes(t, h, []string{"bob"})
		if held := pass(t, h); (len(held) > 0) != cut {
			t.Errorf("cut off %v: held: %q", cut, held)
		}
	}
}

func TestARevokedSignerIsNotBroughtBackByTheRelease(t *testing.T) {
	main := "controllers: {main: {ssh: " + robotKey + "}}"
	revoked := with("trust.yaml", strings.Replace(guardian, main, "controllers: {main: {ssh: "+robotKey+", revoked: {after: 1, reason: stolen}}}", 1))
	for name, between := range map[string]func(fstest.MapFS){"revoked": revoked, "": func(fstest.MapFS) {}} {
		h, w := settledHouse(t)
		h.commit(w, two, guardedTree(between))
		h.commit(w, three, guardedTree(newModel))
		h.Between = func(context.Context, port.Span) ([]string, error) { return []string{three, two}, nil }
		rev, in, err := h.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		world, err := Observe(t.Context(), in, rev, h.Observers)
		if err != nil {
			t.Fatal(err)
		}
		why, err := h.revoked(t.Context(), world, "controller:main", "Production")
		if err != nil || (why != nil) != (name == "revoked") {
			t.Errorf("%q: %v %v", name, why, err)
		}
		if why != nil && (!strings.Contains(*why, "stolen") || !strings.Contains(*why, two[:7])) {
			t.Error(*why)
		}
	}
}

// TestTheWordOfPeopleCountsWhereNobodyGuards: an environment without approvals may have people
// decide on a model whose signer was revoked, and then their word must be heard.
func TestTheWordOfPeopleCountsWhereNobodyGuards(t *testing.T) {
	for _, asks := range []bool{true, false} {
		lets := replaced("live: {}", "live: {}")
		if asks {
			lets = replaced("live: {}", "live: {revokedSigner: approve}")
		}
		h, _ := newHouse(guardedTree(lets, replaced("environment: production", "environment: live")))
		rev, in, err := h.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		world, err := Observe(t.Context(), in, rev, h.Observers)
		if err != nil {
			t.Fatal(err)
		}
		got, err := h.deciders(t.Context(), world, ref("deployment/live"))
		if err != nil || len(got) > 0 != asks {
			t.Errorf("asks people: %v; %v, %v", asks, got, err)
		}
	}
}

// TestNobodyNamesTheFirstApproverOfWhatOthersDeclared: where production was declared from the
// first commit on and nothing was released yet, who writes a later change names nobody whose
// word counts for it, nor for what follows.
func TestNobodyNamesTheFirstApproverOfWhatOthersDeclared(t *testing.T) {
	nobody := with("trust.yaml", strings.Replace(guardian, ", roles: [approver]", "", 3))
	for name, c := range map[string]struct {
		first, change func(fstest.MapFS)
		then          bool // another commit is carried out meanwhile
		yes           string
		held          bool
	}{
		"the change names its approver":             {func(fstest.MapFS) {}, withEve, false, "eve", true},
		"a change before it named the approver":     {func(fstest.MapFS) {}, withEve, true, "eve", true},
		"somebody who was named at first":           {func(fstest.MapFS) {}, withEve, false, "bob", false},
		"somebody who was named at first, later":    {func(fstest.MapFS) {}, withEve, true, "bob", false},
		"nobody could approve at first":             {nobody, newModel, false, "bob", false},
		"nobody could approve at first, and later":  {nobody, newModel, true, "bob", false},
		"nobody could, and the first one named eve": {nobody, withEve, true, "eve", false},
	} {
		t.Run(name, func(t *testing.T) {
			h, w := newHouse(guardedTree(c.first))
			h.Hands = written(alice)
			pass(t, h)
			h.commit(w, two, guardedTree(c.change))
			pass(t, h)
			if c.then {
				h.commit(w, three, guardedTree(c.change, replaced("auc: 0.9", "auc: 0.97")))
				pass(t, h)
			}
			yes(t, h, []string{c.yes})
			if held := pass(t, h); (len(held) > 0) != c.held {
				t.Errorf("held: %q", held)
			}
		})
	}
}

// TestNothingIsBetweenWhereNothingBegan: before the first release, and at it, nobody is asked for
// commits since.
func TestNothingIsBetweenWhereNothingBegan(t *testing.T) {
	h, w := newHouse(guardedTree(replaced("environment: production", "environment: live")))
	h.Hands = written(alice)
	h.Between = func(_ context.Context, s port.Span) ([]string, error) {
		t.Errorf("asked for what is between %q and %q", s.From, s.To)
		return nil, nil
	}
	if held := pass(t, h); len(held) > 0 {
		t.Errorf("held: %q", held)
	}
	w.facts.Started = ""
	rev, in, err := h.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	world, err := Observe(t.Context(), in, rev, h.Observers)
	if err != nil {
		t.Fatal(err)
	}
	world.Facts.Places = nil
	if why, err := h.revoked(t.Context(), world, "controller:main", "live"); why != nil || err != nil {
		t.Error(why, err)
	}
}

// TestWhoMovedTheBranchApprovesNothingOfIt: a commit says what it likes of who wrote it, and who pushed it the forge knows.
func TestWhoMovedTheBranchApprovesNothingOfIt(t *testing.T) {
	for name, c := range map[string]struct {
		landed []string
		err    error
		none   bool // there is no forge
		people []string
		held   bool
	}{
		"nobody else pushed":                   {landed: []string{"github:alice"}, people: []string{"bob"}},
		"the approver pushed in alice's name":  {landed: []string{"github:bob"}, people: []string{"bob"}, held: true},
		"and another approves":                 {landed: []string{"github:bob"}, people: []string{"carol"}},
		"somebody whom trust.yaml lacks":       {landed: []string{"github:vishwa[bot]"}, people: []string{"bob"}},
		"it is not told":                       {err: fault.New(fault.Missing, "GitHub does not tell all of it"), people: []string{"bob"}, held: true},
		"it is not told, and two others do":    {err: fault.New(fault.Missing, "GitHub does not tell all of it"), people: []string{"bob", "carol"}},
		"it may not be asked":                  {err: fault.New(fault.Denied, "GitHub does not let us"), people: []string{"bob"}, held: true},
		"without a forge an address is enough": {none: true, people: []string{"bob"}},
	} {
		t.Run(name, func(t *testing.T) {
			h, w := settledHouse(t)
			h.commit(w, two, guardedTree(newModel))
			h.Hands = func(context.Context, string, string) ([]port.Hand, error) { return []port.Hand{written1(alice)}, nil }
			if !c.none {
				h.Landed = func(_ context.Context, since string) ([]string, error) {
					if since != one {
						t.Errorf("asked since %q", since)
					}
					return c.landed, c.err
				}
			}
			pass(t, h)
			yes(t, h, c.people)
			if held := pass(t, h); (len(held) > 0) != c.held {
				t.Errorf("held: %q", held)
			}
		})
	}
	h, w := settledHouse(t)
	h.commit(w, two, guardedTree(newModel))
	h.Landed = func(context.Context, string) ([]string, error) { return nil, fault.New(fault.Transient, "no answer") }
	if _, err := h.Apply(t.Context(), ApplyOptions{}); fault.Of(err) != fault.Transient {
		t.Errorf("a forge that does not answer lets through: %v", err)
	}
}

// TestANewEnvironmentIsNoWayToAnApproverOfOnesOwn: who names somebody in one change, which releases nothing that is guarded, and declares a new
// environment in the next, has no approver whom those before have never approved.
func TestANewEnvironmentIsNoWayToAnApproverOfOnesOwn(t *testing.T) {
	for who, held := range map[string]bool{"eve": true, "bob": false} {
		h, w := settledHouse(t)
		h.Hands = func(context.Context, string, string) ([]port.Hand, error) { return []port.Hand{written1(alice)}, nil }
		named := all(befriend, another("try", "staging", 8082))
		h.commit(w, two, guardedTree(named))
		if held := pass(t, h); len(held) > 0 {
			t.Fatal("the first step is not carried out: ", held)
		}
		h.commit(w, three, guardedTree(named, replaced("live: {}", "eu: {approvals: 1, reviews: true}"), another("eu", "eu", 8084)))
		pass(t, h)
		yes(t, h, []string{who})
		if got := pass(t, h); (len(got) > 0) != held {
			t.Errorf("%s: held: %q", who, got)
		}
	}
}
