// A plan as Markdown, for a pull request's comment. All that comes from the
// repository stands in code fences that it cannot end: nobody is mentioned, no
// link is made and no HTML is read, whatever a name or a message says.
package templates

import (
	"fmt"
	"io"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/plan"
)

// limit is the longest body in bytes that is written: GitHub takes 65,536 characters.
const limit = 65_000

// longest is the longest line in bytes; one message must not crowd out the plan.
const longest = 2_000

// Markdown writes p, whose digest is d, as the body of a comment. What does not
// fit is counted, and it is said where all of it is.
func Markdown(w io.Writer, p plan.Plan, d digest.Digest) error {
	foot := fmt.Sprintf("\nPlan digest: `%s`\n", d)
	if p.Revision != "" {
		foot = fmt.Sprintf("\nRevision: `%s`", strings.Trim(plain(strings.ReplaceAll(p.Revision, "`", "")), " ")) + "  " + foot
	}
	var b strings.Builder
	fmt.Fprintf(&b, "### Vishwa\n\n**%s**\n", summary(p))
	room := limit - b.Len() - len(foot)

	// What stops the change comes first: it is what a reader has to act on.
	room -= fold(&b, block{title: "Findings", lines: findings(p), room: room / 2, open: true})
	room -= fold(&b, block{title: "Steps", lines: steps(p, busy), room: room, open: true})
	fold(&b, block{title: "Up to date", lines: steps(p, kept), room: room})
	b.WriteString(foot)
	_, err := io.WriteString(w, b.String())
	return err
}

// block is a collapsible part of a comment, of at most room bytes.
type block struct {
	title string
	lines []line
	room  int
	open  bool
}

// frameRoom is what the lines around a block's own take, and a note that some are left out.
const frameRoom = 400

// fold writes a block and tells how many bytes it took.
func fold(b *strings.Builder, k block) int {
	if len(k.lines) == 0 {
		return 0
	}
	before := b.Len()
	var body strings.Builder
	shown := 0
	for _, l := range k.lines {
		text := strings.TrimRight(l.symbol+" "+l.text, " ")
		if l.under {
			text = "    " + l.text
		}
		text = cut(text, longest)
		if body.Len()+len(text) > k.room-frameRoom-2*ticks(body.String(), text) {
			break
		}
		body.WriteString(text + "\n")
		shown++
	}
	open := ""
	if k.open {
		open = " open"
	}
	count := 0
	for _, l := range k.lines {
		if !l.under {
			count++
		}
	}
	fence := strings.Repeat("`", ticks(body.String(), "")+1)
	fmt.Fprintf(b, "\n<details%s><summary>%s (%d)</summary>\n\n%sdiff\n%s%s\n\n</details>\n", open, k.title, count, fence, body.String(), fence)
	if left := len(k.lines) - shown; left > 0 {
		fmt.Fprintf(b, "\n*%d of %d lines are left out here for want of room; `vishwa plan` shows all of them.*\n", left, len(k.lines))
	}
	return b.Len() - before
}

// ticks is the longest run of back-ticks in the texts, at least two.
func ticks(texts ...string) int {
	most := 2
	for _, text := range texts {
		run := 0
		for i := range len(text) {
			if text[i] != '`' {
				run = 0
				continue
			}
			run++
			most = max(most, run)
		}
	}
	return most
}

// cut shortens s to n bytes at a rune's edge, and says so.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
