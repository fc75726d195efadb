// The law of profiles: what stands in the data neither steers a terminal nor a page.
package templates

import (
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/tables"
)

func TestProfileShowsValuesAsText(t *testing.T) {
	p := tables.Profile{Rows: 2, Columns: []tables.ColumnProfile{
		{Name: "<b>\x1b[31m", Type: "string", Top: []tables.Count{{Value: "<script>", Count: 2}}},
		{Name: "x", Type: "number", Numbers: &tables.Numbers{Min: 1, Max: 2, Histogram: []int64{1, 0, 8}}}}}
	text, page := Profile(p), ProfileHTML(p)
	if strings.Contains(text, "\x1b") || !strings.Contains(text, "▁ █") {
		t.Error(text)
	}
	if strings.Contains(page, "<script>") || strings.Contains(page, "<b>") || !strings.Contains(page, "&lt;script&gt;") {
		t.Error(page)
	}
}
