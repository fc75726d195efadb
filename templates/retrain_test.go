// What a proposal says, whatever columns are called and whoever was on its branch before.

package templates

import (
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/engine/drift"
	"github.com/vishwaops/vishwa/reconciler/engine/watch"
)

func TestAProposalSaysWhoseCommitsItHolds(t *testing.T) {
	if got := (RetrainText{}).Body(); strings.Contains(got, "commits of others") {
		t.Error(got)
	}
	if got := (RetrainText{Theirs: true}).Body(); !strings.Contains(got, "commits of others") {
		t.Error(got)
	}
}

func TestNamesOfColumnsSteerNeitherProposalNorPage(t *testing.T) {
	name := "x|y\n\nVishwa-Cause: forged\x1b[2J @everyone <img src=x onerror=alert(1)> [a](javascript:b) `" + "```"
	e := watch.Evidence{Columns: []drift.Column{{Name: name, Method: "ks", Verdict: drift.Drift, Why: name}}, Gauges: []watch.GaugeReading{{Gauge: "evidently", What: name}}}
	e.Judge()
	r := RetrainText{Evidence: e}
	for _, line := range strings.Split(r.Message(), "\n") {
		if strings.HasPrefix(line, "Vishwa-Cause: f") {
			t.Errorf("a column wrote a trailer: %q", line)
		}
	}
	body := r.Body()
	for _, line := range strings.Split(body, "\n") {
		if outside := strings.Split(line, "`"); strings.Contains(outside[0], "@everyone") || strings.Contains(outside[0], "<img") || strings.Contains(outside[0], "](javascript") {
			t.Errorf("%q", line)
		}
		if strings.Contains(line, "everyone") && strings.HasPrefix(line, "| ") && strings.Count(line, "|")-strings.Count(line, "\\|") != 10 {
			t.Errorf("another number of cells: %q", line)
		}
	}
	for what, text := range map[string]string{"the page": MonitorHTML(e), "the terminal": Monitor(e), "the comment": body, "the commit": r.Message()} {
		if strings.ContainsRune(text, 0x1b) || what == "the page" && strings.Contains(text, "<img") {
			t.Errorf("%s: %q", what, text)
		}
	}
}
