// Compute: what is wanted against what is seen.

package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/made"
	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Schema names the format of a plan's JSON.
const Schema = "vishwa.dev/plan/v1"

// Observed is what was found of the world.
type Observed struct {
	Now          time.Time // zero: what waits for a time is not asked for
	Facts        *ledger.Facts
	Live         map[schemas.Ref]port.Live        // deployments
	Logged       map[schemas.Ref]rollout.Evidence // of deployments that try a release, and compare what is logged
	Stacks       map[schemas.Ref]port.Change      // infrastructure, as Diff found it
	Unobservable map[schemas.Ref]string           // infrastructure, packages and deployments that could not be looked at, and why
	Openly       map[schemas.Ref]string           // of these: why, as anybody may read it, where that is not all of it
	// Packages are those that were asked for where they are kept. A pull request asks for none:
	// what is recorded is taken to be there.
	Packages map[schemas.Ref]port.PackageState
	// Failed is that of it which was looked at in earnest: its module does not plan.
	Failed map[schemas.Ref]bool
	// Passing is that of Failed whose reason may pass: a network, a lock of the state.
	Passing map[schemas.Ref]bool
	// Wrong is infrastructure without a plan that cannot have one, and why: so much can be
	// told of its module without.
	Wrong map[schemas.Ref]string
	// Unplanned is infrastructure that a pull request may not plan, and why. What it does
	// not change is taken to stand as it was recorded: the tracked branch looks at it.
	Unplanned map[schemas.Ref]string
	// MissingArtifacts are keys that are to be made again, with the reason: nothing that the
	// ledger knows under them is to be had. Unfit are those where it is, and will not do: what
	// is made takes its place.
	MissingArtifacts, Unfit map[digest.Digest]string
	Machine                 string // this one: see ledger.Facts.On
	// Before is what the base of a pull request stands on: reasons tell what differs
	// from it, and not from what another change tried meanwhile. Nil: there is no base.
	Before map[schemas.Ref]*ledger.Entry
	// Champions are the deployments of the model that is served of each model's ref, where one
	// is: what a new one is compared with.
	Champions map[schemas.Ref]*ledger.Entry
	// Pull says that the plan is read in a pull request: what people can do is a command
	// there, and folders of the machine that ran are none of theirs.
	Pull bool
}

// Compute decides what to do for want, given what was seen. Revision, Policy and
// Trust are the caller's to fill in.
func Compute(want graph.Graph, seen Observed) Plan {
	c := computing{want: want, seen: seen, known: make(made.Known, len(want.Nodes))}
	p := Plan{Schema: Schema, Tree: want.Digest(), Steps: make([]Step, 0, len(want.Nodes))}
	for i := range want.Nodes {
		s := c.step(&want.Nodes[i])
		c.evaluations(&want.Nodes[i], &s)
		p.Steps = append(p.Steps, s)
		c.steps = p.Steps
	}
	p.Steps = append(p.Steps, c.retired()...)
	for i := range p.Steps {
		if !c.unasked(&p.Steps[i]) {
			c.rolls(&p.Steps[i])
		}
		c.suspend(&p.Steps[i])
	}
	c.timed(p.Steps)
	return p
}

type computing struct {
	want    graph.Graph
	seen    Observed
	known   made.Known
	steps   []Step // so far, each in the place of its node
	by      digest.Namer
	history map[schemas.Ref][]*ledger.Entry // what was made for each ref; made when it is asked for
}

// key is that of a node whose step is computed already.
func (c *computing) key(ref schemas.Ref) digest.Digest {
	if i, ok := c.want.Place(ref); ok && i < len(c.steps) {
		return c.steps[i].Key
	}
	return ""
}

func (c *computing) step(n *graph.Node) Step {
	s := Step{Ref: n.Ref, Needs: n.Needs, Pos: n.Decl.Pos}
	on := n.RunsOn
	if n.Scored != nil {
		on = n.Scored.RunsOn
		s.scorings = len(n.Scored.Rows)
		if c.seen.Champions[n.Ref] != nil {
			s.scorings *= 2 // what is served is scored too
		}
	}
	if !on.Plain() {
		s.RunsOn = &on
	}
	recipe, waits := c.known.Recipe(n)
	last := c.seen.Facts.On(c.seen.Machine, n.Ref)
	if is := n.Ref.Kind.Traits(); is.Packs {
		last = c.seen.Facts.Latest[n.Ref]
	}
	if len(waits) > 0 {
		s.Pending = true
		s.Do, s.Why = Make, "never made; waits for "+names(waits)
		if last != nil && last.Action != ledger.Retire {
			s.Do, s.Why = Remake, "waits for "+names(waits)
		}
		if n.Trial != nil && slices.Equal(waits, []schemas.Ref{*n.Trial}) {
			s.Why = "its parameters are not known before " + n.Trial.String() + " has said them"
		}
		if n.Ref.Kind.Traits().Provisioned {
			c.stack(n, &s)
		}
		withImage(n, &s)
		return s
	}
	key, err := recipe.KeyBy(&c.by)
	if err != nil {
		panic(err) // see graph.Digest
	}
	s.Key = key
	switch is := n.Ref.Kind.Traits(); {
	case is.Provisioned:
		c.stack(n, &s)
	case is.Packs:
		c.packed(n, &s, recipe)
		withImage(n, &s)
	case is.Serves:
		s.Model = recipe.Inputs["model"]
		c.deployment(&s, recipe)
	default:
		c.made(n, &s, recipe)
	}
	return s
}

// made decides on what is looked up by key: pins, runs and selections.
func (c *computing) made(n *graph.Node, s *Step, recipe port.Recipe) {
	last := c.seen.Facts.Latest[s.Ref]
	before := c.seen.Before[s.Ref]
	if before != nil && before.HasRecipe() {
		last = before
	}
	e := c.seen.Facts.ByKey[s.Key]
	why := cmp.Or(c.seen.MissingArtifacts[s.Key], c.seen.Unfit[s.Key])
	gone := e != nil && why != ""
	pinned := n.Ref.Kind.Traits().Pinned
	switch {
	case gone && pinned:
		s.Do, s.Why = Pin, why
		c.known.Add(n, nil)
	case gone:
		s.Do, s.Why = Remake, why
	case e != nil:
		s.Key = e.Key // the same, whose text is held already
		s.Do, s.Why = Keep, "up to date"
		if last == nil || last.Key != s.Key {
			s.Why = "made before, at revision " + shortSHA(e.Revision)
		}
		c.known.Add(n, e)
	case pinned:
		s.Do, s.Why = Pin, "never pinned"
		if last != nil {
			s.Why = changed(last, recipe)
		}
		c.known.Add(n, nil)
	case last == nil:
		s.Do, s.Why = Make, "never made"
	case last == before:
		s.Do, s.Why = Remake, changed(last, recipe)
	default:
		s.Do, s.Why = Remake, changed(c.nearest(s.Ref, last, recipe), recipe)
	}
	if e == nil || gone {
		s.Held = c.spent(n, s.Key)
	}
}

// nearest is, of all that was ever made for ref, what differs least from now; among
// equals the newest. After a revert, that is not what was made last.
func (c *computing) nearest(ref schemas.Ref, last *ledger.Entry, now port.Recipe) *ledger.Entry {
	if c.history == nil {
		c.history = map[schemas.Ref][]*ledger.Entry{}
		for e := range c.seen.Facts.Made() {
			if e.HasRecipe() && e.Action != ledger.Evaluate {
				c.history[e.Ref] = append(c.history[e.Ref], e)
			}
		}
	}
	best, least := last, 1<<30
	for _, e := range c.history[ref] {
		if n := len(changes(*e.Recipe(), now)); n < least || n == least && e.Seq > best.Seq {
			best, least = e, n
		}
	}
	return best
}

// spent says why a key that failed is not tried again, or "".
func (c *computing) spent(n *graph.Node, key digest.Digest) string {
	tries := c.seen.Facts.Failed[key]
	if tries.N <= Retries(n.Decl) {
		return ""
	}
	what := "it"
	if tries.Last != nil && tries.Last.Failure != nil {
		what = FailureText(*tries.Last.Failure, c.seen.Pull)
	}
	times := "once"
	if tries.N > 1 {
		times = fmt.Sprintf("%d times", tries.N)
	}
	return fmt.Sprintf("failed %s: %s; %s", times, first(what), RetryHint(n.Ref, c.seen.Pull))
}

// RetryHint is the way out of a run that failed for good, in a pull request or elsewhere.
func RetryHint(ref schemas.Ref, pull bool) string {
	if pull {
		return "correct it and push, or say /vishwa retry " + ref.Whole().String()
	}
	return "correct it and commit that, or run vishwa retry " + ref.Whole().String()
}

// FailureText is why a run failed, and where its work folder is, for those who can look there.
func FailureText(f ledger.Failure, pull bool) string {
	if f.Kept == "" || pull {
		return f.Message
	}
	return strings.TrimSuffix(f.Message, ".") + ". Work folder: " + f.Kept + ", in the state folder of the machine that ran it"
}

// Retries is how often a failed run of d is tried again.
func Retries(d *schemas.Declaration) int {
	if run, ok := d.Spec.(schemas.Bounded); ok {
		return run.Bounds().Retries
	}
	return 1 << 30 // what is no run fails for reasons outside its key
}

// changed is because, with the model named by its digest where that is what moved.
func changed(last *ledger.Entry, now port.Recipe) string {
	if !last.HasRecipe() {
		return "declared anew"
	}
	was := *last.Recipe()
	why := explainChange(was, now)
	if a, b := was.Inputs["model"], now.Inputs["model"]; a != b && schemas.Declared(now.Kind).Serves && a != "" && b != "" {
		why = strings.Replace(why, "input model changed", fmt.Sprintf("model %s -> %s", a.Short(), b.Short()), 1)
	}
	return why
}

// retired are steps for what is no longer declared: what serves before what it may stand on.
func (c *computing) retired() (steps []Step) {
	for ref := range c.seen.Facts.Latest {
		e := c.seen.Facts.On(c.seen.Machine, ref)
		if c.want.Node(ref) != nil || !e.Stands() {
			continue
		}
		s := Step{Ref: ref, Do: Retire, Key: e.Key, Why: "no longer declared"}
		if change, ok := c.seen.Stacks[ref]; ok {
			s.Actions, s.Change = change.Actions, change.Digest
		}
		if open, aside, blind := c.blind(ref); blind && !ref.Kind.Traits().Serves {
			s.Pending, s.Why, s.Aside = true, "no longer declared; "+open, aside
			s.Failed, s.Passing = c.seen.Failed[ref], c.seen.Passing[ref]
		}
		if why, none := c.seen.Unplanned[ref]; none {
			s.Pending, s.Why = true, "no longer declared; "+why
		}
		steps = append(steps, s)
	}
	slices.SortFunc(steps, func(a, b Step) int {
		return cmp.Or(rank(a.Ref)-rank(b.Ref), a.Ref.Compare(b.Ref))
	})
	for i := range steps {
		if steps[i].Ref.Kind.Traits().Provisioned {
			for _, d := range steps[:i] {
				if d.Ref.Kind.Traits().Serves {
					steps[i].Needs = append(steps[i].Needs, d.Ref)
				}
			}
			steps[i].Needs = append(steps[i].Needs, c.standingOn(steps[i].Ref)...)
		}
	}
	return steps
}

// rank is 1 for what others may stand on.
func rank(ref schemas.Ref) int {
	if ref.Kind.Traits().Provisioned {
		return 1
	}
	return 0
}

// standingOn lists the declared deployments whose newest release was made with
// infra: it must not go before they have gone on without it.
func (c *computing) standingOn(infra schemas.Ref) (out []schemas.Ref) {
	for i := range c.want.Nodes {
		ref := c.want.Nodes[i].Ref
		if !ref.Kind.Traits().Serves {
			continue
		}
		if e := c.seen.Facts.On(c.seen.Machine, ref); e != nil && e.Action == ledger.Deploy && e.HasRecipe() {
			if _, on := e.Recipe().Inputs[infra.String()]; on {
				out = append(out, ref)
			}
		}
	}
	return out
}

func names(refs []schemas.Ref) string {
	var out []string
	for _, r := range refs {
		out = append(out, r.String())
	}
	if len(out) > most {
		out = append(out[:most], fmt.Sprintf("and %d more", len(out)-most))
	}
	return strings.Join(out, ", ")
}

func shortSHA(s string) string { return s[:min(len(s), 7)] }

// first is the first line of s.
func first(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
