// The verdict says in one line what happens, or what stands in the way.

package templates

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/vishwaops/vishwa/reconciler/app/chatops"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
)

func TestTheVerdictSaysWhatHappens(t *testing.T) {
	all := reports(t)
	for name, want := range map[string]string{
		"nothing":        "Ready to merge: nothing to do, 6 up to date",
		"first":          "When this is merged: 1 to pin, 5 to make",
		"improved":       "Ready to merge: 4 to remake, 2 to keep",
		"regression":     "Blocked: 2 gates fail, policy model/gate denies model/enrollment, 2 steps are held; each finding below says what to do",
		"denied":         "Blocked: policy denies in 2 findings, 6 steps are held; each finding below says what to do",
		"broken":         "The declarations do not hold together: 2 problems to put right. Nothing is planned or run before",
		"conflict":       "This does not merge: 2 files conflict with main; merge it into the pull request's branch, or rebase, and push",
		"error":          "There is no plan: pin dataset/students: GET /students.csv: 503 Service Unavailable",
		"destroy":        "Waits for people: 1 approval from operators is needed for infrastructure/serving; 1 to remake, 6 to keep",
		"waiting":        "Waits for people: 1 approval from owners or risk is needed for deployment/enrollment-production; 4 to remake, 2 to keep",
		"merged-waiting": "Merged as 5d6e7f8091. Waits for people: 1 approval from owners or risk is needed for deployment/enrollment-production; 4 to remake, 2 to ke…",
		"merged-denied":  "Merged as 5d6e7f8091. Blocked: policy denies in 2 findings, 6 steps are held; each finding below says what to do",
		"running":        "Under way: 0 of 2 runs ended; 4 to remake, 2 to keep",
		"merged":         "Merged, and being carried out on main: 4 to remake, 2 to keep",
		"deployed":       "Carried out on main, and recorded as 2 entries of the ledger, 41 to 42",
		"failed":         "Blocked: training/enrollment:xgboost failed; see the reason below",
		"abandoned":      "Closed without a merge: nothing of it is deployed",
	} {
		if got := Title(all[name]); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := Title(Report{Stage: Awaiting, Commands: []string{"/vishwa train"}}); got != "Waits for a command, such as /vishwa train" {
		t.Error(got)
	}
	if got := Title(Report{Stage: Broken, MergedAs: headSHA, Error: "read ledger: the ledger was rolled back\x1b[2J: it ends\nafter 3"}); strings.ContainsAny(got, "\x1b\n") || !strings.Contains(got, "Merged as") || !strings.Contains(got, "There is no plan: read ledger: the ledger was rolled back") {
		t.Errorf("a refused ledger: %q", got)
	}
	long := Title(Report{Stage: Merged, Base: strings.Repeat("é", 300)})
	if n := utf8.RuneCountInString(long); n != titleLimit || !strings.HasSuffix(long, "…") {
		t.Errorf("%d characters: %q", n, long)
	}
}

// A stack without a plan is one hindrance, though every rule that needs the plan denies; one
// that may be planned the next time is nobody's mistake.
func TestTheVerdictNamesAStackThatCannotBePlanned(t *testing.T) {
	s := plan.Step{Ref: ref(t, "infrastructure/serving"), Do: plan.Make, Pending: true, Failed: true, Why: "infra/main.tf:3: no"}
	denied := ledger.Finding{Rule: "policy/evidence", Level: ledger.Denied, Ref: s.Ref, Message: "needs the plan"}
	if got := Title(report(Blocked, []plan.Step{s}, denied)); got != "Blocked: infrastructure/serving cannot be planned; see the reason below" {
		t.Error(got)
	}
	s.Passing = true
	if got := Title(report(Delayed, []plan.Step{s}, denied)); got != "Not planned yet: infrastructure/serving could not be planned this time, for a reason that may pass: the next look plans again" {
		t.Error(got)
	}
	var out strings.Builder
	if err := Comment(&out, report(Delayed, []plan.Step{s}, denied)); err != nil || strings.Contains(out.String(), "cannot be planned") {
		t.Errorf("%v: %s", err, out.String())
	}
}

// TestAroundACommentThereIsRoom: marker, comment and hidden state make one body that GitHub takes.
func TestAroundACommentThereIsRoom(t *testing.T) {
	state := chatops.State{Checkpoint: strings.Repeat("<", 400)}
	for range 20 {
		state.Earlier = append(state.Earlier, chatops.Past{Head: headSHA, Digest: string(someDigest), Verdict: strings.Repeat("@", 200)})
	}
	body := chatops.Marker("report-"+strings.Repeat("a", 100)) + "\n" + comment(t, many(t, 5_000)) + "\n" + chatops.EncodeState(state) + "\n"
	if len(body) > 65_536 {
		t.Errorf("%d bytes", len(body))
	}
	if got, ok := chatops.DecodeState(body); !ok || len(got.Earlier) == 0 {
		t.Error("its state is not found again")
	}
}

// TestAChangeOfTheJudgeIsInTheHeadline: who only reads the first line sees that rules change.
func TestAChangeOfTheJudgeIsInTheHeadline(t *testing.T) {
	for _, c := range []struct {
		alters []string
		want   string
	}{
		{nil, "Ready to merge."},
		{[]string{"policy", "trust"}, "Ready to merge, and changes what judges it (policy, trust)."},
	} {
		s := verdict(Report{Stage: Settled, Alters: c.alters})
		if got := s.text(); got != c.want {
			t.Errorf("%v: %q, want %q", c.alters, got, c.want)
		}
	}
}

// TestASelectionAloneCountsNoRuns: where no run is due, none is said to be under way.
func TestASelectionAloneCountsNoRuns(t *testing.T) {
	s := verdict(Report{Stage: Running})
	if got := s.text(); got != "Under way." {
		t.Errorf("it reads %q", got)
	}
}
