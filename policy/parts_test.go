// The parts of the built-in rules are all that each kind is asked.

package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/vishwaops/vishwa/policy/parts"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/schemas"
)

func builtIns(t *testing.T) []module {
	t.Helper()
	mods, err := collect(nil, nil, false)
	if err == nil {
		err = parse(mods, func(module) bool { return true })
	}
	if err != nil {
		t.Fatal(err)
	}
	return mods
}

// TestTheHeadOfAFileIsWhatItsRulesAre: what is read without a parser is what the parser reads.
func TestTheHeadOfAFileIsWhatItsRulesAre(t *testing.T) {
	for _, m := range builtIns(t) {
		var imports []string
		for _, i := range m.parsed.Imports {
			imports = append(imports, i.Path.String())
		}
		pkg := m.parsed.Package.Path.String()
		want := parts.Head{Package: pkg, Kinds: limits([]module{m})[pkg], Imports: imports}
		if got := parts.HeadOf(m.text); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: read %+v, and it is %+v", m.name, got, want)
		}
	}
}

// TestAPartIsAllThatItsKindsAreAsked: by the rules of its part, a step is asked the same as by all.
func TestAPartIsAllThatItsKindsAreAsked(t *testing.T) {
	mods := builtIns(t)
	whole, err := compile(mods)
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, kinds := range limits(mods) {
		for _, k := range kinds {
			named[k] = true
		}
	}
	all := parts.Split(texts(mods))
	if len(all) < 2 {
		t.Fatalf("there are %d parts: nothing is spared", len(all))
	}
	for _, p := range all {
		own := some(mods, p.Files)
		j, err := compile(own)
		if err != nil {
			t.Fatal(err)
		}
		pkgs := map[string]bool{}
		for _, m := range own {
			pkgs[m.parsed.Package.Path.String()] = true
		}
		for _, m := range own { // a package that is not there is no error of Rego's, and nothing is found in it
			ast.WalkRefs(m.parsed, func(r ast.Ref) bool {
				if len(r) > 2 && strings.HasPrefix(r.String(), "data.vishwa.") && !pkgs[r[:3].String()] {
					t.Errorf("%s speaks of %s, which is in another part", m.name, r)
				}
				return false
			})
		}
		for _, kind := range p.Kinds {
			if !named[kind] {
				t.Errorf("%s is in two parts, or no rule is about it", kind)
			}
			delete(named, kind)
			got, err := j.question(kind)
			if err != nil {
				t.Fatal(err)
			}
			want, err := whole.question(kind)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.sets, want.sets) {
				t.Errorf("a step of a %s is asked %v, want %v", kind, got.sets, want.sets)
			}
			for _, s := range got.sets {
				if j.readers[s] != whole.readers[s] {
					t.Errorf("%s reads the Terraform plan in the whole alone, or in the part alone", s)
				}
			}
		}
	}
	if len(named) > 0 {
		t.Errorf("%q are in no part", slices.Sorted(maps.Keys(named)))
	}
}

// TestRulesThatSpeakOfOursAreNotParted: a team's rules that read what others say, or may, are compiled with all of them.
func TestRulesThatSpeakOfOursAreNotParted(t *testing.T) {
	for text, own := range map[string]bool{
		"deny contains input.step.ref if helpers[input.step.kind]\nhelpers contains \"model\"":                        true,
		"import data.team.lists\ndeny contains lists.name if data.team.lists[\"a\"][input.step.ref]":                  true,
		"x.y[data.vishwa.model.deny[_].rule].z := 1 if true\ndeny contains \"x\" if x.y":                              false,
		"x[data.vishwa.step.changes].b := 1 if true\ndeny contains \"x\" if x":                                        false,
		"x.y[data[p].a].z := 1 if p := \"vishwa\"\ndeny contains \"x\" if x":                                          false,
		"deny contains \"x\" if input.metadata.name == \"dataset\"":                                                   true,
		"deny contains \"x\" if input.data.owner == 1":                                                                true,
		"import data.vishwa.step\ndeny contains step.ref if true":                                                     false,
		"deny contains x if some x in data.vishwa.model.deny":                                                         false,
		"deny contains x if some x in data[\"vishwa\"].model.deny":                                                    false,
		"deny contains x if some pkg, x in data":                                                                      false,
		"deny contains \"x\" if count({d | d := data}) > 0":                                                           false,
		"deny contains x if x := data[input.step.kind].y":                                                             false,
		"deny contains x if { p := \"vishwa\"; x := data[p].model.deny[_] }":                                          false,
		"deny contains \"x\" if walk(data, [_, \"y\"])":                                                               false,
		"deny contains \"x\" if data.team.names[data.vishwa.model.deny[_]]":                                           false,
		"deny contains \"x\" if input.inputs[data.vishwa.model.deny[_].ref]":                                          false,
		"deny contains \"x\" if f(1) with data.vishwa.step.changes as true\nf(x) if x == 1":                           false,
		"deny contains \"x\" if some x in [data]\nhelp := 1":                                                          false,
		"deny contains \"x\" if every x in data.vishwa.model.deny { x == 1 }":                                         false,
		"deny contains \"x\" if { some x in input.inputs; object.get(data, [\"vishwa\", x.ref], 1) == 1 }":            false,
		"default help := 1\nhelp := 2 if false else := data.vishwa.step.changes\ndeny contains \"x\" if help == true": false,
	} {
		e, err := New(fstest.MapFS{"policy/a.rego": {Data: []byte("package team\n\n" + text + "\n")}, "policy/b.rego": {Data: []byte("package team.lists\n\nname := \"b\"\n")}}, []string{"policy"}, Options{})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := e.parts != nil; got != own {
			t.Errorf("%s\nis compiled in parts: %v, want %v", text, got, own)
		}
	}
}

// TestPartsSayWhatTheWholeSays of steps of every kind, a team's rules among them.
func TestPartsSayWhatTheWholeSays(t *testing.T) {
	e := engine(t, map[string]string{"policy/a.rego": "package team\n\ndeny contains input.step.ref if input.step.kind != \"monitor\"\nwarn contains \"w\"\n"})
	p, ev := many(t, 8)
	for i := range p.Steps {
		one := p
		one.Steps = p.Steps[i : i+1]
		got, err := e.Judge(t.Context(), one, ev)
		if err != nil {
			t.Fatal(err)
		}
		if e.whole.done.Load() {
			t.Fatalf("all rules were compiled for %s alone", p.Steps[i].Ref)
		}
		all := engine(t, map[string]string{"policy/a.rego": "package team\n\ndeny contains input.step.ref if input.step.kind != \"monitor\"\nwarn contains \"w\"\n"})
		all.parts = nil
		want, err := all.Judge(t.Context(), one, ev)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) < 2 || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: by its part\n%v\nand by all\n%v", p.Steps[i].Ref, got, want)
		}
	}
	if _, err := e.Judge(t.Context(), plan.Plan{Steps: append(p.Steps[:1:1], plan.Step{Ref: schemas.Ref{Kind: "infrastructure", Name: "x"}})}, ev); err != nil || !e.whole.done.Load() {
		t.Errorf("steps of two parts are not judged by all rules: %v", err)
	}
}

// TestADenialThatReadsOursInAHeadIsNotLost: what a part does not have is no error of Rego's, and would deny nothing.
func TestADenialThatReadsOursInAHeadIsNotLost(t *testing.T) {
	e := engine(t, map[string]string{"policy/a.rego": "package team\n\nseen[data.vishwa.terraform.deny].here := true\n\nknown := count(seen)\n\ndeny contains \"seen\" if known > 0\n"})
	p, ev := many(t, 8)
	p.Steps = p.Steps[:1] // whose own part does not have that package
	found, err := e.Judge(t.Context(), p, ev)
	if err != nil || len(found) != 1 || found[0].Message != "seen" {
		t.Errorf("found %+v, %v", found, err)
	}
}
