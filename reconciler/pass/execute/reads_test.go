package execute

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// chained is a runner whose transforms come out as told, whatever they run.
type chained struct {
	*shop
	as map[string]string // of transforms that are not in it, by their keys
}

func (c chained) Wait(ctx context.Context, key digest.Digest, st port.RunState, n int64) (port.Run, error) {
	r, err := c.shop.Wait(ctx, key, st, n)
	if err != nil || r.Result == nil {
		return r, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if as := c.as[c.jobs[key].Ref.Name]; as != "" {
		r.Result.Outputs = map[string]port.Artifact{"o": {Digest: digest.Of([]byte(as)), Size: 1}}
	}
	return r, nil
}

// chain is transforms t0 to t4 in a row, of which t1, t2 and t3 run the same code.
func chain(t *testing.T, first, last string) graph.Graph {
	work := func(p string) schemas.Work { return schemas.Work{Run: []string{"python", p}} }
	decls := []schemas.Declaration{declare("Dataset", "d", &schemas.Dataset{Source: schemas.DataSource{Path: "d.csv"}})}
	reads := "dataset/d"
	for i, code := range []string{first, "f.py", "f.py", "f.py", last} {
		name := "t" + string(rune('0'+i))
		decls = append(decls, declare("Transform", name, &schemas.Transform{Work: work(code), Inputs: map[string]schemas.Ref{"x": ref(reads)}, Outputs: map[string]string{"o": "o"}}))
		reads = "transform/" + name + ":o"
	}
	g, problems := graph.Build(decls, graph.Pins{Data: map[schemas.Ref]port.Artifact{ref("dataset/d"): {Digest: digest.Of([]byte("d")), Size: 1}}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return g
}

// actOn plans and acts on a chain with a store that lacks the outputs in gone. What is made is there again.
func (c chained) actOn(t *testing.T, g graph.Graph, seen plan.Observed, gone map[digest.Digest]bool) map[string]Outcome {
	t.Helper()
	ctx, done := context.WithTimeout(t.Context(), time.Minute)
	defer done()
	out := map[string]Outcome{}
	for _, o := range Run(ctx, plan.Gate(plan.Compute(g, seen), nil), Config{
		Graph: g, Facts: seen.Facts, Live: seen.Live, MissingArtifacts: seen.MissingArtifacts, Store: store{}, Runner: c, Provisioner: stacks{}, Server: c.server(), Services: c, Now: c.clock, Parallel: 4,
		Has: func(_ context.Context, e *ledger.Entry) (bool, error) {
			return !gone[e.Outputs.Named("o").Digest], ctx.Err()
		},
		Common: EntryContext{Actor: "controller:test", Policy: digest.Of([]byte("policy"))}, Changes: seen.Stacks,
	}) {
		out[o.Ref.String()] = o
	}
	if ctx.Err() != nil {
		t.Fatal("it took too long")
	}
	return out
}

// TestWhatCameOutSameAndIsGoneIsNamed: t2 and t3 are at a fixed point, so they have one key. What the store lacks of it is not made behind
// the plan's back: it is named, and the next plan, which knows its key, makes it.
func TestWhatCameOutSameAndIsGoneIsNamed(t *testing.T) {
	c := chained{newShop(), map[string]string{"t0": "d0", "t1": "d1", "t2": "d1", "t3": "d1"}}
	g := chain(t, "a.py", "z.py")
	c.actOn(t, g, c.see(g), nil)
	if len(c.started) != 4 {
		t.Fatalf("started %v: t2 and t3 have not one key", c.started)
	}
	g = chain(t, "a.py  # the same", "y.py")
	gone := map[digest.Digest]bool{digest.Of([]byte("d1")): true}
	c.started = nil
	got := c.actOn(t, g, c.see(g), gone)
	wantEnds(t, got, map[string]EventKind{"transform/t0": Ended, "transform/t1": Kept, "transform/t2": Kept, "transform/t3": Kept, "transform/t4": Failed})
	o := got["transform/t4"]
	if fault.Of(o.Error) != fault.Conflict || !strings.Contains(o.Text, "needs transform/t3, which came out the same as before, and "+plan.NotInStore) || !strings.Contains(fault.HintOf(o.Error), "run vishwa apply again") {
		t.Errorf("%+v: %s", o, fault.HintOf(o.Error))
	}
	if !slices.Equal(c.started, []string{"transform/t0"}) || c.actions("transform/t4")[ledger.Fail] != 0 {
		t.Errorf("started %v", c.started)
	}

	seen := c.see(g) // as pass.compute finds it
	seen.MissingArtifacts = map[digest.Digest]string{}
	for _, r := range []string{"transform/t1", "transform/t2"} { // t3 has t2's key
		seen.MissingArtifacts[c.facts.Latest[ref(r)].Key] = plan.NotInStore
	}
	c.started = nil
	for r, o := range c.actOn(t, g, seen, nil) {
		if o.End != Ended && o.End != Kept {
			t.Errorf("%s: %+v", r, o)
		}
	}
	slices.Sort(c.started)
	if len(c.started) != 3 || c.started[0] != "transform/t1" || c.started[2] != "transform/t4" {
		t.Errorf("started %v, want t1, what has the key of t2 and t3 once, and t4", c.started)
	}
}

// TestWhatWasMadeElsewhereIsRead: what came out the same and is in the store is read, and nothing is made twice.
func TestWhatWasMadeElsewhereIsRead(t *testing.T) {
	c := chained{newShop(), map[string]string{"t0": "d0", "t1": "d1", "t2": "d1", "t3": "d1"}}
	g := chain(t, "a.py", "z.py")
	c.actOn(t, g, c.see(g), nil)
	g = chain(t, "a.py  # the same", "y.py")
	c.started = nil
	wantEnds(t, c.actOn(t, g, c.see(g), nil), map[string]EventKind{"transform/t0": Ended, "transform/t1": Kept, "transform/t2": Kept, "transform/t3": Kept, "transform/t4": Ended})
	slices.Sort(c.started)
	if !slices.Equal(c.started, []string{"transform/t0", "transform/t4"}) {
		t.Errorf("started %v", c.started)
	}
}
