// Laws that hold whatever is declared.

package schemas

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"
)

// field is a key and its value, in YAML's flow style or as nested fields.
type field struct {
	key   string
	flow  string
	below []field
}

// write writes fields in a drawn order, with drawn comments between them.
func write(t *rapid.T, b *strings.Builder, fields []field, indent string) {
	for _, f := range rapid.Permutation(fields).Draw(t, "order") {
		if rapid.Bool().Draw(t, "comment") {
			fmt.Fprintf(b, "%s# %s\n", indent, rapid.StringMatching(`[ -~]{0,20}`).Draw(t, "text"))
		}
		if f.below == nil {
			fmt.Fprintf(b, "%s%s: %s\n", indent, f.key, f.flow)
			continue
		}
		fmt.Fprintf(b, "%s%s:\n", indent, f.key)
		write(t, b, f.below, indent+"  ")
	}
}

// TestSpecsIgnoreWhatPeopleRead: key order, comments, descriptions and labels leave a spec as it is.
func TestSpecsIgnoreWhatPeopleRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		params := []field{}
		for i, v := range rapid.SliceOfN(rapid.OneOf(
			rapid.Map(rapid.Float64Range(-1e9, 1e9), func(f float64) string { return fmt.Sprint(f) }),
			rapid.Map(rapid.IntRange(-1e6, 1e6), func(i int) string { return fmt.Sprint(i) }),
			rapid.Map(rapid.String(), func(s string) string { return fmt.Sprintf("%q", strings.ToValidUTF8(strings.Map(printable, s), "")) }),
		), 1, 5).Draw(t, "params") {
			params = append(params, field{key: fmt.Sprintf("p%d", i), flow: v})
		}
		doc := func() Declaration {
			meta := []field{{key: "name", flow: "enrollment"}}
			if rapid.Bool().Draw(t, "described") {
				meta = append(meta, field{key: "description", flow: "'" + rapid.StringMatching(`[a-z ]{0,9}`).Draw(t, "description") + "'"}, field{key: "labels", flow: "{team: a}"})
			}
			var b strings.Builder
			write(t, &b, []field{{key: "apiVersion", flow: APIVersion}, {key: "kind", flow: "Training"}, {key: "metadata", below: meta}, {key: "spec", below: []field{
				{key: "run", flow: "[python, src/train.py]"}, {key: "code", flow: "[src/train.py]"}, {key: "timeout", flow: "15m"}, {key: "params", below: params},
				{key: "candidates", below: []field{{key: "a", flow: "{params: {c: 1}}"}, {key: "b", below: []field{{key: "params", flow: "{c: 2}"}}}}},
			}}}, "")
			decls, problems := Load(t.Context(), repo(map[string]string{"vishwa/t.yaml": b.String()}))
			if len(problems) > 0 || len(decls) != 2 {
				t.Fatalf("%s\n%s", said(problems), b.String())
			}
			return decls[1]
		}
		if one, two := doc(), doc(); !reflect.DeepEqual(one.Spec, two.Spec) {
			t.Fatalf("%+v\n%+v", one.Spec, two.Spec)
		}
	})
}

func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return -1
	}
	return r
}

// TestNearestIsOneSlipAway: any one slip of the finger is met with the name that was meant.
func TestNearestIsOneSlipAway(t *testing.T) {
	names := []string{"candidates", "environment", "requirements", "maxRegression"}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(names).Draw(t, "name")
		i := rapid.IntRange(0, len(name)-2).Draw(t, "at")
		typed := map[string]string{
			"lose": name[:i] + name[i+1:], "twice": name[:i] + name[i:i+1] + name[i:],
			"swap": name[:i] + string(name[i+1]) + string(name[i]) + name[i+2:], "other": name[:i] + "_" + name[i+1:],
		}[rapid.SampledFrom([]string{"lose", "twice", "swap", "other"}).Draw(t, "slip")]
		if got := Nearest(typed, names); typed != name && got != name {
			t.Fatalf("%s: got %q, want %s", typed, got, name)
		}
	})
}

func TestNearestOffersNothingFarOff(t *testing.T) {
	for typed, want := range map[string]string{"zebra": "", "": "", "run": "", "rum": "run", "DATASET": "dataset", "monitor": "", "trian": "train", strings.Repeat("x", 1000): ""} {
		if got := Nearest(typed, []string{"run", "train", "dataset", "trail", ""}); got != want {
			t.Errorf("%.20q: got %q, want %q", typed, got, want)
		}
	}
}

func TestRefsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[a-z]{1,9}/[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?(:[a-zA-Z0-9][-_.a-zA-Z0-9]{0,9})?`).Draw(t, "ref")
		if ref, err := ParseRef(s); err != nil || ref.String() != s {
			t.Fatalf("%s: %v, %v", s, ref, err)
		}
	})
}

// FuzzLoad: whatever bytes stand in the files, Load ends, soon, with declarations or problems.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(project("{}")), []byte(good))
	f.Add([]byte(project("{include: ['**/*.yaml', '[', '../x']}")), []byte("a: &a [*a]\n"))
	f.Add([]byte("a: &a {<<: *a}\n"), []byte("? [a]\n: - b\n"))
	f.Add([]byte("%YAML 1.1\n---\n"), []byte("\xff\xfe"))
	f.Add([]byte(strings.Repeat("[", 500)), []byte(strings.Repeat("- ", 500)))
	f.Add([]byte(project("{parallel: x, environments: {A: 1}, policy: [], include: [1, null]}")), []byte("kind: Model\nspec: {gates: [null, {}]}\n---\nkind: Deployment\nspec: {target: {local: null}, needs: [null]}"))
	f.Fuzz(func(t *testing.T, root, other []byte) {
		begin := time.Now()
		fsys := repo(nil)
		fsys[Root] = &fstest.MapFile{Data: root}
		fsys["vishwa/other.yaml"] = &fstest.MapFile{Data: other}
		decls, problems := Load(t.Context(), fsys)
		if len(decls) == 0 && len(problems) == 0 {
			t.Fatal("neither declarations nor problems")
		}
		for _, d := range decls {
			if d.Spec == nil || d.Fields("spec").Line < 1 || d.Fields("no.such.field").File == "" {
				t.Fatalf("half a declaration: %+v", d)
			}
		}
		for i, p := range problems {
			if p.Message == "" || p.Pos.File == "" || i > 0 && p.Pos.File < problems[i-1].Pos.File {
				t.Fatalf("problem %d: %+v", i, p)
			}
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Fatalf("took %v", took)
		}
	})
}
