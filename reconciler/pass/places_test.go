// Laws of places: a plan tells what will keep a step from being begun, and what the owner of the machine does not let is not begun.

package pass

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
)

func TestWhatCannotBeBegunIsTold(t *testing.T) {
	here := tree(runners(`store: {s3: {url: "s3://bucket/x"}}, clusters: {prod: {namespace: n}}, runners: {dags: {ray: {url: "https://ray.example"}}}`),
		replaced("run: [python, e.py]", "run: [python, e.py]\n  runner: dags"),
		replaced("target: {local: {run: [python, s.py], code: [s.py]}}", "target: {kubernetes: {cluster: prod, image: \""+someImage+"\", run: [python, s.py], code: [s.py]}}"))
	for name, c := range map[string]struct {
		kind  fault.Kind
		level ledger.Level
		rule  string
	}{"what is not let": {fault.Denied, ledger.Denied, "place/denied"}, "what this machine lacks": {fault.Missing, ledger.Warn, "place/unready"}} {
		t.Run(name, func(t *testing.T) {
			h, w := newHouse(here)
			asked := map[Place]int{}
			h.Ready = func(_ context.Context, p *schemas.Project, places []Place) (out []error) {
				for _, at := range places {
					asked[at]++
					out = append(out, fault.WithHint(fault.New(c.kind, "it is not so"), "make it so"))
				}
				if _, ok := p.Runners["dags"]; !ok {
					t.Error("the project is another one")
				}
				return out
			}
			s, err := h.Preview(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			p, err := h.Plan(t.Context(), s, ApplyOptions{})
			if err != nil {
				t.Fatal(err)
			}
			told := map[string]bool{}
			for _, f := range p.Findings {
				if f.Rule == c.rule && f.Level == c.level && strings.Contains(f.Message, "it is not so") && f.Hint == "make it so" {
					told[string(f.Ref.Kind)] = strings.Contains(f.Message, map[schemas.Kind]string{"training": "runner dags", "deployment": "cluster prod"}[f.Ref.Kind])
				}
			}
			if len(told) != 2 || !told["training"] || !told["deployment"] {
				t.Errorf("told of %v: %+v", told, p.Findings)
			}
			for at, n := range asked {
				if n != 1 || at.Runner == "local" {
					t.Errorf("%+v was asked %d times", at, n)
				}
			}
			for _, s := range p.Work() {
				if s.Ref.Kind == "training" && (s.Held != "") != (c.level == ledger.Denied) {
					t.Errorf("%s is held: %q", s.Ref, s.Held)
				}
			}
			if c.level == ledger.Denied {
				r, err := h.Apply(t.Context(), ApplyOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if err := r.Err(); fault.Of(err) != fault.Refused && fault.Of(err) != fault.Held || strings.Contains(strings.Join(w.ran, " "), "training") {
					t.Errorf("it was applied: %v, ran %v", err, w.ran)
				}
			}
		})
	}
}

// bounded lends nothing: it tells what it was asked for.
type bounded struct {
	pass, network, host bool // what it refuses
}

func refusal(is bool, what string) error {
	if !is {
		return nil
	}
	return fault.WithHint(fault.New(fault.Denied, "no %s", what), "ask for it")
}

func (b bounded) Variable(name string) error { return refusal(b.pass, name) }
func (bounded) Token(string, string) error   { return nil }
func (bounded) Place(string) error           { return nil }
func (b bounded) Host(c schemas.Claim) error { return refusal(b.host, c.String()) }
func (b bounded) Network(all bool) error     { return refusal(b.network && all, "network") }

func TestAPlanTellsWhatARunWouldAskForAndNotBeGiven(t *testing.T) {
	passing := replaced("run: [python, e.py]", "run: [python, e.py]\n  env: {pass: [OTHERS_TOKEN]}")
	claiming := replaced("target: {local: {run: [python, s.py], code: [s.py]}}", "target: {docker: {image: \""+someImage+"\", run: [python, s.py], code: [s.py], port: 8080, traefik: {host: bank.example.com, path: /x/}}}")
	quiet := replaced("run: [python, e.py]", "run: [python, e.py]\n  network: none")
	for name, c := range map[string]struct {
		change func(fstest.MapFS)
		may    bounded
		says   string // of the training, or of the deployment that claims; "" is nothing
	}{
		"a variable":               {passing, bounded{pass: true}, "no OTHERS_TOKEN"},
		"one that it may":          {passing, bounded{}, ""},
		"the network":              {func(fstest.MapFS) {}, bounded{network: true}, "no network"},
		"requests of others'":      {claiming, bounded{host: true}, "no bank.example.com/x"},
		"those that it may":        {claiming, bounded{pass: true}, ""},
		"none of it":               {quiet, bounded{network: true}, ""},
		"without a word of either": {func(fstest.MapFS) {}, bounded{pass: true}, ""},
	} {
		h, _ := newHouse(tree(c.change))
		h.Bounds = c.may
		s, err := h.Preview(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p, err := h.Plan(t.Context(), s, ApplyOptions{})
		if err != nil {
			t.Fatal(err)
		}
		said := ""
		for _, f := range p.Findings {
			if f.Rule == "place/denied" && f.Level == ledger.Denied && (f.Ref.Kind == "training") == !c.may.host {
				said = f.Message
			}
		}
		if said != c.says {
			t.Errorf("%s: the plan says %q", name, said)
		}
	}
}
