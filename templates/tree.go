// Where something comes from, drawn as a tree.

package templates

import (
	"fmt"
	"io"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/lineage"
	"github.com/vishwaops/vishwa/reconciler/harmless"
)

// Tree draws n and what it came from.
func Tree(w io.Writer, n lineage.Node) error {
	var b strings.Builder
	branch(&b, n, "", "")
	_, err := io.WriteString(w, b.String())
	return err
}

func branch(w *strings.Builder, n lineage.Node, head, rest string) {
	line := n.What
	if n.Name != "" && n.Name != n.What {
		line += " " + n.Name
	}
	if n.Digest != "" {
		line += " " + string(n.Digest)
	}
	if n.Entry != nil {
		line += fmt.Sprintf(" (entry %d)", *n.Entry)
	}
	fmt.Fprintln(w, head+harmless.Line(line))
	bar := "   "
	if len(n.From) > 0 {
		bar = "│  "
	}
	for _, f := range n.Facts {
		fmt.Fprintf(w, "%s%s%s: %s\n", rest, bar, f.Name, harmless.Line(f.Value))
	}
	for i, from := range n.From {
		if i == len(n.From)-1 {
			branch(w, from, rest+"└─ ", rest+"   ")
		} else {
			branch(w, from, rest+"├─ ", rest+"│  ")
		}
	}
}
