// Arguments say what a run is given where it has that, and nothing else is touched.

package schemas

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestArgumentsNameWhatTheRunIsGiven(t *testing.T) {
	const project = "apiVersion: vishwa.dev/v1alpha1\nkind: Project\nmetadata: {name: p}\nspec: {}\n---\n" +
		"apiVersion: vishwa.dev/v1alpha1\nkind: Dataset\nmetadata: {name: rows}\nspec: {source: {path: a.py}}\n---\n"
	const training = "apiVersion: vishwa.dev/v1alpha1\nkind: Training\nmetadata: {name: t}\nspec:\n  code: [a.py]\n  inputs: {rows: dataset/rows}\n  run: "
	const transform = "apiVersion: vishwa.dev/v1alpha1\nkind: Transform\nmetadata: {name: t}\nspec:\n  code: [a.py]\n  outputs: {out: out.csv}\n  run: "
	for name, c := range map[string]struct{ doc, says string }{
		"an input":                            {training + `[python3, a.py, --data, "${inputs.rows}"]`, ""},
		"no input":                            {training + `[python3, a.py, --data, "${inputs.row}"]`, `names input "row", which is not declared; did you mean rows?`},
		"an output":                           {transform + `[python3, a.py, "--out=${outputs.out}"]`, ""},
		"an output of a training":             {training + `[python3, a.py, "--out=${outputs.out}"]`, `names output "out"`},
		"a parameter":                         {training + `[python3, a.py, "${params.depth}"]` + "\n  params: {depth: 3}", ""},
		"no parameter":                        {training + `[python3, a.py, "${params.depth}"]`, `names parameter "depth", which the run does not have`},
		"of each candidate":                   {training + `[python3, a.py, "${params.depth}"]` + "\n  candidates: {one: {params: {depth: 3}}, two: {params: {depth: 4}}}", ""},
		"of one candidate":                    {training + `[python3, a.py, "${params.depth}"]` + "\n  candidates: {one: {params: {depth: 3}}, two: {}}", `candidate "two" does not have`},
		"of a search":                         {training + `[python3, a.py, "${params.depth}"]` + "\n  search: {grid: {depth: [1, 2]}}", ""},
		"a list":                              {training + `[python3, a.py, "${params.depth}"]` + "\n  params: {depth: [3]}", `is a list, an object or null`},
		"what a shell is told is the shell's": {training + `[sh, -c, "echo ${inputs.row} ${params.x}"]`, ""},
		"what else there is in braces":        {training + `[sh, -c, "${HOME}"]`, ""},
	} {
		_, problems := Load(t.Context(), fstest.MapFS{"vishwa.yaml": {Data: []byte(project + c.doc + "\n")}, "a.py": {Data: []byte("x,y\n1,2\n")}})
		text := ""
		for _, p := range problems {
			text += p.Error() + "\n"
		}
		if (c.says == "") != (text == "") || !strings.Contains(text, c.says) {
			t.Errorf("%s: %q", name, text)
		}
	}
}
