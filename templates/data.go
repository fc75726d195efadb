// How data changes, on a terminal.

package templates

import (
	"fmt"
	"io"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/plural"
)

// DataText writes a line or two for each dataset that moves.
func DataText(w io.Writer, all []DataChange) error {
	var b strings.Builder
	for i, d := range all {
		if i == 0 {
			b.WriteString("\nData:\n")
		}
		parts := []string{}
		add := func(what, text string) {
			if text != "–" {
				parts = append(parts, what+" "+text)
			}
		}
		add("rows", moved(d.Was.Rows, d.Now.Rows, grouped))
		add("columns", moved(int64(d.Was.Columns), int64(d.Now.Columns), grouped))
		add("size", moved(d.BytesWas, d.BytesN, inBytes))
		fmt.Fprintf(&b, "  %s: %s\n", d.Ref, strings.Join(parts, ", "))
		for _, group := range []struct {
			word  string
			names []string
		}{{"new columns", d.Added}, {"columns gone", d.Gone}} {
			if len(group.names) > 0 {
				fmt.Fprintf(&b, "      %s: %s\n", group.word, cut(harmless.Line(strings.Join(group.names, ", ")), 300))
			}
		}
		for j, c := range d.Changes {
			if j == mostChanges {
				fmt.Fprintf(&b, "      and %s more\n", plural.Of(len(d.Changes)-j, "change"))
				break
			}
			fmt.Fprintf(&b, "      %s\n", cut(harmless.Line(changed(c)), 300))
		}
		for _, broken := range d.Broken {
			fmt.Fprintf(&b, "      violates: %s\n", cut(harmless.Line(broken), 300))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
