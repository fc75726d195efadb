// The parts of the built-in rules are all that each kind is asked.

package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/vishwaops/vishwa/policy/parts"
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
