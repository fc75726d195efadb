// A plan as a picture: a Mermaid flowchart, which GitHub and GitLab draw. Names of
// nodes are made up and labels hold nothing that Mermaid reads.

package templates

import (
	"fmt"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/schemas"
)

// classes gives each symbol of a step its class and its colours.
var classes = []struct{ symbol, name, style string }{
	{"+", "make", "fill:#dafbe1,stroke:#1a7f37,color:#1f2328"},
	{"~", "remake", "fill:#fff8c5,stroke:#9a6700,color:#1f2328"},
	{">", "pin", "fill:#ddf4ff,stroke:#0969da,color:#1f2328"},
	{"-", "retire", "fill:#ffebe9,stroke:#cf222e,color:#1f2328"},
	{"!", "held", "fill:#cf222e,stroke:#82071e,color:#ffffff"},
	{"?", "pending", "fill:#fbefff,stroke:#8250df,color:#1f2328,stroke-dasharray:4"},
	{"=", "keep", "fill:#f6f8fa,stroke:#d1d9e0,color:#59636e"},
}

func graph(r Report, z size) part {
	p := part{noun: "the graph", drop: dropGraph}
	if r.Plan == nil || len(r.Plan.Work()) == 0 {
		return p
	}
	if n := len(r.Plan.Steps); n > z.graph {
		p.rows = []string{fmt.Sprintf("The graph is not drawn: it has %d steps, and up to %d can be read.\n", n, z.graph)}
		return p
	}
	p.rows = []string{"```mermaid\n" + flowchart(*r.Plan) + "```\n"}
	p.head, p.foot = "<details><summary>Graph</summary>\n\n", "\n</details>\n"
	return p
}

func flowchart(p plan.Plan) string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	ids := map[schemas.Ref]int{}
	in := map[string][]string{}
	for i, s := range p.Steps {
		ids[s.Ref] = i
		fmt.Fprintf(&b, "  n%d[\"%s\"]\n", i, label(s.Ref.String()))
		sign := symbol(s)
		in[sign] = append(in[sign], fmt.Sprintf("n%d", i))
	}
	for i, s := range p.Steps {
		seen := map[int]bool{}
		for _, need := range s.Needs {
			from, known := ids[need]
			if !known {
				from, known = ids[need.Whole()]
			}
			if known && from != i && !seen[from] {
				seen[from] = true
				fmt.Fprintf(&b, "  n%d --> n%d\n", from, i)
			}
		}
	}
	for _, c := range classes {
		if nodes := in[c.symbol]; len(nodes) > 0 {
			fmt.Fprintf(&b, "  classDef %s %s\n  class %s %s\n", c.name, c.style, strings.Join(nodes, ","), c.name)
		}
	}
	return b.String()
}

// label keeps what refs are made of, up to 60 characters.
func label(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 128 && (letter(byte(r)) || r >= '0' && r <= '9' || strings.ContainsRune("/:._-", r)) {
			return r
		}
		return '_'
	}, s)
	return cut(s, 60)
}
