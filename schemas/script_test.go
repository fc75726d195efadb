// A script that a command does not find is told of before it runs, and what may be meant is not called wrong.

package schemas

import (
	"fmt"
	"strings"
	"testing"
)

func TestACommandIsDoubtedThatCannotFindItsScript(t *testing.T) {
	files := map[string]string{"src/score.py": "pass\n", "tools/run.sh": "true\n", "main.py": "pass\n"}
	for run, c := range map[string]struct {
		code    string
		certain bool
		says    string // "": nothing
	}{
		"[python3, src/train.py]":                            {"[src/train.py]", true, ""},
		"[python3, src/train.py, --to, out.py]":              {"[src]", true, ""},
		"[python3, src/trian.py]":                            {"[src]", true, "src/trian.py is not in the repository; did you mean src/train.py?"},
		"[python3, train.py]":                                {"[src/train.py]", true, "did you mean src/train.py? A command begins at its root"},
		"[python3, ./train.py]":                              {"[src]", true, "did you mean src/train.py? A command begins at its root"},
		"[/usr/bin/python3.12, -u, -OB, src/score.py]":       {"[src/train.py]", true, "src/score.py is in the repository, but spec.code does not give it to the command; add it there"},
		"[python3, gone.py]":                                 {"[src]", true, "gone.py is not in the repository; correct the path, or add the file and list it in spec.code"},
		"[python, main.py]":                                  {"[]", true, "spec.code does not give it"},
		"[Rscript, fit.R]":                                   {"[src]", true, "fit.R is not in the repository"},
		"[sh, -eu, tools/run.sh]":                            {"[src]", true, "tools/run.sh is in the repository"},
		"[sh, tools/ran.sh]":                                 {"[src]", true, "did you mean tools/run.sh?"},
		"[uv, run, src/score.py]":                            {"[src/train.py]", false, "src/score.py is in the repository"},
		"[python3, -m, torch.distributed.run, src/trian.py]": {"[src]", false, "did you mean src/train.py?"},
		"[python3, -W, ignore, src/score.py]":                {"[src/train.py]", false, "src/score.py is in the repository"},
		// What may well be there.
		"[python3, -m, train]":                    {"[src]", false, ""},
		"[python3, -c, 'print(1)']":               {"[]", false, ""},
		"[python3, src]":                          {"[src/train.py]", false, ""},
		"[python3, /opt/train.py]":                {"[]", false, ""},
		"[python3, ../train.py]":                  {"[src]", false, ""},
		"[python3, '${params.script}']":           {"[]", false, ""},
		"[python3, '${inputs.train}/made.py']":    {"[src]", false, ""},
		"[python3]":                               {"[]", false, ""},
		"[trainer.py]":                            {"[]", false, ""},
		"[trainer, --to, made.py]":                {"[src]", false, ""},
		"[sh, on-path.sh]":                        {"[]", false, ""},
		"[node, train]":                           {"[src]", false, ""},
		"[sh, -c, 'python3 gone.py && echo yes']": {"[src]", false, ""},
	} {
		text := features + declare("Training", "t", fmt.Sprintf("{run: %s, code: %s, params: {script: a}, inputs: {train: 'transform/features:train'}}", run, c.code)) + students
		files["vishwa/all.yaml"] = text
		decls, problems := Load(t.Context(), repo(files))
		if len(problems) > 0 {
			t.Fatalf("%s: %s", run, said(problems))
		}
		var got []Doubt
		for _, d := range decls {
			got = append(got, d.Doubts...)
		}
		switch {
		case c.says == "" && len(got) > 0:
			t.Errorf("%s: doubted as %v", run, got)
		case c.says != "" && (len(got) != 1 || !strings.Contains(got[0].Error(), c.says) || got[0].Certain != c.certain || got[0].Pos.Line != 9):
			t.Errorf("%s: got %+v, want %q", run, got, c.says)
		}
	}
}

// TestEveryCommandIsDoubted: whatever kind has one.
func TestEveryCommandIsDoubted(t *testing.T) {
	const w = "run: [python3, gone.py]"
	text := students + model +
		declare("Transform", "features", "{"+w+", inputs: {students: dataset/students}, outputs: {train: train.csv, test: test.csv}}") +
		declare("Training", "enrollment", "{"+work+", search: {ask: {"+w+", trials: 2, batch: 1, metric: auc, space: {a: {min: 0, max: 1}}}}}") +
		declare("Model", "scored", "{from: training/enrollment, select: {metric: auc}, evaluate: {"+w+", rows: {old: dataset/students}}}") +
		declare("Deployment", "d", "{model: model/enrollment, environment: staging, target: {local: {"+w+"}}}") +
		declare("Package", "p", "{model: model/enrollment, oci: {repository: example.org/p}, image: {base: 'example.org/b@sha256:"+strings.Repeat("0a", 32)+"', "+w+"}}")
	decls, problems := Load(t.Context(), repo(map[string]string{"vishwa/all.yaml": text}))
	if len(problems) > 0 {
		t.Fatal(said(problems))
	}
	var at []string
	for _, d := range decls {
		for _, one := range d.Doubts {
			at = append(at, d.Ref().String()+" "+one.Field)
		}
	}
	want := "deployment/d spec.target.local.run.1, model/scored spec.evaluate.run.1, package/p spec.image.run.1, training/enrollment spec.search.ask.run.1, transform/features spec.run.1"
	if got := strings.Join(at, ", "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
