// A pull request on a terminal: what GitHub's page shows, as Markdown.

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/cmd/vishwa-devforge/devforge"
)

func show(w io.Writer, l devforge.Look) error {
	var b strings.Builder
	p := l.Pull
	state := p.State
	if p.Merged {
		state = fmt.Sprintf("merged by %s as %.12s", p.MergedBy, p.MergeAs)
	}
	fmt.Fprintf(&b, "# #%d %s\n\n%s wants to merge %s (%.12s) of %s into %s: %s\n", p.Number, p.Title, p.Author, p.Head, p.SHA, p.HeadRepo, p.Base, state)
	for _, c := range l.Shown.Comments {
		edited := ""
		if c.Edits > 0 {
			edited = fmt.Sprintf(", edited %d times", c.Edits)
		}
		fmt.Fprintf(&b, "\n---\n**%s**%s\n\n%s\n", c.Login, edited, strings.TrimSpace(c.Body))
		for _, content := range slices.Sorted(maps.Keys(c.Reactions)) {
			fmt.Fprintf(&b, "\n:%s: %s\n", content, strings.Join(c.Reactions[content], ", "))
		}
	}
	if len(l.Statuses)+len(l.Shown.Checks) > 0 {
		b.WriteString("\n---\n## Checks\n\n")
	}
	for _, s := range l.Statuses {
		fmt.Fprintf(&b, "- %s: %s. %s\n", s.Context, s.State, s.Description)
	}
	for _, c := range l.Shown.Checks {
		ends := c.Conclusion
		if ends == "" {
			ends = c.Status
		}
		fmt.Fprintf(&b, "- %s: %s. %s\n", c.Name, ends, c.Title)
		for _, a := range c.Annotations {
			fmt.Fprintf(&b, "  - %s %s:%d: %s\n", a.Level, a.Path, a.Start, a.Message)
		}
	}
	if len(l.Shown.Deployments) > 0 {
		b.WriteString("\n---\n## Deployments\n\n")
	}
	for _, d := range l.Shown.Deployments {
		fmt.Fprintf(&b, "- %s at %.12s: %s %s\n", d.Environment, d.SHA, strings.Join(d.States, ", "), d.URL)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
