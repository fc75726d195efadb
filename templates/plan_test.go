// A plan reads the same for the same value, and nothing in it can speak for itself.
package templates

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/ledger"
	"github.com/vishwaops/vishwa/reconciler/plan"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

var update = flag.Bool("update", false, "write the golden files anew")

func ref(t interface{ Fatal(...any) }, s string) schemas.Ref {
	r, err := schemas.ParseRef(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func sample(t *testing.T) plan.Plan {
	return plan.Plan{
		Revision: "0123456789abcdef0123456789abcdef01234567",
		Steps: []plan.Step{
			{Ref: ref(t, "dataset/students"), Do: plan.Pin, Why: "data/students.csv is new"},
			{Ref: ref(t, "transform/features"), Do: plan.Remake, Why: "code src/features.py changed", Needs: []schemas.Ref{ref(t, "dataset/students")}},
			{Ref: ref(t, "training/enrollment:logistic"), Do: plan.Remake, Pending: true, Why: "needs transform/features", Needs: []schemas.Ref{ref(t, "transform/features")}},
			{Ref: ref(t, "training/enrollment:xgboost"), Do: plan.Make, Why: "never made"},
			{Ref: ref(t, "model/enrollment"), Do: plan.Remake, Why: "a candidate changed", Held: "model/gate: test.roc_auc 0.78 is below 0.80"},
			{Ref: ref(t, "infrastructure/serving"), Do: plan.Remake, Why: "the stack differs", Actions: []port.ResourceAction{
				{Address: "terraform_data.disk", Action: "create"}, {Address: `terraform_data.each["a b"]`, Action: "update"},
				{Address: "terraform_data.login", Action: "replace"}, {Address: "terraform_data.old", Action: "delete"},
				{Address: "data.x.y", Action: "read"}, {Address: "z.z", Action: "forget"}}},
			{Ref: ref(t, "deployment/old"), Do: plan.Retire, Why: "declared no more"},
			{Ref: ref(t, "dataset/schools"), Do: plan.Keep, Why: "up to date"},
			{Ref: ref(t, "transform/schools"), Do: plan.Keep, Why: "up to date"},
		},
		Findings: []ledger.Finding{
			{Rule: "team/hours", Level: ledger.Note, Ref: ref(t, "dataset/students"), Message: "nobody works on Sundays"},
			{Rule: "terraform/destroy", Level: ledger.Warn, Ref: ref(t, "infrastructure/serving"), Message: "terraform_data.old is destroyed"},
			{Rule: "model/gate", Level: ledger.Denied, Ref: ref(t, "model/enrollment"), Message: "test.roc_auc 0.78 is below 0.80", Way: "train better, or lower the gate"},
		},
	}
}

// hostile is a plan whose every text tries to break out.
func hostile(t *testing.T) plan.Plan {
	evil := "@octocat #1 <img src=x onerror=alert(1)> [a](javascript:b) | x |\n```\n</details>\n````` \x1b[2J\x1b]0;x\a \u202Eevil https://evil.test **b** \xff"
	return plan.Plan{
		Revision: "`@octocat`\n<b>",
		Steps: []plan.Step{{Ref: ref(t, "model/a"), Do: plan.Make, Why: evil, Held: evil,
			Actions: []port.ResourceAction{{Address: evil, Action: evil}}}},
		Findings: []ledger.Finding{{Rule: evil, Level: ledger.Denied, Ref: ref(t, "model/a"), Message: evil, Way: evil}},
	}
}

var someDigest = digest.Of([]byte("plan"))

func TestAPlanReadsLikeThis(t *testing.T) {
	settled := sample(t)
	settled.Steps, settled.Findings = settled.Steps[7:], nil
	for name, write := range map[string]func(*bytes.Buffer) error{
		"plan.txt":       func(b *bytes.Buffer) error { return Text(b, sample(t), someDigest, Style{}) },
		"plan-all.txt":   func(b *bytes.Buffer) error { return Text(b, sample(t), someDigest, Style{Kept: true}) },
		"plan-color.txt": func(b *bytes.Buffer) error { return Text(b, sample(t), someDigest, Style{Color: true, Kept: true}) },
		"plan.md":        func(b *bytes.Buffer) error { return Markdown(b, sample(t), someDigest) },
		"settled.txt":    func(b *bytes.Buffer) error { return Text(b, settled, someDigest, Style{}) },
		"settled.md":     func(b *bytes.Buffer) error { return Markdown(b, settled, someDigest) },
		"hostile.txt":    func(b *bytes.Buffer) error { return Text(b, hostile(t), someDigest, Style{}) },
		"hostile.md":     func(b *bytes.Buffer) error { return Markdown(b, hostile(t), someDigest) },
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := write(&got); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v; go test ./templates -update writes it", err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("it reads otherwise; go test ./templates -update accepts it\n%s", got.String())
			}
		})
	}
}

// outside is what of a comment stands outside of its code fences and spans.
func outside(t interface{ Fatalf(string, ...any) }, body string) string {
	var out []string
	fence := ""
	for _, l := range strings.Split(body, "\n") {
		ticks := l[:len(l)-len(strings.TrimLeft(l, "`"))]
		switch {
		case fence == "" && len(ticks) >= 3:
			fence = ticks
		case fence != "" && len(ticks) >= len(fence) && strings.TrimSpace(l) == ticks:
			fence = ""
		case fence == "":
			out = append(out, l)
		}
	}
	if fence != "" {
		t.Fatalf("a fence is left open")
	}
	return regexp.MustCompile("`[^`]*`").ReplaceAllString(strings.Join(out, "\n"), "")
}

var bare = regexp.MustCompile(`^(|### Vishwa|\*\*(Plan: [0-9a-z, ]+\.|Nothing to do: \d+ up to date\.)( \d+ may turn out to be kept: what they need is not made yet\.)?\*\*|<details( open)?><summary>(Findings|Steps|Up to date) \(\d+\)</summary>|</details>|\*\d+ of \d+ lines are left out here for want of room;  shows all of them\.\*|Revision:\s+|Plan digest: )$`)

func TestNothingInAPlanSpeaksInAComment(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.OneOf(rapid.String(), rapid.StringMatching("[`~@#<>|\\n\\r\\\\\\[\\]() a-c]{0,40}"))
		p := plan.Plan{Revision: texts.Draw(t, "revision")}
		for i := range rapid.IntRange(0, 5).Draw(t, "steps") {
			p.Steps = append(p.Steps, plan.Step{
				Ref: ref(t, fmt.Sprintf("model/m%d", i)), Do: rapid.SampledFrom([]plan.Do{plan.Make, plan.Keep, plan.Remake}).Draw(t, "do"),
				Why: texts.Draw(t, "why"), Held: texts.Draw(t, "held"), Actions: []port.ResourceAction{{Address: texts.Draw(t, "address"), Action: "create"}},
			})
			p.Findings = append(p.Findings, ledger.Finding{Rule: texts.Draw(t, "rule"), Level: ledger.Warn, Ref: ref(t, "model/a"), Message: texts.Draw(t, "message"), Way: texts.Draw(t, "way")})
		}
		var b bytes.Buffer
		if err := Markdown(&b, p, someDigest); err != nil {
			t.Fatal(err)
		}
		for _, l := range strings.Split(outside(t, b.String()), "\n") {
			if !bare.MatchString(l) {
				t.Fatalf("%q stands outside of the fences in\n%s", l, b.String())
			}
		}
		b.Reset()
		if err := Text(&b, p, someDigest, Style{Kept: true}); err != nil {
			t.Fatal(err)
		}
		for _, r := range b.String() {
			if r != '\n' && !unicode.IsPrint(r) && r != unicode.ReplacementChar {
				t.Fatalf("%q is printed to a terminal", r)
			}
		}
	})
}

func TestALongPlanFitsInAComment(t *testing.T) {
	p := plan.Plan{}
	for i := range 5000 {
		r := ref(t, fmt.Sprintf("model/m%d", i))
		do := []plan.Do{plan.Make, plan.Keep}[i%2]
		p.Steps = append(p.Steps, plan.Step{Ref: r, Do: do, Why: strings.Repeat("é`", 30)})
		p.Findings = append(p.Findings, ledger.Finding{Rule: "a/b", Level: ledger.Denied, Ref: r, Message: strings.Repeat("`", i)})
	}
	var b bytes.Buffer
	if err := Markdown(&b, p, someDigest); err != nil {
		t.Fatal(err)
	}
	if b.Len() >= 65_536 {
		t.Errorf("the comment has %d bytes", b.Len())
	}
	for _, want := range []string{"2500 to make, 2500 to keep", "Findings (5000)", "Steps (2500)", "left out", string(someDigest)} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not said", want)
		}
	}
	for _, l := range strings.Split(outside(t, b.String()), "\n") {
		if !bare.MatchString(l) {
			t.Fatalf("%q stands outside of the fences", l)
		}
	}
}
