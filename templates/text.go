// A plan on a terminal.

package templates

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/harmless"
)

// Style is how a plan is shown on a terminal.
type Style struct {
	Color bool // ANSI colours
	Kept  bool // list what is up to date too; otherwise it is only counted
}

// colors by symbol, ANSI SGR parameters.
var colors = map[string]string{"+": "32", "~": "33", ">": "36", "-": "31", "!": "1;31", "?": "35", "=": "2", "·": "2"}

// Text writes p, whose digest is d, for people.
func Text(w io.Writer, p plan.Plan, d digest.Digest, style Style) error {
	b := &sheet{w: w}
	want := busy
	if style.Kept {
		want = func(*plan.Step) bool { return true }
	}
	section(b, steps(p, want), style)
	if found := findings(p); len(found) > 0 {
		b.WriteString("Findings:\n")
		section(b, slices.Values(found), style)
	}
	if text := cost(p); text != "" {
		b.WriteString(text + "\n")
	}
	fmt.Fprintf(b, "%s\nPlan digest: %s\n", summary(p), d)
	b.flush()
	return b.err
}

// sheet collects text for w; colours go past what makes text harmless there.
type sheet struct {
	bytes.Buffer
	w   io.Writer
	err error
}

// long is how many bytes of text are collected before they are written.
const long = 32 << 10

func (s *sheet) flush() {
	if s.err == nil {
		_, s.err = s.w.Write(s.Bytes())
	}
	s.Reset()
}

func (s *sheet) color(parameters string) {
	if s.flush(); s.err == nil {
		s.err = harmless.Steer(s.w, "\x1b["+parameters+"m")
	}
}

func section(b *sheet, lines iter.Seq[line], style Style) {
	some := false
	for l := range lines {
		some = true
		switch {
		case l.under:
			fmt.Fprintf(b, "      %s\n", l.text)
		case style.Color && colors[l.symbol] != "":
			b.WriteString("  ")
			b.color(colors[l.symbol])
			b.WriteString(l.symbol)
			b.color("0")
			fmt.Fprintf(b, " %s\n", l.text)
		default:
			fmt.Fprintf(b, "  %s %s\n", l.symbol, l.text)
		}
		if b.Len() >= long {
			b.flush()
		}
	}
	if some {
		b.WriteString("\n")
	}
}
