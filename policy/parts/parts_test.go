package parts

import (
	"slices"
	"testing"
)

const (
	model   = "# METADATA\n# custom:\n#   kinds: [model]\npackage vishwa.a\n\nimport data.vishwa.lib\n"
	dataset = "# METADATA\n# custom:\n#   kinds: [dataset, training]\npackage vishwa.b\n"
)

func TestWhatIsAboutEveryKindIsInEveryPart(t *testing.T) {
	all := Split(map[string][]byte{"a": []byte(model), "b": []byte(dataset), "c": []byte("package vishwa.c\ndeny contains 1\n"), "lib": []byte("#   kinds: [monitor]\npackage vishwa.lib\n")})
	want := map[string][]string{"model": {"a", "c", "lib"}, "dataset": {"b", "c"}, "training": {"b", "c"}, "monitor": {"c", "lib"}}
	for _, p := range all {
		for _, kind := range p.Kinds {
			if !slices.Equal(p.Files, want[kind]) {
				t.Errorf("a %s is asked %q, want %q", kind, p.Files, want[kind])
			}
			delete(want, kind)
		}
	}
	if len(want) > 0 {
		t.Errorf("%v are in no part", want)
	}
}

// TestFilesThatDoNotFitAreNotParted: what a part could lose is compiled as a whole.
func TestFilesThatDoNotFitAreNotParted(t *testing.T) {
	for name, second := range map[string]string{"two files of one package": "package vishwa.a\n", "no package": "# nothing\n"} {
		if all := Split(map[string][]byte{"a": []byte(model), "b": []byte(second)}); all != nil {
			t.Errorf("%s: parted into %+v", name, all)
		}
	}
}

func TestAWordThatMayReachOthersIsFound(t *testing.T) {
	for text, want := range map[string]bool{
		"": false, "dat": false, "data": true, "data.": true, "data.vishwa": true, "data.vishwas.x": false, "data.team.x": false, "data[x]": true, "data .team": true, "x=data.vishwa.a": true,
		"metadata": false, "dataset": false, "a_data": false, "1data": true, "input.data": true, "data.team data": true, "data.team[data.vishwa.x]": true, "# data": true, "data.é": true,
	} {
		if got := Reaches([]byte(text)); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
