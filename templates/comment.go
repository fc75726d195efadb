// A report as Markdown: the one comment of a pull request, and a job's step summary.
// A report that is too long is cut where its parts end, and it is said what is
// missing and where all of it is.

package templates

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
)

const (
	// commentLimit is the longest comment in bytes. GitHub takes 65,536 characters; the
	// caller puts a marker and a hidden state of up to 4,096 around it.
	commentLimit = 65_536 - 4_096
	// summaryLimit is the longest step summary in bytes: GitHub takes 1 MiB a step.
	summaryLimit = 1<<20 - 4_096
)

// size is how much is told of each thing.
type size struct {
	words   int // bytes of a message
	models  int
	metrics int // of a model
	names   int // in a list of names
	log     int // bytes of a log's end
	graph   int // nodes
}

var (
	wide   = size{words: longest, models: 200, metrics: 1_000, names: 1_000, log: 16_000, graph: 60}
	usual  = size{words: 600, models: 40, metrics: 40, names: 40, log: 6_000, graph: 60}
	narrow = size{words: 240, models: 12, metrics: 12, names: 8, log: 1_500, graph: 60}
)

const (
	longest   = 2_000 // bytes of a line
	nameLimit = 200   // bytes of a name, a path, a digest
)

// Comment writes r as the body of a comment, less than 61,440 bytes long. The marker
// is the caller's to put before it.
func Comment(w io.Writer, r Report) error {
	_, err := io.WriteString(w, fit(r, commentLimit, usual, narrow))
	return err
}

// Summary writes r as the step summary of a job, at most 1 MiB long: what a comment
// has no room for stands there.
func Summary(w io.Writer, r Report) error {
	_, err := io.WriteString(w, fit(r, summaryLimit, wide, usual, narrow))
	return err
}

// Markdown writes p, whose digest is d, as the body of a comment.
func Markdown(w io.Writer, p plan.Plan, d digest.Digest) error {
	return Comment(w, Report{Stage: Planned, Plan: &p, Digest: d, Head: p.Revision, Full: "vishwa plan"})
}

// part is a section of a report. Its rows are whole: none is ever cut.
type part struct {
	head  string   // before the rows; ends with a newline
	rows  []string // each ends with a newline
	foot  string   // after the rows
	noun  string   // what a row is, for the count of those left out
	drop  int      // where there is no room, parts go in this order from 1; 0 stays, with fewer rows
	more  int      // rows that were left out for want of room
	first bool     // it is what people look for first: where rows are left out, it says where they are
}

func (p part) size() int {
	n := len(p.head) + len(p.foot) + 1
	for _, row := range p.rows {
		n += len(row)
	}
	return n
}

// limited is p with the rows that go into n bytes of them, and a count of the others.
func (p part) limited(n int) part {
	for i, row := range p.rows {
		if n -= len(row); n < 0 {
			p.rows, p.more = p.rows[:i], len(p.rows)-i
			break
		}
	}
	return p
}

func (p part) write(b *strings.Builder, full string) {
	b.WriteString("\n" + p.head)
	for _, row := range p.rows {
		b.WriteString(row)
	}
	if p.more > 0 {
		where := ""
		if p.first {
			where = elsewhere(full)
		}
		fmt.Fprintf(b, "\n*%d more %s not shown here.%s*\n", p.more, p.noun, where)
	}
	b.WriteString(p.foot)
}

// elsewhere says where the whole report is.
func elsewhere(full string) string {
	switch {
	case full == "":
		return ""
	case address.MatchString(full):
		return " All of it: " + link("the whole report", full) + "."
	default:
		return " All of it: " + code(full, nameLimit) + "."
	}
}

// fit writes r in the largest of sizes that goes into limit bytes; where none does,
// parts are dropped, then rows.
func fit(r Report, limit int, sizes ...size) string {
	first := "**" + verdict(r).markdown() + "**\n"
	var parts []part
	for _, z := range sizes {
		parts = sections(r, z)
		if len(first)+total(parts) <= limit {
			return joined(first, parts, r.Full)
		}
	}
	var dropped []string
	parts = slices.Clone(parts)
	room := limit - len(first) - roomForNotice
	for order := 1; order <= lastDrop && total(parts) > room; order++ {
		parts = slices.DeleteFunc(parts, func(p part) bool {
			if p.drop == order {
				dropped = append(dropped, p.noun)
			}
			return p.drop == order
		})
	}
	if total(parts) > room {
		parts = shared(parts, room)
	}
	if slices.ContainsFunc(parts, func(p part) bool { return p.more > 0 }) {
		dropped = append(dropped, "the rows that are counted below")
	}
	if len(dropped) > 0 { // else words are shorter, and that is all
		first += fmt.Sprintf("\n*Left out for want of room: %s.%s*\n", strings.Join(dropped, ", "), elsewhere(r.Full))
	}
	return joined(first, parts, r.Full)
}

const (
	roomForNotice = 1_200 // of what is dropped, and, twice, where it is
	roomForMore   = 60    // of the count of rows that are left out of one part
)

// shared gives every part the same room for its rows; what one does not need, the
// others get.
func shared(parts []part, room int) []part {
	var rows []int
	for _, p := range parts {
		n := p.size()
		for _, row := range p.rows {
			n -= len(row)
		}
		room -= n + roomForMore
		rows = append(rows, p.size()-n)
	}
	slices.Sort(rows)
	share := 0
	for i, n := range rows {
		if share = max(0, room) / (len(rows) - i); n > share {
			break
		}
		room -= n
		share = n
	}
	out := make([]part, len(parts))
	for i, p := range parts {
		out[i] = p.limited(share)
	}
	return out
}

func total(parts []part) int {
	n := 0
	for _, p := range parts {
		n += p.size()
	}
	return n
}

func joined(first string, parts []part, full string) string {
	var b strings.Builder
	b.Grow(len(first) + total(parts) + len(parts)*roomForMore)
	b.WriteString(first)
	for _, p := range parts {
		p.write(&b, full)
	}
	return b.String()
}

// folded is a part that is closed until a reader opens it.
func folded(title string, p part) part {
	p.head = fmt.Sprintf("<details><summary>%s (%d)</summary>\n\n", title, len(p.rows)) + p.head
	p.foot += "\n</details>\n"
	return p
}
