// A comment reads the same for the same report, fits, and lets nobody else speak.

package templates

import (
	"bytes"
	"fmt"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"pgregory.net/rapid"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func comment(t interface{ Fatal(...any) }, r Report) string {
	var b strings.Builder
	if err := Comment(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestACommentReadsLikeThis(t *testing.T) {
	for name, r := range reports(t) {
		t.Run(name, func(t *testing.T) {
			body := comment(t, r)
			golden(t, "comment-"+name+".md", []byte(body))
			sound(t, body)
			if again := comment(t, r); again != body {
				t.Error("it reads otherwise the second time")
			}
		})
	}
	var b bytes.Buffer
	if err := Markdown(&b, sample(t), someDigest); err != nil {
		t.Fatal(err)
	}
	golden(t, "plan.md", b.Bytes())
}

var (
	ours     = regexp.MustCompile(`^<details><summary>(Graph|Up to date \(\d+\)|Earlier plans \(\d+\)|Answers to commands \(\d+\)|Metrics that runs logged \(\d+\)|What else runs logged \(\d+\)|Logs of failed runs \(\d+\))</summary>$|^</details>$`)
	links    = regexp.MustCompile(`\[(the whole report|whole report|served here)\]\(https?://[A-Za-z0-9._~/%+=:?&#-]+\)`)
	starts   = regexp.MustCompile(`^(#### |- |  - |\||\*\*|\*|[A-Z–]|$|` + "\x00" + `)`)
	autolink = regexp.MustCompile(`(?i)\b[0-9a-f]{7,64}\b|\bgh-[0-9]|\bwww\.|\b(?:mailto|xmpp):`)
	ordered  = regexp.MustCompile(`^[0-9]+[.)]( |$)`)
	figures  = regexp.MustCompile(`(^|[ (*])[+−-]?[0-9][0-9,.]*(e[+-][0-9]+)?($|[ )*])`)
	inner    = regexp.MustCompile(`^(#### |- |  - )?`)
)

// sound checks that a comment's structure is ours: every fence is closed, every code
// span ends on its line, rows of a table have its columns, and nothing outside of
// code could be read as more than words.
func sound(t interface{ Fatalf(string, ...any) }, body string) {
	if !utf8.ValidString(body) || !strings.HasPrefix(body, "**") {
		t.Fatalf("it is not text, or has no verdict: %.100q", body)
	}
	fence, columns, folds, before := "", 0, 0, ""
	for _, l := range strings.Split(body, "\n") {
		for _, r := range l {
			if !unicode.IsPrint(r) && r != '\u200d' && r != '\ufe0f' {
				t.Fatalf("%q is in %q", r, l)
			}
		}
		run := l[:len(l)-len(strings.TrimLeft(l, "`"))]
		switch {
		case fence == "" && len(run) >= 3 && !strings.Contains(l[len(run):], "`"):
			if info := l[len(run):]; info != "text" && info != "mermaid" || before != "" {
				t.Fatalf("a fence begins with %q behind %q", l, before)
			}
			fence = run
			continue
		case fence != "":
			if len(run) >= len(fence) && strings.TrimSpace(l) == run {
				fence = ""
			}
			before = ""
			continue
		}
		rest := spansOut(t, l)
		if l == "</details>" {
			folds--
		}
		if ours.MatchString(l) {
			if strings.HasPrefix(l, "<details>") {
				folds++
			}
			before = l
			continue
		}
		if !starts.MatchString(rest) {
			t.Fatalf("a line begins with %q", l)
		}
		if strings.HasPrefix(l, "|") {
			if columns == 0 {
				columns = strings.Count(rest, "|")
			}
			if n := strings.Count(rest, "|"); n != columns || !strings.HasSuffix(l, "|") {
				t.Fatalf("a row has %d bars, its table %d: %q", n, columns, l)
			}
			rest = strings.ReplaceAll(rest, "|", "")
		} else {
			columns = 0
		}
		rest = links.ReplaceAllString(inner.ReplaceAllString(rest, ""), "")
		if strings.ContainsAny(rest, "@#<>[]\\|~`&{}$^") || strings.Contains(rest, "://") || autolink.MatchString(figures.ReplaceAllString(rest, " ")) {
			t.Fatalf("%q stands outside of code in %q", rest, l)
		}
		if ordered.MatchString(rest) {
			t.Fatalf("%q begins a list", l)
		}
		before = l
	}
	if fence != "" || folds != 0 {
		t.Fatalf("a fence (%q) or %d folds are left open", fence, folds)
	}
}

// spansOut is a line without its code spans, each of which must end on it.
func spansOut(t interface{ Fatalf(string, ...any) }, line string) string {
	var out strings.Builder
	for i := 0; i < len(line); {
		if line[i] != '`' {
			out.WriteByte(line[i])
			i++
			continue
		}
		n := len(line[i:]) - len(strings.TrimLeft(line[i:], "`"))
		end := -1
		for j := i + n; j < len(line); {
			if line[j] != '`' {
				if line[j] == '|' {
					t.Fatalf("a bar in code divides a cell: %q", line)
				}
				j++
				continue
			}
			m := len(line[j:]) - len(strings.TrimLeft(line[j:], "`"))
			if m == n {
				end = j + m
				break
			}
			j += m
		}
		if end < 0 {
			t.Fatalf("a code span does not end on its line: %q", line)
		}
		out.WriteByte(0)
		i = end
	}
	return out.String()
}

var nasty = rapid.OneOf(rapid.String(),
	rapid.StringMatching("(@team|#1|GH-1|<b>|</details>|-->|\\||\\\\|`|``|```|~~~|\n|\r\n|https://x\\.y|www\\.x\\.y|[a-z_*~.() -]|[0-9a-f]{7}|\\[x\\]\\(y\\)|\u202e|é|&#64;){0,20}"),
	rapid.SampledFrom([]string{"", " ", "a", "up to date", evil, "`", "``` ```", "\\", strings.Repeat("`|", 3_000), strings.Repeat("é", 3_000)}))

// anyReport is a report of up to n things a list, whose texts are nasty.
func anyReport(t *rapid.T, n int) Report {
	text := func(name string) string { return nasty.Draw(t, name) }
	of := func(name string) int { return rapid.IntRange(0, n).Draw(t, "number of "+name) }
	texts := func(name string) (out []string) {
		for range of(name) {
			out = append(out, text(name))
		}
		return out
	}
	r := Report{Stage: rapid.SampledFrom([]Stage{Broken, Planned, Running, Blocked, Awaiting, Settled, Merged, Deployed, Abandoned, "else"}).Draw(t, "stage"),
		Pull: rapid.IntRange(0, 9).Draw(t, "pull"), Base: text("base"), Head: text("head"), BaseSHA: text("base SHA"), Error: text("error"), Hint: text("way"),
		Notes: texts("notes"), Conflict: texts("conflicts"), Commands: texts("commands"), Full: rapid.SampledFrom([]string{"", "https://a.test/x?y=z", "vishwa plan", evil}).Draw(t, "full")}
	bad := schemas.Ref{Kind: schemas.Kind(text("kind")), Name: text("name"), Output: text("output")}
	if rapid.Bool().Draw(t, "has a plan") {
		r.Plan = &plan.Plan{}
		for i := range of("steps") {
			r.Plan.Steps = append(r.Plan.Steps, plan.Step{Ref: schemas.Ref{Kind: "model", Name: fmt.Sprint("m", i)}, Do: rapid.SampledFrom([]plan.Do{plan.Pin, plan.Make, plan.Remake, plan.Keep, plan.Retire}).Draw(t, "do"),
				Why: text("why"), Held: text("held"), Pending: rapid.Bool().Draw(t, "pending"), Needs: []schemas.Ref{{Kind: "model", Name: fmt.Sprint("m", i/2)}, bad},
				Actions: []port.ResourceAction{{Address: text("address"), Action: rapid.SampledFrom([]string{"create", "delete", evil}).Draw(t, "action")}}, Pos: schemas.Position{File: text("file"), Line: i}})
		}
		for range of("findings") {
			r.Plan.Findings = append(r.Plan.Findings, ledger.Finding{Rule: text("rule"), Level: rapid.SampledFrom([]ledger.Level{ledger.Denied, ledger.Warn, ledger.Note}).Draw(t, "level"), Ref: schemas.Ref{Kind: "model", Name: "m1"}, Message: text("message"), Hint: text("way")})
		}
	}
	for range of("models") {
		m := ModelChange{Ref: bad, Candidate: bad, Metric: text("metric"), Now: map[string]float64{}, Was: &Measured{Where: text("where"), Metrics: map[string]float64{}}}
		for range of("metrics") {
			m.Now[text("metric")] = rapid.Float64().Draw(t, "value")
			m.Was.Metrics[text("metric")] = rapid.Float64().Draw(t, "value")
			m.Gates = append(m.Gates, GateResult{text("metric"), text("rows"), text("rule"), rapid.Bool().Draw(t, "known"), rapid.Bool().Draw(t, "passed"), text("message")})
		}
		for range of("scores") {
			m.Scores = append(m.Scores, ledger.Score{Rows: text("rows"), Before: rapid.Bool().Draw(t, "before"), Data: digest.Digest(text("data")), Champion: digest.Digest(text("champion")),
				Metrics: map[string]float64{text("metric"): 0.5, "rows": 2}, ChampionMetrics: map[string]float64{text("metric"): rapid.Float64().Draw(t, "value")}})
		}
		r.Models = append(r.Models, m)
	}
	for range of("data") {
		r.Data = append(r.Data, DataChange{Ref: bad, Was: DataShape{rapid.Int64().Draw(t, "rows"), rapid.Int().Draw(t, "columns")}, Now: DataShape{rapid.Int64().Draw(t, "rows"), 3},
			Added: texts("added"), Gone: texts("gone"), Personal: texts("personal"), BytesWas: rapid.Int64().Draw(t, "bytes"), BytesN: rapid.Int64().Draw(t, "bytes")})
	}
	for range of("runs") {
		r.Runs = append(r.Runs, Run{bad, rapid.SampledFrom([]string{"failed", "done", evil}).Draw(t, "state"), text("text"), strings.Join(texts("log"), "\n"), 1, &port.Isolation{Level: text("level"), Network: text("network"), Limits: text("limits")},
			&Logged{From: texts("from"), Params: texts("params"), Curves: []Curve{{text("name"), text("last"), text("line"), 3}}, Files: texts("files"), More: 1}})
		r.Problems = append(r.Problems, schemas.Problem{Pos: schemas.Position{File: text("file"), Line: 1}, Field: text("field"), Message: text("message")})
		r.Approvals = append(r.Approvals, Approval{Ref: bad, Environment: text("environment"), Need: 1, Roles: texts("roles"), Given: texts("given"), Void: texts("void")})
		r.Records = append(r.Records, Record{Action: ledger.Action(text("action")), Ref: bad, URL: text("URL")})
		r.Answers = append(r.Answers, Answer{text("command"), text("by"), strings.Join(texts("answer"), "\n")})
		r.Earlier = append(r.Earlier, Earlier{Head: text("head"), Verdict: text("verdict")})
	}
	return r
}

// TestNobodyElseSpeaksInAComment: whatever the repository says, it stays words.
func TestNobodyElseSpeaksInAComment(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyReport(t, 3)
		body := comment(t, r)
		sound(t, body)
		if len(body) > commentLimit {
			t.Fatalf("%d bytes", len(body))
		}
		title := Title(r)
		if n := utf8.RuneCountInString(title); n == 0 || n > titleLimit || strings.Contains(title, "\n") {
			t.Fatalf("the title is %q", title)
		}
		var b strings.Builder
		if err := Summary(&b, r); err != nil {
			t.Fatal(err)
		}
		sound(t, b.String())
	})
}

// TestALongReportFits: however much there is to say, the comment is whole and says what it leaves out.
func TestALongReportFits(t *testing.T) {
	for _, n := range []int{10, 61, 300, 5_000} {
		r := many(t, n)
		body := comment(t, r)
		sound(t, body)
		if len(body) > commentLimit {
			t.Errorf("%d steps: %d bytes", n, len(body))
		}
		if left := strings.Contains(body, "not shown here"); left != (n > 300) {
			t.Errorf("%d steps: that rows are left out is said: %t", n, left)
		}
		if n == 5_000 && len(body) < commentLimit*8/10 {
			t.Errorf("%d steps: %d bytes leave much of the comment empty", n, len(body))
		}
		var b strings.Builder
		if err := Summary(&b, r); err != nil {
			t.Fatal(err)
		}
		sound(t, b.String())
		for _, s := range r.Plan.Steps[:min(n, 1_000)] {
			if !strings.Contains(b.String(), s.Ref.String()) {
				t.Fatalf("%d steps: the summary of %d bytes leaves out %s", n, b.Len(), s.Ref)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		r := anyReport(t, 2)
		grow := rapid.SampledFrom([]int{1, 15, 120}).Draw(t, "times")
		r.Notes, r.Conflict, r.Runs, r.Models = repeat(r.Notes, grow), repeat(r.Conflict, grow), repeat(r.Runs, grow), repeat(r.Models, grow)
		r.Approvals, r.Answers, r.Data, r.Earlier = repeat(r.Approvals, grow), repeat(r.Answers, grow), repeat(r.Data, grow), repeat(r.Earlier, grow)
		if r.Plan != nil {
			r.Plan.Steps, r.Plan.Findings = repeat(r.Plan.Steps, grow), repeat(r.Plan.Findings, grow)
		}
		body := comment(t, r)
		sound(t, body)
		if len(body) > commentLimit {
			t.Fatalf("%d bytes", len(body))
		}
	})
}

func repeat[T any](all []T, n int) (out []T) {
	for range n {
		out = append(out, all...)
	}
	return out
}

func TestPartsAreDroppedInTheirOrder(t *testing.T) {
	r := many(t, 20)
	for i := range 5_000 {
		r.Earlier = append(r.Earlier, Earlier{Head: baseSHA, Verdict: fmt.Sprint("Plan ", i)})
	}
	body := comment(t, r)
	if strings.Contains(body, "```mermaid") || strings.Contains(body, "Earlier plans") || !strings.Contains(body, "Left out for want of room: the graph, earlier plans.") || !strings.Contains(body, "Up to date (6)") {
		t.Errorf("%.600s", body)
	}
}

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", "a b", evil, "`", "a``", "snake_case", "_a_", "GH-1", "deadbeef", "a: b://c", "www.x", "\xff|\\|"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, n := range []int{10, nameLimit} {
			sound(t, "**x** "+prose(s, n)+"\n- "+code(s, n)+" x\n| "+prose(s, n)+" |\n\n"+fenced("text", s, n)+"\n")
		}
		if got := link("served here", s); strings.HasPrefix(got, "[") {
			sound(t, "**x** "+got+"\n")
		}
	})
}

func BenchmarkComment(b *testing.B) {
	for _, n := range []int{10, 300, 5_000} {
		r := many(b, n)
		b.Run(fmt.Sprint(n, " steps"), func(b *testing.B) {
			for b.Loop() {
				comment(b, r)
			}
		})
	}
}
