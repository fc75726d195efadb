// Failing closed: whatever cannot be judged is denied, whatever cannot be loaded is
// an error with its place, and a team's rules can only add.

package policy

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
)

func TestBrokenRulesAreNamedWithTheirLine(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"syntax":               {map[string]string{"policy/a.rego": "package team\n\ndeny contains \"x\" if {\n"}, []string{"policy/a.rego:4"}},
		"syntax in two files":  {map[string]string{"policy/a.rego": "package team\nx y", "policy/sub/b.rego": "package team\n\n}"}, []string{"policy/a.rego:2", "policy/sub/b.rego:3"}},
		"syntax in a test":     {map[string]string{"policy/a.rego": "package team\ndeny contains \"x\" if false", "policy/a_test.rego": "package team_test\ntest_x if {"}, []string{"policy/a_test.rego:2"}},
		"empty file":           {map[string]string{"policy/a.rego": "\n"}, []string{"policy/a.rego"}},
		"old syntax":           {map[string]string{"policy/a.rego": "package team\ndeny[x] { x := 1 }"}, []string{"policy/a.rego:2"}},
		"Vishwa's own package": {map[string]string{"policy/a.rego": "package vishwa.model\ndeny contains \"x\" if true"}, []string{"policy/a.rego:1", "Vishwa's own"}},
		"Vishwa's own root":    {map[string]string{"policy/a.rego": "package vishwa\ndeny contains \"x\" if true"}, []string{"policy/a.rego:1"}},
		"deny is a value":      {map[string]string{"policy/a.rego": "package team\ndeny if true"}, []string{"policy/a.rego:2", "deny contains"}},
		"deny has a default":   {map[string]string{"policy/a.rego": "package team\ndefault deny := false"}, []string{"policy/a.rego:2"}},
		"deny is an object":    {map[string]string{"policy/a.rego": "package team\ndeny.x contains 1 if true"}, []string{"policy/a.rego:2"}},
		"no set at all":        {map[string]string{"policy/a.rego": "package team\nviolation contains \"x\" if true"}, []string{"deny", "warn", "note"}},
		"no such field":        {map[string]string{"policy/a.rego": "package team\ndeny contains \"x\" if input.stpe.kind == \"model\""}, []string{"policy/a.rego:2", "input.stpe"}},
		"network":              {map[string]string{"policy/a.rego": "package team\ndeny contains \"x\" if http.send({\"method\": \"get\", \"url\": \"http://127.0.0.1\"})"}, []string{"policy/a.rego:2", "http.send"}},
		"network by mock":      {map[string]string{"policy/a.rego": "package team\ndeny contains \"x\" if count([1]) == 1 with count as http.send"}, []string{"policy/a.rego:2"}},
		"name look-up":         {map[string]string{"policy/a.rego": "package team\ndeny contains x if some x in net.lookup_ip_addr(\"localhost\")"}, []string{"net.lookup_ip_addr"}},
		"machine":              {map[string]string{"policy/a.rego": "package team\ndeny contains x if x := opa.runtime().env.HOME"}, []string{"opa.runtime"}},
		"chance":               {map[string]string{"policy/a.rego": "package team\ndeny contains \"x\" if rand.intn(\"x\", 2) == 1"}, []string{"rand.intn"}},
		"unique":               {map[string]string{"policy/a.rego": "package team\ndeny contains x if x := uuid.rfc4122(\"x\")"}, []string{"uuid.rfc4122"}},
		"no rules there":       {map[string]string{"policy/readme.md": "x"}, []string{"no .rego file"}},
		"no such folder":       {map[string]string{"elsewhere/a.rego": "package team"}, []string{"policy"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newEngine(c.files, Options{})
			if err == nil {
				t.Fatal("it loads")
			}
			if fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
				t.Errorf("kind %s, way out %q", fault.Of(err), fault.HintOf(err))
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not name %q", err, want)
				}
			}
			if _, err := Test(context.Background(), mapFS(c.files), []string{"policy"}, true); err == nil && name != "no set at all" {
				t.Error("its tests run")
			}
		})
	}
}

func mapFS(files map[string]string) fs.FS {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

func TestLinksAreNotFollowed(t *testing.T) {
	m := fstest.MapFS{"policy/a.rego": {Data: []byte("/etc/passwd"), Mode: fs.ModeSymlink}}
	if _, err := New(m, []string{"policy"}, Options{}); err == nil || !strings.Contains(err.Error(), "policy/a.rego") {
		t.Errorf("a link loads: %v", err)
	}
}

func TestWhatCannotBeJudgedIsDenied(t *testing.T) {
	team := func(body string) map[string]string {
		return map[string]string{"policy/a.rego": "package team\n\n" + body}
	}
	endless := "deny contains \"x\" if count([1 | some i in numbers.range(1, 3000); some j in numbers.range(1, 3000); i * j == -1]) > 0"
	for name, c := range map[string]struct {
		team map[string]string
		opts Options
		want []string
	}{
		"builtin error":       {team("deny contains \"x\" if time.parse_rfc3339_ns(input.step.why) > 0"), Options{}, []string{"deny policy/error"}},
		"conflict":            {team("x := 1 if input.step.name\nx := 2 if input.step.kind\ndeny contains \"x\" if x == 3"), Options{}, []string{"deny policy/error"}},
		"endless":             {team(endless), Options{Timeout: 50 * time.Millisecond}, []string{"deny policy/timeout"}},
		"greedy":              {team("deny contains \"x\" if count([[i, j] | some i in numbers.range(1, 2000); some j in numbers.range(1, 2000)]) < 0"), Options{Timeout: time.Minute, Memory: 64 << 20}, []string{"deny policy/memory"}},
		"number":              {team("deny contains 1"), Options{}, []string{"deny policy/shape"}},
		"warning of no shape": {team("warn contains {\"msg\": \"x\"}"), Options{}, []string{"deny policy/shape"}},
		"no message":          {team("warn contains {\"rule\": \"x\"}"), Options{}, []string{"deny policy/shape"}},
		"message not text":    {team("note contains {\"message\": 1}"), Options{}, []string{"deny policy/shape"}},
		"no end of text":      {team("note contains concat(\"\", [\"x\" | some _ in numbers.range(1, 9000)])\nnote contains sprintf(\"%09000d\", [1])"), Options{}, []string{"deny policy/shape"}},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := newEngine(c.team, c.opts)
			if err != nil {
				t.Fatal(err)
			}
			same(t, modelCase(good()).judge(t, e), c.want...)
		})
	}
	t.Run("undefined answer", func(t *testing.T) {
		e := engine(t, nil)
		q, err := ready(t, e).question("")
		if err != nil {
			t.Fatal(err)
		}
		same(t, q.findings(plan.Step{}, nil), "deny policy/undefined")
	})
}

func TestMissingOrImpossibleEvidenceIsDenied(t *testing.T) {
	e := engine(t, nil)
	for name, change := range map[string]func(*one){
		"no declaration":       func(o *one) { o.subject.Declaration = nil },
		"of another":           func(o *one) { o.subject.Declaration = declare("Model", "other", &schemas.Model{}) },
		"not a number":         func(o *one) { o.subject.Model.Metrics["test.roc_auc"] = math.NaN() },
		"digest of no shape":   func(o *one) { o.subject.Model.Digest = "sha256:short" },
		"file without format":  func(o *one) { o.subject.Model.Files[0].Format = "" },
		"negative size":        func(o *one) { o.subject.Model.Files[0].Size = -1 },
		"nothing of the model": func(o *one) { o.subject.Model = nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := modelCase(good())
			change(&c)
			same(t, c.judge(t, e), "deny policy/evidence")
		})
	}
	p := plan.Plan{Steps: []plan.Step{modelCase(nil).step}}
	full := Evidence{Time: noon, Phase: Acting, Project: &schemas.Project{}, Of: func(schemas.Ref) Subject { return Subject{} }}
	for name, change := range map[string]func(*Evidence){
		"time": func(e *Evidence) { e.Time = time.Time{} }, "phase": func(e *Evidence) { e.Phase = "" },
		"project": func(e *Evidence) { e.Project = nil }, "subjects": func(e *Evidence) { e.Of = nil },
	} {
		ev := full
		change(&ev)
		if _, err := e.Judge(context.Background(), p, ev); err == nil {
			t.Errorf("judges without %s", name)
		}
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := e.Judge(gone, p, full); fault.Of(err) != fault.Cancelled || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestTeamRulesAddAndNeverTakeAway(t *testing.T) {
	e := engine(t, map[string]string{"policy/team.rego": `# METADATA
# title: Ours
package team

import data.vishwa.model

# METADATA
# title: Owner needed
# description: Every model names its owner.
# custom:
#   id: team/owner
deny contains {"rule": "team/owner", "message": "no owner", "way": "add the label owner"} if {
	input.step.kind == "model"
	not input.metadata.labels.owner
}

warn contains "look" if input.step.kind == "model"

note contains sprintf("formats %d", [count(model.safe_formats)]) if input.step.kind == "model"

note contains time.format(time.now_ns()) if input.step.kind == "model"
`})
	c := modelCase(good(), schemas.Gate{Metric: "test.roc_auc", Min: ptr(0.9)})
	found := c.judge(t, e)
	same(t, found, "deny model/gate", "deny team/owner", "note team/note", "warn team/warn")
	if !slices.ContainsFunc(found, func(f ledger.Finding) bool { return f.Message == "2026-03-03T12:00:00Z" }) {
		t.Errorf("the clock is not the decision's: %+v", found)
	}
	if !slices.ContainsFunc(found, func(f ledger.Finding) bool { return f.Hint == "add the label owner" }) {
		t.Errorf("the way out is lost: %+v", found)
	}
	at := slices.IndexFunc(listed(t, e), func(r Rule) bool { return r.ID == "team/owner" })
	if at < 0 || listed(t, e)[at] != (Rule{"team/owner", ledger.Denied, "Owner needed", "Every model names its owner.", false, "policy/team.rego:12"}) {
		t.Errorf("listed as %+v", listed(t, e))
	}
	if e.Digest() == engine(t, nil).Digest() {
		t.Error("the team's rules are no part of the digest")
	}
}

// TestIndexerMatchesMembers pins OPA 1.21.0 to 1.22.0's fault, where a membership
// test against a set with a reference in it never matched.
func TestIndexerMatchesMembers(t *testing.T) {
	e := engine(t, map[string]string{"policy/a.rego": `package team

deny contains "literal" if input.step.kind in {"model", "dataset"}

deny contains "reference" if input.step.name in {"a", input.metadata.name}

deny contains "no match" if input.step.kind in {"a", input.metadata.name}
`})
	found := modelCase(good()).judge(t, e)
	if len(found) != 2 || found[0].Message != "literal" || found[1].Message != "reference" {
		t.Errorf("found %+v", found)
	}
}

func TestEveryBuiltInRuleIsDescribed(t *testing.T) {
	e := engine(t, nil)
	if len(listed(t, e)) < 15 {
		t.Fatalf("only %d rules", len(listed(t, e)))
	}
	for _, r := range listed(t, e) {
		if r.Title == "" || r.Description == "" || !r.BuiltIn || strings.HasPrefix(r.ID, "vishwa.") || !strings.Contains(r.Source, ".rego:") {
			t.Errorf("%+v", r)
		}
	}
}

func TestBuiltInRulesAreTested(t *testing.T) {
	r, err := Test(context.Background(), nil, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range r.Tests {
		if x.Outcome != Pass {
			t.Errorf("%s:%d %s: %s %s", x.File, x.Line, x.Name, x.Outcome, x.Message)
		}
	}
	if len(r.Tests) < 30 || r.Coverage < 95 {
		t.Errorf("%d tests reach %.1f%%: %+v", len(r.Tests), r.Coverage, r.Files)
	}
}

func TestTeamTestsAreReported(t *testing.T) {
	r, err := Test(context.Background(), mapFS(map[string]string{
		"policy/a.rego":      "package team\n\ndeny contains \"x\" if input.step.kind == \"model\"\n\ndeny contains \"y\" if input.step.kind == \"dataset\"\n",
		"policy/a_test.rego": "package team_test\n\ntest_good if \"x\" in data.team.deny with input as {\"step\": {\"kind\": \"model\"}}\n\ntest_bad if 1 == 2\n\ntodo_test_later if true\n",
	}), []string{"policy"}, false)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Outcome{}
	for _, x := range r.Tests {
		got[x.Name] = x.Outcome
	}
	if len(got) != 3 || len(r.Files) != 1 || r.OK() || got["test_good"] != Pass || got["test_bad"] != Fail || got["todo_test_later"] != Skipped {
		t.Errorf("%v", got)
	}
	i := slices.IndexFunc(r.Files, func(f FileCoverage) bool { return f.File == "policy/a.rego" })
	if i < 0 || r.Files[i].Coverage >= 100 || !slices.Equal(r.Files[i].NotCovered, []Lines{{5, 5}}) { // once, though it holds two expressions
		t.Errorf("coverage %+v", r.Files)
	}
}

// TestBothSpellingsOfAHintAreRead: rules that say way, as before the first release, go on
// working; what says both is refused, as nobody could tell which is meant.
func TestBothSpellingsOfAHintAreRead(t *testing.T) {
	for rule, want := range map[string]ledger.Finding{
		`"hint": "new"`:               {Rule: "team/x", Level: ledger.Denied, Message: "m", Hint: "new"},
		`"way": "old"`:                {Rule: "team/x", Level: ledger.Denied, Message: "m", Hint: "old"},
		`"hint": "new", "way": "old"`: {Rule: ruleShape, Level: ledger.Denied},
	} {
		e := engine(t, map[string]string{"policy/team.rego": `package team
deny contains {"rule": "team/x", "message": "m", ` + rule + `} if input.step.kind == "model"
`})
		found := modelCase(good(), schemas.Gate{Metric: "test.roc_auc"}).judge(t, e)
		i := slices.IndexFunc(found, func(f ledger.Finding) bool { return f.Rule == want.Rule })
		if i < 0 || found[i].Level != want.Level || want.Hint != "" && found[i].Hint != want.Hint || found[i].Way != "" {
			t.Errorf("%s: %+v, want %+v", rule, found, want)
		}
	}
}

// Rules are compiled once something is judged, and a broken one lets nothing through: neither the first time nor the next.
func TestRulesThatDoNotCompileJudgeNothing(t *testing.T) {
	e, err := New(fstest.MapFS{"policy/a.rego": {Data: []byte("package team\n\ndeny contains \"x\" if nowhere(input)\n")}}, []string{"policy"}, Options{})
	if err != nil {
		t.Fatalf("what can be read is not compiled before it is asked: %v", err)
	}
	p, ev := many(t, 1)
	for range 2 {
		found, err := e.Judge(t.Context(), p, ev)
		if fault.Of(err) != fault.Invalid || found != nil || !strings.Contains(err.Error(), "policy/a.rego:3") {
			t.Errorf("judged: %v, %v", found, err)
		}
		if err := e.Check(t.Context()); fault.Of(err) != fault.Invalid {
			t.Errorf("checked: %v", err)
		}
	}
	if found, err := e.Judge(t.Context(), plan.Plan{}, ev); err != nil || found != nil {
		t.Errorf("nothing to judge: %v, %v", found, err)
	}
	if _, err := New(fstest.MapFS{"policy/a.rego": {Data: []byte("package team\n\ndeny contains")}}, []string{"policy"}, Options{}); fault.Of(err) != fault.Invalid {
		t.Errorf("what cannot be read: %v", err)
	}
}
