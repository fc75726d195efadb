// The last parts of a report: who approved, what is recorded, what was shown before,
// and what can be said to it.

package templates

import (
	"fmt"
	"strings"

	"github.com/vishwaops/vishwa/schemas"
)

func approvals(r Report, z size) part {
	p := part{head: "#### Approvals\n\n", noun: "approvals are"}
	for _, a := range r.Approvals {
		sign := "✓"
		if len(a.Given) < a.Need {
			sign = "⏳"
		}
		text := fmt.Sprintf("- %s %s", sign, code(a.Ref.String(), nameLimit))
		if a.Environment != "" {
			text += " to " + code(a.Environment, nameLimit)
		}
		text += fmt.Sprintf(": %d of %d given", len(a.Given), a.Need)
		if len(a.Given) > 0 {
			text += " by " + codes(a.Given, z.names)
		}
		if len(a.Roles) > 0 {
			text += "; roles that count: " + codes(a.Roles, z.names)
		}
		if a.Reviews {
			text += "; a review here counts"
		} else {
			text += "; signed with `vishwa approve`, a review does not count"
		}
		text += "\n"
		for i, void := range a.Void {
			if i == z.names {
				text += fmt.Sprintf("  - %d more do not count\n", len(a.Void)-i)
				break
			}
			text += "  - does not count: " + prose(void, z.words) + "\n"
		}
		p.rows = append(p.rows, text)
	}
	return p
}

func records(r Report) part {
	p := part{head: "#### Ledger\n\n| Entry | Action | What | Digest |\n|---|---|---|---|\n", noun: "entries are"}
	for _, e := range r.Records {
		what := ""
		if e.Ref != (schemas.Ref{}) {
			what = code(e.Ref.String(), nameLimit)
		}
		if e.URL != "" {
			what = strings.TrimSpace(what + " " + link("served here", e.URL))
		}
		name := "–"
		if e.Made != "" {
			name = code(e.Made.Short(), nameLimit)
		}
		p.rows = append(p.rows, fmt.Sprintf("| %d | %s | %s | %s |\n", e.Seq, prose(string(e.Action), nameLimit), what, name))
	}
	return p
}

func earlier(r Report, z size) part {
	p := part{noun: "earlier plans", drop: dropEarlier}
	for _, e := range r.Earlier {
		text := "- " + code(revision(e.Head), nameLimit) + ": " + prose(e.Verdict, z.words)
		if e.Digest != "" {
			text += ", plan " + code(e.Digest.Short(), nameLimit)
		}
		p.rows = append(p.rows, text+"\n")
	}
	return folded("Earlier plans", p)
}

// revision shortens a commit's name as Git does.
func revision(sha string) string {
	if len(sha) != 40 && len(sha) != 64 || strings.Trim(sha, "0123456789abcdef") != "" {
		return sha
	}
	return sha[:10]
}

// foot names what the report is about, and what can be said to it.
func foot(r Report) string {
	var about []string
	if r.Head != "" {
		text := "revision " + code(revision(r.Head), nameLimit)
		if r.Base != "" {
			text += " onto " + code(r.Base, nameLimit)
		}
		if r.BaseSHA != "" {
			text += " at " + code(revision(r.BaseSHA), nameLimit)
		}
		about = append(about, text)
	}
	if r.Digest != "" {
		about = append(about, "plan digest "+code(string(r.Digest), nameLimit))
	}
	if r.Full != "" && address.MatchString(r.Full) {
		about = append(about, link("whole report", r.Full))
	}
	out := ""
	if len(about) > 0 {
		out = "Vishwa: " + strings.Join(about, " · ") + "\n"
	}
	if len(r.Commands) > 0 {
		if out != "" {
			out += "\n"
		}
		out += "Commands that can be given now: " + codes(r.Commands, 12) + "\n"
	}
	return out
}
