// The fast way to canonical JSON has one law: it says what the reference says.

package digest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// anyJSON draws values with all that makes canonical JSON hard.
func anyJSON() *rapid.Generator[any] {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "a", "b", "aa", "\r", "€", "\u2028", "<", "\"", `\`, "😀", "דּ", "\x7f", "é"}))
	leaf := rapid.OneOf(
		rapid.Just[any](nil), rapid.Map(rapid.Bool(), func(v bool) any { return v }), rapid.Map(text, func(v string) any { return v }),
		rapid.Map(rapid.Int64(), func(v int64) any { return v }), rapid.Map(rapid.Int64Range(-20, 20), func(v int64) any { return v }),
		rapid.Map(rapid.Float64Range(-1e300, 1e300), func(v float64) any { return v }), rapid.Map(rapid.Float64Range(-1e22, 1e22), func(v float64) any { return v }),
		rapid.Map(rapid.Float64Range(-1e-5, 1e-5), func(v float64) any { return v }),
		rapid.Map(rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1e-6, 9.99e-7, 1e20, 1e21, 0.1, 1.0, 9007199254740993}), func(v float64) any { return v }),
		rapid.Map(rapid.MapOf(text, rapid.Float64Range(-9, 9)), func(v map[string]float64) any { return v }),
		rapid.Map(rapid.MapOf(text, text), func(v map[string]string) any {
			if len(v) == 0 {
				return map[string]Digest(nil)
			}
			named := map[string]Digest{}
			for name, d := range v {
				named[name] = Digest(d)
			}
			return named
		}),
		rapid.SampledFrom([]any{[]string(nil), []string{}, []any(nil), map[string]any(nil), Digest("<é>"), "\x80", "\xc3("}), rapid.Map(rapid.SliceOf(text), func(v []string) any { return v }),
		rapid.Map(rapid.SampledFrom([]string{"-0", "1.0", "1e3", "1E400", "9007199254740993", "999999999999999", "1000000000000000", "-1", "0.1"}), func(v string) any { return json.RawMessage(v) }),
	)
	var of func(depth int) *rapid.Generator[any]
	of = func(depth int) *rapid.Generator[any] {
		if depth == 0 {
			return leaf
		}
		deeper := rapid.Deferred(func() *rapid.Generator[any] { return of(depth - 1) })
		return rapid.OneOf(leaf,
			rapid.Map(rapid.SliceOfN(deeper, 0, 4), func(v []any) any { return v }),
			rapid.Map(rapid.MapOfN(text, deeper, 0, 20), func(v map[string]any) any { return v }),
			rapid.Map(rapid.SliceOfN(deeper, 3, 3), func(v []any) any { // out of order, as a struct's fields are
				return struct {
					Z, A any
					M    any `json:"é"`
				}{v[0], v[1], v[2]}
			}))
	}
	return of(3)
}

func TestCanonicalIsWhatTheReferenceSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := anyJSON().Draw(t, "value")
		raw, err := json.Marshal(v)
		if err != nil {
			t.Skip()
		}
		want, wantErr := reference(raw)
		got, err := Canonical(v)
		if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
			t.Fatalf("%s\ngot  %s, %v\nwant %s, %v", raw, got, err, want, wantErr)
		}
	})
}

// One namer, and members that are known to be in order, name what a map does.
func TestAnObjectIsNamedByItsMembers(t *testing.T) {
	var n Namer
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.MapOf(rapid.StringMatching(`[a-z]{1,3}`), anyJSON()).Draw(t, "members")
		var members []Member
		for _, name := range slices.Sorted(maps.Keys(all)) {
			members = append(members, Member{name, all[name]})
		}
		want, wantErr := JSON(all)
		if len(all) == 0 {
			want = Of([]byte("{}"))
		}
		got, err := n.Object(members)
		if (err == nil) != (wantErr == nil) || err == nil && got != want {
			t.Fatalf("got %s, %v; want %s, %v", got, err, want, wantErr)
		}
		if wantErr != nil || len(all) == 0 {
			return
		}
		want, _ = JSON(map[string]any{"in": all, "none": []any{}, "rows": []any{all, map[string]any{}, all}})
		rows, none := slices.Values([]Members{members, {}, members}), slices.Values([]Members{})
		if got, err := n.Object(Members{{"in", Members(members)}, {"none", none}, {"rows", rows}}); err != nil || got != want {
			t.Fatalf("members in members: got %s, %v; want %s", got, err, want)
		}
	})
	for _, wrong := range [][]Member{{{"b", 1}, {"a", 1}}, {{"a", 1}, {"a", 1}}, {{"é", 1}}} {
		if d, err := n.Object(wrong); err == nil {
			t.Errorf("%v: %s", wrong, d)
		}
	}
}

func TestWhatHoldsItselfHasNoCanonicalForm(t *testing.T) {
	ring := map[string]any{}
	ring["again"] = []any{ring}
	if b, err := Canonical(ring); err == nil {
		t.Errorf("%d bytes", len(b))
	}
	deep := any("end")
	for range 3 * deepest {
		deep = []any{deep}
	}
	raw, err := json.Marshal(deep)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Canonical(deep); err != nil || !bytes.Equal(got, raw) {
		t.Errorf("%s, %v", got, err)
	}
}

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{`{"b":1,"a":{"b":[-0,1.5,"\u0041"],"a":2}}`, `{"a":1,"a":2}`, `{"\u0061":1,"a":2}`, `["\ud800"]`, `{"é":1,"z":2}`, `[ 1 , 2 ]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) {
			t.Skip()
		}
		var compact bytes.Buffer
		if json.Compact(&compact, raw) != nil {
			t.Skip()
		}
		want, wantErr := reference(compact.Bytes())
		got, err := Canonical(json.RawMessage(raw))
		if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
			t.Fatalf("%q\ngot  %s, %v\nwant %s, %v", raw, got, err, want, wantErr)
		}
	})
}

func BenchmarkCanonical(b *testing.B) {
	recipe := map[string]any{"schema": "vishwa.dev/recipe/v1", "kind": "Training", "command": []string{"python", "src/train.py"},
		"params": map[string]any{"C": 1, "estimator": "logistic"}, "code": map[string]Digest{}}
	for i := range 4 {
		recipe["code"].(map[string]Digest)[fmt.Sprintf("src/%d.py", i)] = Of([]byte{byte(i)})
	}
	b.Run("here", func(b *testing.B) {
		for b.Loop() {
			if _, err := Canonical(recipe); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("reference", func(b *testing.B) {
		for b.Loop() {
			raw, _ := json.Marshal(recipe)
			if _, err := reference(raw); err != nil {
				b.Fatal(err)
			}
		}
	})
}
