// What is said at a line is said there alone: no text ends its command.

package templates

import (
	"reflect"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func TestAnnotationsStandAtTheirLines(t *testing.T) {
	all := reports(t)
	for name, want := range map[string][]port.Annotation{
		"nothing": nil,
		"broken": {
			{Path: "vishwa/training.yaml", Line: 14, Level: "failure", Title: "spec.inputs.train", Message: "needs dataset/student, which is not declared; did you mean dataset/students?"},
			{Path: "vishwa.yaml", Line: 2, Level: "failure", Title: "Declaration", Message: "unknown kind Projekt; did you mean Project?"}},
		"conflict": {
			{Path: "src/train.py", Line: 1, Level: "failure", Title: "Conflict", Message: "this file conflicts with main"},
			{Path: "vishwa/model.yaml", Line: 1, Level: "failure", Title: "Conflict", Message: "this file conflicts with main"}},
		"denied": {
			{Path: "vishwa/students.yaml", Line: 3, Level: "failure", Title: "data/personal on dataset/students", Message: "column e_mail looks personal and is not tagged. Hint: tag it with personal: true, or drop it"},
			{Path: "vishwa/enrollment.yaml", Line: 20, Level: "failure", Title: "model/licence on model/enrollment", Message: "no licence is declared. Hint: declare spec.licence"},
			{Path: "vishwa/enrollment-staging.yaml", Line: 3, Level: "warning", Title: "deployment/resources on deployment/enrollment-staging", Message: "no limit of memory. Hint: declare resources.memory"},
			{Path: "vishwa/students.yaml", Line: 3, Level: "notice", Title: "team/hours on dataset/students", Message: "nobody works on Sundays"}},
		"failed": {
			{Path: "vishwa/enrollment.yaml", Line: 3, Level: "failure", Title: "training/enrollment:xgboost failed", Message: "ended with exit code 1 after 3 s"}},
	} {
		if got := Annotations(all[name]); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestWorkflowCommandsAreEscaped(t *testing.T) {
	var b strings.Builder
	err := Commands(&b, []port.Annotation{
		{Path: "a,b:c%.yaml", Line: 3, Level: "failure", Title: "x: y, z\n", Message: "100%: a, b\r\n::set-output name=x::y"},
		{Path: "vishwa.yaml", Line: 1, Level: "notice", Title: "n", Message: "m"},
		{Path: "vishwa.yaml", Line: 1, Level: "warning", Title: "n", Message: "m"}})
	want := "::error file=a%2Cb%3Ac%25.yaml,line=3,title=x%3A y%2C z%0A::100%25: a, b%0D%0A::set-output name=x::y\n" +
		"::notice file=vishwa.yaml,line=1,title=n::m\n::warning file=vishwa.yaml,line=1,title=n::m\n"
	if err != nil || b.String() != want {
		t.Errorf("%v\n%s", err, b.String())
	}
}

var workflowCommand = regexp.MustCompile(`^::(error|warning|notice) file=([^,:]*),line=[0-9]+,title=([^,:]*)::(.*)$`)

func TestAnAnnotationIsOneCommand(t *testing.T) {
	unescape := strings.NewReplacer("%2C", ",", "%3A", ":", "%0A", "\n", "%0D", "\r", "%25", "%")
	rapid.Check(t, func(t *rapid.T) {
		a := port.Annotation{Path: nasty.Draw(t, "path"), Line: 1, Level: nasty.Draw(t, "level"), Title: nasty.Draw(t, "title"), Message: nasty.Draw(t, "message")}
		var b strings.Builder
		if err := Commands(&b, []port.Annotation{a}); err != nil {
			t.Fatal(err)
		}
		m := workflowCommand.FindStringSubmatch(strings.TrimSuffix(b.String(), "\n"))
		if m == nil || strings.ContainsAny(m[0], "\r\n") {
			t.Fatalf("%q", b.String())
		}
		for i, want := range []string{a.Path, a.Title, a.Message} {
			want = strings.Map(func(r rune) rune {
				if r == '\n' || r == '\r' {
					return r
				}
				return []rune(harmless.Line(string(r)))[0]
			}, want)
			if got := unescape.Replace(m[i+2]); got != want {
				t.Fatalf("%q is read as %q", want, got)
			}
		}
	})
}
