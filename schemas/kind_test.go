// The rows of the kinds hold together: what a row says of a kind is what its spec can do.

package schemas

import (
	"reflect"
	"strings"
	"testing"
)

func TestARowSaysWhatItsSpecCan(t *testing.T) {
	kinds, names, actions := map[Kind]bool{}, map[string]bool{}, map[string]bool{}
	for _, k := range Kinds() {
		spec := k.New()
		_, data := spec.(Data)
		_, runs := spec.(Runnable)
		_, serves := spec.(Serves)
		_, stack := spec.(Provisioned)
		_, selects := spec.(Selects)
		_, varied := spec.(Varied)
		_, project := spec.(settings)
		_, measures := spec.(Watches)
		_, packs := spec.(Packs)
		for trait, both := range map[string][2]bool{
			"Pinned and Data":                 {k.Pinned, data},
			"Runs and Runnable":               {k.Runs, runs},
			"Serves":                          {k.Serves, serves},
			"Provisioned":                     {k.Provisioned, stack},
			"Releases and Selects":            {k.Releases, selects},
			"Measures and Watches":            {k.Measures, measures},
			"Packs and Packs":                 {k.Packs, packs},
			"Measures, and makes nothing":     {k.Measures, !k.Settings && k.Action == ""},
			"CandidateOutputs and Varied":     {k.Outputs == CandidateOutputs, varied},
			"Settings and the project's spec": {k.Settings, project},
			"Settings and nothing is made":    {k.Settings || k.Measures, k.Action == "" && k.Names == NamedByNothing},
			"Observed, and how it is decided": {k.Observed, k.Serves || k.Provisioned || k.Packs}, // a further way needs a case in plan.Compute
			"Observed, and not before merges": {k.Observed, !k.PreMerge && !k.Settings && !k.Measures},
			"one name in two spellings":       {true, kindName(k.Name) == string(k.Kind)},
			"the name is that of the type":    {true, reflect.TypeOf(spec).Elem().Name() == k.Name},
			"a row of its own":                {false, kinds[k.Kind] || names[k.Name] || k.Action != "" && actions[k.Action]},
			"the row that is found":           {true, k.Kind.Traits().Name == k.Name && Declared(k.Name).Kind == k.Kind},
			"a ref can name it":               {true, !strings.ContainsFunc(string(k.Kind), func(r rune) bool { return r < 'a' || r > 'z' })},
		} {
			if both[0] != both[1] {
				t.Errorf("%s: %s: %v and %v", k.Name, trait, both[0], both[1])
			}
		}
		kinds[k.Kind], names[k.Name], actions[k.Action] = true, true, true
	}
}

func TestAKindThatNobodyDeclaresHasNoTraits(t *testing.T) {
	for _, name := range []string{"", "Dataset", "datasets", "nothing"} {
		if got := Kind(name).Traits(); !reflect.DeepEqual(got, Traits{}) {
			t.Errorf("%q has %+v", name, got)
		}
	}
	if got := Declared("dataset"); got.New != nil {
		t.Errorf("a declaration may say dataset: %+v", got)
	}
}
