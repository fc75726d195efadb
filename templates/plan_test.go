// A plan reads the same for the same value, and nothing in it can speak for itself.

package templates

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
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
			{Ref: ref(t, "transform/features"), Do: plan.Remake, Why: "code src/features.py changed", RunsOn: &schemas.RunsOn{Runner: "gpu", Nodes: 2, Image: "registry.example.com/base:1@sha256:" + strings.Repeat("0a", 32), Resources: schemas.Resources{CPU: "4", Memory: "16Gi", GPU: 1, GPUKind: "a100"}, Spot: true}, Needs: []schemas.Ref{ref(t, "dataset/students")}},
			{Ref: ref(t, "training/enrollment:logistic"), Do: plan.Remake, Pending: true, Why: "needs transform/features", Needs: []schemas.Ref{ref(t, "transform/features")}},
			{Ref: ref(t, "training/enrollment:xgboost"), Do: plan.Make, Why: "never made"},
			{Ref: ref(t, "model/enrollment"), Do: plan.Remake, Why: "a candidate changed", Held: "model/gate: test.roc_auc 0.78 is below 0.80"},
			{Ref: ref(t, "infrastructure/serving"), Do: plan.Remake, Why: "the stack differs", Actions: []port.ResourceAction{
				{Address: "terraform_data.disk", Action: "create"}, {Address: `terraform_data.each["a b"]`, Action: "update"},
				{Address: "terraform_data.login", Action: "replace"}, {Address: "terraform_data.old", Action: "delete"},
				{Address: "data.x.y", Action: "read"}, {Address: "z.z", Action: "forget"}}},
			{Ref: ref(t, "deployment/old"), Do: plan.Retire, Why: "no longer declared"},
			{Ref: ref(t, "dataset/schools"), Do: plan.Keep, Why: "up to date"},
			{Ref: ref(t, "transform/schools"), Do: plan.Keep, Why: "up to date"},
		},
		Findings: []ledger.Finding{
			{Rule: "team/hours", Level: ledger.Note, Ref: ref(t, "dataset/students"), Message: "nobody works on Sundays"},
			{Rule: "terraform/destroy", Level: ledger.Warn, Ref: ref(t, "infrastructure/serving"), Message: "terraform_data.old is destroyed"},
			{Rule: "model/gate", Level: ledger.Denied, Ref: ref(t, "model/enrollment"), Message: "test.roc_auc 0.78 is below 0.80", Hint: "train better, or lower the gate"},
		},
	}
}

// hostile is a plan whose every text tries to break out.
func hostile(t *testing.T) plan.Plan {
	evil := "@octocat #1 <img src=x onerror=alert(1)> [a](javascript:b) | x |\n```\n</details>\n````` \x1b[2J\x1b]0;x\a \u202Eevil https://evil.test **b** \xff"
	return plan.Plan{
		Revision: "`@octocat`\n<b>",
		Steps: []plan.Step{{Ref: ref(t, "model/a"), Do: plan.Make, Why: evil, Held: evil, RunsOn: &schemas.RunsOn{Runner: evil, Image: evil, Priority: evil},
			Actions: []port.ResourceAction{{Address: evil, Action: evil}}}},
		Findings: []ledger.Finding{{Rule: evil, Level: ledger.Denied, Ref: ref(t, "model/a"), Message: evil, Hint: evil}},
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
		"settled.txt":    func(b *bytes.Buffer) error { return Text(b, settled, someDigest, Style{}) },
		"hostile.txt":    func(b *bytes.Buffer) error { return Text(b, hostile(t), someDigest, Style{}) },
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := write(&got); err != nil {
				t.Fatal(err)
			}
			golden(t, name, got.Bytes())
		})
	}
}

// golden compares got with a file of testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; go test ./templates -update writes it", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s reads otherwise; go test ./templates -update accepts it\n%s", name, got)
	}
}

func TestNothingInAPlanMovesTheCursor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.OneOf(rapid.String(), rapid.StringMatching("[`~@#<>|\\n\\r\\\\\\[\\]() a-c]{0,40}"))
		p := plan.Plan{Revision: texts.Draw(t, "revision")}
		for i := range rapid.IntRange(0, 5).Draw(t, "steps") {
			p.Steps = append(p.Steps, plan.Step{
				Ref: ref(t, fmt.Sprintf("model/m%d", i)), Do: rapid.SampledFrom([]plan.Do{plan.Make, plan.Keep, plan.Remake}).Draw(t, "do"),
				Why: texts.Draw(t, "why"), Held: texts.Draw(t, "held"), Actions: []port.ResourceAction{{Address: texts.Draw(t, "address"), Action: "create"}},
			})
			p.Findings = append(p.Findings, ledger.Finding{Rule: texts.Draw(t, "rule"), Level: ledger.Warn, Ref: ref(t, "model/a"), Message: texts.Draw(t, "message"), Hint: texts.Draw(t, "way")})
		}
		var b bytes.Buffer
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

// TestWhatAMachineIsLikeIsNotToldToOthers: its user alone reads why a server could not be asked, with paths and addresses.
func TestWhatAMachineIsLikeIsNotToldToOthers(t *testing.T) {
	p := plan.Plan{Steps: []plan.Step{{Ref: ref(t, "deployment/s"), Do: plan.Remake, Why: "its state is not known", Held: plan.NotAsked + "no answer within 20s", Failed: true, Passing: true,
		Aside: "dial 10.0.0.7:6443 (remove /var/lib/vishwa/state/s)"}}}
	var mine, theirs bytes.Buffer
	if err := Text(&mine, p, "", Style{}); err != nil {
		t.Fatal(err)
	}
	if err := Comment(&theirs, Report{Pull: 1, Stage: Delayed, Plan: &p}); err != nil {
		t.Fatal(err)
	}
	for _, ours := range []string{"10.0.0.7", "/var/lib/vishwa/state/s"} {
		if !strings.Contains(mine.String(), ours) || strings.Contains(theirs.String(), ours) {
			t.Errorf("%s: its user reads\n%s\nand others\n%s", ours, mine.String(), theirs.String())
		}
	}
	if !strings.Contains(theirs.String(), "could not be asked: no answer within 20s") {
		t.Errorf("others read\n%s", theirs.String())
	}
}
