// Editing changes one text and nothing else: comments, order and spelling stay.

package schemas

import (
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

const newImage = "reg.example.com:5000/base:1@sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"

func TestEditingChangesOneText(t *testing.T) {
	const head = "apiVersion: vishwa.dev/v1alpha1\nkind: Training\nmetadata: {name: x} # x\n"
	other := strings.ReplaceAll(head, "name: x", "name: other") + "spec:\n  image: reg.example.com:5000/base:1\n---\n"
	for name, c := range map[string][2]string{
		"plain":                {"spec:\n  # why\n  image: base:1   # pinned\n  run: [a]\n", "spec:\n  # why\n  image: NEW   # pinned\n  run: [a]\n"},
		"double quotes":        {"spec:\n  image: \"base:1\" # q\n", "spec:\n  image: \"NEW\" # q\n"},
		"single quotes":        {"spec: {run: [a], image: 'base:1'}", "spec: {run: [a], image: 'NEW'}"},
		"flow, plain":          {"spec: {image: base:1, run: [a]} # c\n", "spec: {image: NEW, run: [a]} # c\n"},
		"absent, in a block":   {"spec: # s\n  # about run\n  run: [a]\n", "spec: # s\n  image: NEW\n  # about run\n  run: [a]\n"},
		"absent, in a flow":    {"spec: {run: [a]}\n", "spec: {image: \"NEW\", run: [a]}\n"},
		"carriage returns":     {"spec:\r\n    run: [a]\r\n", "spec:\r\n    image: NEW\r\n    run: [a]\r\n"},
		"letters beyond ASCII": {"spec: {priority: \"größe\", image: base:1}\n", "spec: {priority: \"größe\", image: NEW}\n"},
		"the same text nearby": {"spec:\n  run: [\"base:1\"]\n  image: base:1\n  # base:1\n", "spec:\n  run: [\"base:1\"]\n  image: NEW\n  # base:1\n"},
		"no end of line":       {"spec:\n  run: [a]\n  image: base:1", "spec:\n  run: [a]\n  image: NEW"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := SetText([]byte(other+head+c[0]), Ref{Kind: KindTraining, Name: "x"}, "spec.image", newImage)
			if want := other + head + strings.ReplaceAll(c[1], "NEW", newImage); err != nil || string(got) != want {
				t.Errorf("%v\n%s", err, got)
			}
		})
	}
	for name, c := range map[string][2]string{
		"its defaults":    {"spec:\n  defaults: {runner: box, image: a}\n", "spec:\n  defaults: {runner: box, image: NEW}\n"},
		"none among them": {"spec:\n  defaults:\n    runner: box\n", "spec:\n  defaults:\n    image: NEW\n    runner: box\n"},
		"no defaults":     {"spec:\n  parallel: 2\n", "spec:\n  defaults: {image: \"NEW\"}\n  parallel: 2\n"},
		"no block":        {"spec: {parallel: 2}\n", "spec: {defaults: {image: \"NEW\"}, parallel: 2}\n"},
	} {
		t.Run("project, "+name, func(t *testing.T) {
			const head = "kind: Project\nmetadata: {name: demo}\n"
			got, err := SetText([]byte(head+c[0]), ProjectRef, "spec.defaults.image", newImage)
			if want := head + strings.ReplaceAll(c[1], "NEW", newImage); err != nil || string(got) != want {
				t.Errorf("%v\n%s", err, got)
			}
		})
	}
}

// TestWhatCannotBeEditedIsLeftAlone: and it is said what to write.
func TestWhatCannotBeEditedIsLeftAlone(t *testing.T) {
	const head = "kind: Training\nmetadata: {name: x}\n"
	for name, text := range map[string]string{
		"an alias":         head + "a: &a base:1\nspec:\n  image: *a\n",
		"an anchor":        head + "spec:\n  image: &a base:1\n  priority: *a\n",
		"a block":          head + "spec:\n  image: |\n    base:1\n",
		"folded":           head + "spec:\n  image: \"base\\\n    :1\"\n",
		"escapes":          head + "spec:\n  image: \"base\\u003a1\"\n",
		"a list":           head + "spec:\n  image: [base]\n",
		"a number":         head + "spec:\n  image: {}\n",
		"no value":         head + "spec:\n  image:\n  run: [a]\n",
		"an empty spec":    head + "spec: {}\n",
		"no spec":          head,
		"a spec by alias":  head + "a: &a {run: [x]}\nspec: *a\n",
		"another":          strings.Replace(head, "name: x", "name: y", 1) + "spec: {run: [a]}\n",
		"not YAML":         head + "spec: {run: [a]\n",
		"a key of its own": head + "? spec\n: run: [a]\n",
		"no text":          head + "spec: {run: [a]}\n\xff",
		"too much":         head + "spec: {run: [" + strings.Repeat("a,", 200_000) + "]}\n",
		"laughs":           "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c]\n" + head + "spec: x\n",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := SetText([]byte(text), Ref{Kind: KindTraining, Name: "x"}, "spec.image", newImage)
			if err == nil || fault.Of(err) == fault.Internal {
				t.Errorf("%v\n%s", err, got)
			}
		})
	}
}

// FuzzSetText: whatever a file is, what comes out of it is read as it, with the one text.
func FuzzSetText(f *testing.F) {
	f.Add([]byte("kind: Training\nmetadata: {name: x}\nspec:\n  image: base:1\n"))
	f.Add([]byte("kind: Training\nmetadata: {name: x}\nspec: {run: [a], b: &b c, d: *b}\n---\n? a\n: b\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		out, err := SetText(raw, Ref{Kind: KindTraining, Name: "x"}, "spec.image", newImage)
		if err != nil {
			return
		}
		if _, err := SetText(out, Ref{Kind: KindTraining, Name: "x"}, "spec.image", "base:2"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	})
}
