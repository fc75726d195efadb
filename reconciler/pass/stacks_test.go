// Laws of infrastructure in pull requests: the base branch says whether it is planned,
// with what, and against which state.

package pass

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// ground is a Provisioner that notes what it is asked to plan.
type ground struct {
	mu     sync.Mutex
	asked  map[string]port.Infrastructure
	stands map[string]bool
}

func (g *ground) Diff(_ context.Context, s port.Infrastructure) (port.Change, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.asked == nil {
		g.asked = map[string]port.Infrastructure{}
	}
	g.asked[s.Name] = s
	return port.Change{Raw: []byte(`{"format_version":"1.2","terraform_version":"1.11.4","resource_changes":[]}`), Empty: g.stands[s.Name], Digest: digest.Of([]byte(s.Name)), Actions: []port.ResourceAction{{Address: "x.y", Action: "create"}}}, nil
}

func (g *ground) Apply(_ context.Context, s port.Infrastructure, _ port.Change) (port.Outcome, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stands == nil {
		g.stands = map[string]bool{}
	}
	g.stands[s.Name] = true
	return port.Outcome{}, nil
}

// infra declares infrastructure/db with more of its spec.
func infra(more string) func(fstest.MapFS) {
	return func(t fstest.MapFS) {
		with("vishwa/infra.yaml", "apiVersion: vishwa.dev/v1alpha1\nkind: Infrastructure\nmetadata: {name: db}\nspec:\n  module: infra\n  pass: [WRITER]\n"+more)(t)
		with("infra/main.tf", "variable \"a\" {\n  default = 0\n}\n")(t)
	}
}

func step(t *testing.T, p plan.Plan, name string) plan.Step {
	t.Helper()
	i := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return s.Ref == ref(name) })
	if i < 0 {
		t.Fatalf("no step for %s", name)
	}
	return p.Steps[i]
}

func TestTheBaseSaysHowAPullRequestIsPlanned(t *testing.T) {
	type grant struct {
		planned bool
		pass    []string
		network []string
	}
	for name, one := range map[string]struct {
		base, pull string
		want       grant
		why        string
	}{
		"nothing declared":         {"", "  vars: {a: 1}\n", grant{}, "infrastructure/db declares no planPass on main"},
		"only the pull request":    {"", "  planPass: [WRITER]\n  vars: {a: 1}\n", grant{}, "declares no planPass"},
		"without any":              {"  planPass: []\n", "  planPass: []\n  vars: {a: 1}\n", grant{true, []string{}, nil}, ""},
		"the base's":               {"  planPass: [READER]\n", "  planPass: [READER, WRITER]\n  vars: {a: 1}\n", grant{true, []string{"READER"}, nil}, ""},
		"the base's hosts":         {"  planPass: []\n  network: [\"a.example:443\"]\n", "  planPass: []\n  network: [\"evil.example:443\"]\n  vars: {a: 1}\n", grant{true, []string{}, []string{"a.example:443"}}, ""},
		"no hosts":                 {"  planPass: []\n", "  planPass: []\n  network: [\"evil.example:443\"]\n  vars: {a: 1}\n", grant{true, []string{}, nil}, ""},
		"the state of another":     {"  planPass: []\n", "  planPass: []\n  state: {path: /srv/other.tfstate}\n", grant{}, "it moves the state"},
		"the bucket of another":    {"  planPass: []\n  state: {backend: {key: a}}\n", "  planPass: []\n  state: {backend: {key: b}}\n", grant{}, "it moves the state"},
		"state that stays":         {"  planPass: []\n  state: {path: /srv/a.tfstate}\n", "  planPass: []\n  state: {path: /srv/a.tfstate}\n  vars: {a: 1}\n", grant{true, []string{}, nil}, ""},
		"removed from the project": {"  planPass: [READER]\n", "gone", grant{true, []string{"READER"}, nil}, ""},
		"removed, and no plan":     {"", "gone", grant{}, "no longer declared; no plan in a pull request"},
	} {
		t.Run(name, func(t *testing.T) {
			g := &ground{}
			h, w := newHouse(tree(infra(one.base)))
			h.Provisioner = g
			apply(t, h)
			g.asked = nil
			work := tree(infra(one.pull))
			if one.pull == "gone" {
				work = tree()
			}
			_, p := pulled(t, h, w, work)
			asked, planned := g.asked["db"]
			if planned != one.want.planned {
				t.Fatalf("planned is %v", planned)
			}
			s := step(t, p.Plan, "infrastructure/db")
			if !planned {
				if !s.Pending || s.Held != "" && !strings.Contains(s.Held, "allow-destroy") || !strings.Contains(strings.ReplaceAll(s.Why, "the base branch", "main"), one.why) {
					t.Errorf("step %+v", s)
				}
				return
			}
			if !slices.Equal(asked.Pass, one.want.pass) || !slices.Equal(asked.Network, one.want.network) {
				t.Errorf("planned with %v, %v", asked.Pass, asked.Network)
			}
		})
	}
}

func TestInfrastructureThatIsNewHasNoPlan(t *testing.T) {
	g := &ground{}
	h, w := newHouse(tree())
	h.Provisioner = g
	apply(t, h)
	_, p := pulled(t, h, w, tree(infra("  planPass: [WRITER]\n  network: [\"evil.example:443\"]\n")))
	if s := step(t, p.Plan, "infrastructure/db"); len(g.asked) != 0 || !s.Pending || !strings.Contains(s.Why, "infrastructure/db is not declared on") {
		t.Errorf("asked %v, step %+v", maps.Keys(g.asked), s)
	}
}

// What stands on infrastructure that is not touched can be judged and approved before
// the merge, plan or none.
func TestInfrastructureThatIsNotTouchedIsTakenToStand(t *testing.T) {
	h, w := newHouse(tree(infra("")))
	h.Provisioner = &ground{}
	apply(t, h)
	work := tree(infra(""), replaced("auc: 0.9", "auc: 0.95"))
	apart, p := pulled(t, h, w, work)
	if s := step(t, p.Plan, "infrastructure/db"); s.Do != plan.Keep || s.Pending || !strings.Contains(s.Why, "not changed here; no plan in a pull request") {
		t.Errorf("step %+v", s)
	}
	make7(t, apart, p)
	was, err := apart.Review(t.Context(), p.World.Intent, p.World.Revision)
	if err != nil {
		t.Fatal(err)
	}
	h.commit(w, two, work)
	apply(t, h)
	if live := w.facts.Latest[ref("deployment/s")]; live.Plan != was.Plan.Digest() {
		t.Errorf("the plan after the merge is %s, and %s before it: approvals would not hold", live.Plan.Short(), was.Plan.Digest().Short())
	}
}

// A stranger's module is not even asked for.
func TestWhatIsNotToBePlannedDoesNotBlindThePass(t *testing.T) {
	h, w := newHouse(tree(infra("  planPass: []\n")))
	h.Provisioner = &ground{}
	apply(t, h)
	h.Provisioner = refusing{}
	_, p := pulled(t, h, w, tree(infra("  planPass: []\n  vars: {a: 1}\n")))
	if s := step(t, p.Plan, "infrastructure/db"); s.Do != plan.Remake || !s.Pending || !strings.Contains(s.Why, "spec.vars changed; nobody vouched") {
		t.Errorf("step %+v", s)
	}
}

// A module that cannot have a plan fails a pull request, also where none is made by design.
func TestAModuleThatIsWrongFailsWithoutAPlan(t *testing.T) {
	for name, c := range map[string]struct{ file, text, why string }{
		"an undeclared variable": {"infra/main.tf", "variable \"a\" {\n  default = 0\n}\noutput \"b\" {\n  value = var.b\n}\n", `infra/main.tf:5: infrastructure/db: variable "b" is used and not declared`},
		"syntax":                 {"infra/main.tf", "variable \"a\" {\n", "infra/main.tf:1: infrastructure/db: "},
		"a module":               {"infra/more.tf", "module \"m\" {\n  source = \"./m\"\n}\n", `infra/more.tf:2: infrastructure/db: module "m" is "./m"`},
	} {
		t.Run(name, func(t *testing.T) {
			h, w := newHouse(tree(infra("")))
			h.Provisioner = &ground{}
			apply(t, h)
			_, p := pulled(t, h, w, tree(infra(""), with(c.file, c.text)))
			s := step(t, p.Plan, "infrastructure/db")
			if !s.Failed || s.Passing || !strings.Contains(s.Why, c.why) {
				t.Errorf("step %+v", s)
			}
			denied := slices.ContainsFunc(p.Plan.Findings, func(f ledger.Finding) bool {
				return f.Rule == "policy/evidence" && strings.Contains(f.Message, c.why) && f.Hint != ""
			})
			if !denied {
				t.Errorf("findings %+v", p.Plan.Findings)
			}
		})
	}
}

// What may pass is no mistake of the author's: it is said so, and is not held for good.
func TestAPlanThatFailedForAPassingReasonIsSaidToBeWorthAnotherTry(t *testing.T) {
	for kind, passing := range map[fault.Kind]bool{fault.Transient: true, fault.Conflict: true, fault.Invalid: false, fault.Denied: false, fault.Internal: false} {
		h, _ := newHouse(tree(infra("")))
		h.Provisioner = failing{fault.WithHint(fault.New(kind, "no such host"), "see that the registry can be reached")}
		_, in, err := h.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		rev, err := h.Repo.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p, err := h.Review(t.Context(), in, rev)
		if err != nil {
			t.Fatal(err)
		}
		s := step(t, p.Plan, "infrastructure/db")
		if !s.Failed || s.Passing != passing || s.Held != "" || strings.Contains(s.Why, "may pass") != passing {
			t.Errorf("%v: %+v", kind, s)
		}
		if got := len(p.Plan.Passing()) == 1; got != passing || len(p.Plan.Failed()) == 1 == passing {
			t.Errorf("%v: passing %v, failed %v", kind, p.Plan.Passing(), p.Plan.Failed())
		}
	}
}

type failing struct{ err error }

func (f failing) Diff(context.Context, port.Infrastructure) (port.Change, error) {
	return port.Change{}, f.err
}

func (f failing) Apply(context.Context, port.Infrastructure, port.Change) (port.Outcome, error) {
	return port.Outcome{}, f.err
}

type refusing struct{}

func (refusing) Diff(context.Context, port.Infrastructure) (port.Change, error) {
	return port.Change{}, port.Unplanned("nobody vouched")
}

func (refusing) Apply(context.Context, port.Infrastructure, port.Change) (port.Outcome, error) {
	return port.Outcome{}, nil
}

// cramped is a Provisioner whose program tells where it works.
type cramped struct{ ground }

func (*cramped) Diff(context.Context, port.Infrastructure) (port.Change, error) {
	return port.Change{}, fault.New(fault.Internal, "terraform ended with 1: no room in /srv/ctl/terraform/db")
}

// TestWhyAStackHasNoPlanTellsNotWhereItIsMade: neither in a pull request nor in the ledger; who runs it reads all of it.
func TestWhyAStackHasNoPlanTellsNotWhereItIsMade(t *testing.T) {
	h, w := newHouse(tree(infra("")))
	h.Provisioner = &cramped{}
	h.Named = func(text string) string { return strings.ReplaceAll(text, "/srv/ctl", "(the state folder)") }
	r, err := h.Apply(t.Context(), ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := step(t, r.Plan, "infrastructure/db")
	if !strings.Contains(s.Why, "no room in (the state folder)/terraform/db") || !strings.Contains(s.Aside, "no room in /srv/ctl/terraform/db") {
		t.Errorf("it says %q, and to who runs it %q", s.Why, s.Aside)
	}
	failed := false
	for i := range w.list {
		e := &w.list[i]
		failed = failed || e.Failure != nil && strings.Contains(e.Failure.Message, "(the state folder)")
		raw, err := json.Marshal(e)
		if err != nil || strings.Contains(string(raw), "/srv/ctl") {
			t.Errorf("recorded: %s %v", raw, err)
		}
	}
	if !failed {
		t.Error("no failure was recorded")
	}
}
