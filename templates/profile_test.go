// The law of profiles: what stands in the data neither steers a terminal nor a page.

package templates

import (
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/format/table"
)

func TestProfileShowsValuesAsText(t *testing.T) {
	p := table.Profile{Rows: 2, Columns: []table.ColumnProfile{
		{Name: "<b>\x1b[31m", Type: "string", Top: []table.Count{{Value: "<script>", Count: 2}}},
		{Name: "x", Type: "number", Numbers: &table.Numbers{Min: 1, Max: 2, Histogram: []int64{1, 0, 8}}}}}
	text, page := Profile(p), ProfileHTML(p)
	if strings.Contains(text, "\x1b") || !strings.Contains(text, "▁ █") {
		t.Error(text)
	}
	if strings.Contains(page, "<script>") || strings.Contains(page, "<b>") || !strings.Contains(page, "&lt;script&gt;") {
		t.Error(page)
	}
}
