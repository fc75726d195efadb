// The law of approvals over histories: whatever is committed, renamed, moved, trusted,
// merged, rolled back or said, nothing changes in a guarded environment without enough
// words of others that were given for it, and not used before. What is held against the
// guards here keeps its own, simpler books.

package guard

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

var (
	noon   = time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
	people = []string{"ann", "ben", "cid", "dee"}
	places = []string{"production", "production", "live"}
)

// commit is a revision: what it declares, what guards by it, and who made it.
type commit struct {
	Settings
	deployments map[string]schemas.Deployment
	roles       map[string][]string // of those whom its trust file names
	hand        port.Hand
}

// recorded is a principal's word.
type recorded struct {
	by   string
	plan digest.Digest
	seq  int64
}

// history is a repository with its ledger, and the books of the test.
type history struct {
	commits []commit
	facts   ledger.Facts
	said    []recorded
	// The books: as of which commit each place changed last, and each deployment.
	place    map[string]int
	released map[string]int
	at       map[string]int64 // sequence of these
	serves   map[string]schemas.Deployment
}

func (h *history) head() *commit { return &h.commits[len(h.commits)-1] }

func (h *history) append(e ledger.Entry) {
	e.Seq, e.Prev = h.facts.Count, h.facts.Head
	if err := h.facts.Fold(e, digest.Of(fmt.Append(nil, e.Seq))); err != nil {
		panic(err)
	}
}

// drawn is a commit of somebody, who may change anything.
func drawn(t *rapid.T, n int, from *commit) commit {
	c := commit{deployments: map[string]schemas.Deployment{}, roles: map[string][]string{}}
	who := rapid.SampledFrom(append([]string{"ci"}, people...)).Draw(t, "author") + "@example.com"
	c.hand = port.Hand{SHA: fmt.Sprint(n), Author: who, Committer: who}
	project := &schemas.Project{Environments: map[string]schemas.Environment{}}
	if from != nil {
		c.deployments, c.roles = maps.Clone(from.deployments), maps.Clone(from.roles)
		maps.Copy(project.Environments, from.Project.Environments)
	}
	for range rapid.IntRange(1, 3).Draw(t, "changes") {
		name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "deployment")
		place := rapid.SampledFrom(places).Draw(t, "place")
		person := rapid.SampledFrom(people).Draw(t, "person")
		switch rapid.SampledFrom([]string{"deploy", "deploy", "deploy", "remove", "environment", "trust", "trust", "distrust"}).Draw(t, "change") {
		case "deploy":
			d := schemas.Deployment{Environment: place, Schedule: fmt.Sprint(rapid.IntRange(0, 2).Draw(t, "version"))}
			d.Target.Local = &schemas.LocalTarget{Hosted: schemas.Hosted{Port: rapid.IntRange(0, 2).Draw(t, "port")}}
			c.deployments[name] = d
		case "remove":
			delete(c.deployments, name)
		case "environment":
			project.Environments[place] = schemas.Environment{Approvals: rapid.IntRange(0, 2).Draw(t, "approvals"), Reviews: true,
				Roles: []string{rapid.SampledFrom([]string{"approver", "boss"}).Draw(t, "role")}, UnknownAuthors: rapid.SampledFrom([]string{"", "two", "refuse"}).Draw(t, "unknown")}
		case "trust":
			c.roles[person] = []string{rapid.SampledFrom([]string{"approver", "boss"}).Draw(t, "role")}
		case "distrust":
			delete(c.roles, person)
		}
	}
	c.Settings = Settings{Revision: fmt.Sprint(n), Project: project, Trust: c.trust()}
	return c
}

// key names what a deployment would be.
func key(name string, d schemas.Deployment) digest.Digest {
	k, err := digest.JSON([]any{name, d})
	if err != nil {
		panic(err)
	}
	return k
}

// plan names what a pass would change now.
func (h *history) plan() digest.Digest {
	p, err := digest.JSON([]any{h.head().Revision, fmt.Sprint(h.serves)})
	if err != nil {
		panic(err)
	}
	return p
}

func (h *history) past() Past {
	at := func(revision string) (Settings, error) {
		for _, c := range h.commits {
			if c.Revision == revision {
				return c.Settings, nil
			}
		}
		panic("no revision " + revision)
	}
	return Past{Facts: &h.facts, At: at, First: func(string) (Settings, bool, error) { return Settings{}, false, nil }}
}

// pass changes what is declared otherwise, where the guards let it, and holds each
// change against the books.
func (h *history) pass(t *rapid.T) {
	names := map[string]bool{}
	for name := range h.head().deployments {
		names[name] = true
	}
	for name := range h.serves {
		names[name] = true
	}
	plan, head := h.plan(), h.head()
	for _, name := range slices.Sorted(maps.Keys(names)) {
		d, declared := head.deployments[name]
		was, served := h.serves[name]
		if declared && served && key(name, d) == key(name, was) {
			continue
		}
		ref := schemas.Ref{Kind: "deployment", Name: name}
		c := Change{Ref: ref}
		if declared {
			c.To, c.Address = d.Environment, Address(&d)
		}
		now := head.Settings
		guards, err := On(c, now, h.past())
		if err != nil {
			t.Fatal(err)
		}
		hands := h.hands(name)
		var words []Word
		for _, s := range h.said {
			if s.plan != plan || Spent(&h.facts, ref, guards, s.seq) {
				continue
			}
			r := trust.Request{Want: trust.Want{Plan: plan, Policy: digest.Of(nil)}, Revision: head.Revision, Principal: s.by, Time: noon, Expires: noon.Add(time.Hour),
				Review: &trust.Review{Forge: "github", Login: s.by, What: "review", ID: s.seq, Pull: 1}}
			text, err := r.Statement()
			if err != nil {
				t.Fatal(err)
			}
			if w, err := Holds(Yes{Signed: trust.Signed{Statement: text}}, guards, trust.Want{Plan: plan, Policy: digest.Of(nil)}, hands, noon); err == nil && len(guards) > 0 {
				words = append(words, w)
			}
		}
		if slices.ContainsFunc(Count(guards, words, hands), func(v Verdict) bool { return !v.Met }) {
			continue
		}
		h.judge(t, name, c, plan)
		h.change(name, d, declared)
	}
}

// hands are those in what is new for a deployment.
func (h *history) hands(name string) (out []port.Hand) {
	for _, c := range h.commits[h.released[name]:] {
		out = append(out, c.hand)
	}
	return out
}

// judge is the law, by the books alone.
func (h *history) judge(t *rapid.T, name string, c Change, plan digest.Digest) {
	touched := map[string]bool{}
	if c.To != "" {
		touched[c.To] = true
	}
	if was, ok := h.serves[name]; ok {
		touched[was.Environment] = true
	}
	for other, d := range h.serves {
		if other != name && c.Address != "" && Address(&d) == c.Address {
			touched[d.Environment] = true
		}
	}
	authors := map[string]bool{}
	for _, hand := range h.hands(name) {
		authors[hand.Author] = true
	}
	for place := range touched {
		asks := []commit{*h.head()}
		if i, changed := h.place[place]; changed {
			asks = append(asks, h.commits[i])
		}
		for i, by := range asks {
			e := by.Project.Environments[place]
			need := e.Needs(place)
			if i == 1 && !slices.ContainsFunc(people, func(p string) bool { return shares(by.roles[p], e.Approvers()) }) {
				continue // nobody guarded by it
			}
			given := map[string]bool{}
			for _, s := range h.said {
				if s.plan == plan && s.seq > h.at["place "+place] && s.seq > h.at[name] && !authors[s.by+"@example.com"] && shares(by.roles[s.by], e.Approvers()) && h.head().roles[s.by] != nil {
					given[s.by] = true
				}
			}
			for a := range authors {
				if person := a[:3]; need > 0 && len(given) < need+1 && (a == "ci@example.com" || by.roles[person] == nil) {
					t.Fatalf("%s changes %s with %d words, though %s is unknown there", name, place, len(given), a)
				}
			}
			if len(given) < need {
				t.Fatalf("%s changes %s, which asks for %d words (of commit %s), with those of %v", name, place, need, by.Revision, given)
			}
		}
	}
}

func shares(a, b []string) bool {
	return slices.ContainsFunc(a, func(r string) bool { return slices.Contains(b, r) })
}

// change records what was done, in the ledger and in the books.
func (h *history) change(name string, d schemas.Deployment, declared bool) {
	was, served := h.serves[name]
	e := ledger.Entry{Action: ledger.Retire, Ref: schemas.Ref{Kind: "deployment", Name: name}, Revision: h.head().Revision}
	n := len(h.commits) - 1
	seq := h.facts.Count
	if served {
		e.Release = &ledger.Release{Environment: was.Environment}
		h.place[was.Environment], h.at["place "+was.Environment] = n, seq
	}
	delete(h.serves, name)
	if declared {
		text, err := digest.Canonical(d)
		if err != nil {
			panic(err)
		}
		e.Action, e.Key, e.MadeBy, e.Release = ledger.Deploy, key(name, d), &port.Recipe{Spec: text}, &ledger.Release{Environment: d.Environment}
		h.place[d.Environment], h.at["place "+d.Environment] = n, seq
		h.serves[name] = d
	}
	h.released[name], h.at[name] = n+1, seq
	if !declared {
		h.released[name] = 0
	}
	h.append(e)
}

func (h *history) say(who ...string) {
	plan := h.plan()
	for _, by := range who {
		h.append(ledger.Entry{Action: ledger.Approve})
		h.said = append(h.said, recorded{by, plan, h.facts.Count - 1})
	}
}

// settled is what a history begins with: production asks for a word, and ann wrote it.
func settled() commit {
	c := commit{deployments: map[string]schemas.Deployment{"a": {Environment: "production", Target: schemas.Target{Local: &schemas.LocalTarget{Hosted: schemas.Hosted{Port: 1}}}}},
		roles: map[string][]string{"ann": {"approver"}, "ben": {"approver"}, "cid": {"approver", "boss"}}, hand: port.Hand{SHA: "0", Author: "ann@example.com", Committer: "ann@example.com"}}
	c.Settings = Settings{Revision: "0", Project: &schemas.Project{Environments: map[string]schemas.Environment{"production": {Approvals: 1, Reviews: true}, "live": {Reviews: true}}}, Trust: c.trust()}
	return c
}

// trust is the trust file that names c.roles.
func (c commit) trust() *trust.Trust {
	text := "apiVersion: vishwa.dev/v1alpha1\nkind: Trust\n"
	for i, name := range slices.Sorted(maps.Keys(c.roles)) {
		if i == 0 {
			text += "principals:\n"
		}
		text += fmt.Sprintf("  %s: {emails: [%s@example.com], forge: {github: %s}, roles: [%s]}\n", name, name, name, strings.Join(c.roles[name], ", "))
	}
	tr, problems := trust.Load([]byte(text), "trust.yaml")
	if tr == nil {
		panic(problems)
	}
	return tr
}

func TestNothingChangesInAGuardedEnvironmentWithoutTheWordOfOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &history{place: map[string]int{}, released: map[string]int{}, at: map[string]int64{}, serves: map[string]schemas.Deployment{}}
		h.commits = []commit{settled()}
		h.append(ledger.Entry{Action: ledger.Genesis, Revision: "0"})
		h.say("ben", "cid")
		if h.pass(t); len(h.serves) != 1 {
			t.Fatal("a release that two others approve does not go")
		}
		t.Repeat(map[string]func(*rapid.T){
			"commit": func(t *rapid.T) { h.commits = append(h.commits, drawn(t, len(h.commits), h.head())) },
			"revert": func(t *rapid.T) {
				c := h.commits[rapid.IntRange(0, len(h.commits)-1).Draw(t, "to")]
				c.Revision = fmt.Sprint(len(h.commits))
				c.hand = drawn(t, len(h.commits), nil).hand
				h.commits = append(h.commits, c)
			},
			"say": func(t *rapid.T) {
				h.say(rapid.SliceOfNDistinct(rapid.SampledFrom(people), 1, 4, rapid.ID).Draw(t, "who")...)
			},
			"campaign": func(t *rapid.T) { // a change, as many words as can be had, and a pass
				h.commits = append(h.commits, drawn(t, len(h.commits), h.head()))
				h.say(rapid.SliceOfNDistinct(rapid.SampledFrom(people), 2, 4, rapid.ID).Draw(t, "who")...)
				h.pass(t)
			},
			"pass": h.pass,
			"restore": func(t *rapid.T) { // after a crash: the same release is recorded again, at whatever is the head
				for name, d := range h.serves {
					text, _ := digest.Canonical(d)
					h.append(ledger.Entry{Action: ledger.Deploy, Ref: schemas.Ref{Kind: "deployment", Name: name}, Key: key(name, d), Revision: h.head().Revision,
						MadeBy: &port.Recipe{Spec: text}, Release: &ledger.Release{Environment: d.Environment}})
					break
				}
			},
		})
	})
}
