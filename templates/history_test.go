// The page of what was served when is drawn of any history, and holds what was recorded as text.

package templates

import (
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

func TestAHistoryShowsWhatWasServedWhen(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 3, n, 12, 0, 0, 0, time.UTC) }
	one, two := "sha256:"+strings.Repeat("1", 64), "sha256:"+strings.Repeat("2", 64)
	hostile := "<script>alert(1)</script>\x1b[2J"
	page := HistoryPage("History of "+hostile, []Happened{
		{Entry: 1, Time: day(1), What: "released", Of: "model/m", Model: digest.Digest(one)},
		{Entry: 2, Time: day(1), What: "deployed", Of: "deployment/p", Environment: "production", Model: digest.Digest(one), Approved: []string{hostile}, Why: hostile},
		{Entry: 3, Time: day(9), What: "deployed", Of: "deployment/p", Environment: "production", Model: digest.Digest(two)},
		{Entry: 4, Time: day(21), What: "retired", Of: "deployment/p", Environment: "production", Model: digest.Digest(two)},
		{Entry: 5, Time: day(21), What: "deployed", Of: "deployment/s", Environment: "staging", Model: digest.Digest(two)},
	})
	for _, has := range []string{"<td>production (deployment/p)</td>", `from 2026-03-09 12:00Z</title>`, "2026-03-21 12:00:00Z", "default-src 'none'", "&lt;script&gt;"} {
		if !strings.Contains(page, has) {
			t.Errorf("the page lacks %s", has)
		}
	}
	if n := strings.Count(page, "<rect "); n != 3 || strings.Contains(page, "<script") || strings.Contains(page, "\x1b") {
		t.Errorf("%d spans, or what was recorded is no text", n)
	}
	if newest, oldest := strings.Index(page, `<td class="n">5</td>`), strings.Index(page, `<td class="n">1</td>`); newest < 0 || newest > oldest {
		t.Error("the newest does not come first")
	}
	for name, all := range map[string][]Happened{"nothing": nil, "one moment": {{Time: day(1), Environment: "e", What: "deployed"}}, "clocks that differ": {{Time: day(9), Environment: "e", What: "deployed"}, {Time: day(1), Environment: "e", What: "deployed"}}} {
		if page := HistoryPage(name, all); !strings.HasSuffix(page, "</body></html>\n") || strings.Contains(page, "NaN") || strings.Contains(page, `width="-`) {
			t.Errorf("%s: %s", name, page)
		}
	}
}
