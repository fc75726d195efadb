// Discreet keeps where things are on a controller's machine out of what a forge shows and the ledger
// keeps: both may be read by everybody, and an error names folders for whoever runs it.

package wrap

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/port"
)

// Folder is a folder of this machine, and what to call it where strangers read.
type Folder struct{ Path, Name string }

// Discreet shows names on the forge in place of folders.
func Discreet(f port.Forge, folders []Folder) port.Forge { return discreet{f, Named(folders)} }

// Named has texts call folders by their names, where a whole path begins with one.
func Named(folders []Folder) func(text string) string {
	known := slices.DeleteFunc(slices.Clone(folders), func(f Folder) bool { return len(f.Path) < 2 || f.Path[0] != '/' })
	slices.SortFunc(known, func(a, b Folder) int { return cmp.Compare(len(b.Path), len(a.Path)) }) // the longest says most
	return func(text string) string {
		for _, f := range known {
			text = replacePath(text, f)
		}
		return text
	}
}

type discreet struct {
	port.Forge
	named func(text string) string
}

func (d discreet) UpsertComment(ctx context.Context, n int, marker, body string) (string, error) {
	return d.Forge.UpsertComment(ctx, n, marker, d.named(body))
}

func (d discreet) ReportStatus(ctx context.Context, m port.CommitStatus) error {
	m.Title, m.Summary = d.named(m.Title), d.named(m.Summary)
	m.Annotations = slices.Clone(m.Annotations)
	for i := range m.Annotations {
		m.Annotations[i].Title, m.Annotations[i].Message = d.named(m.Annotations[i].Title), d.named(m.Annotations[i].Message)
	}
	return d.Forge.ReportStatus(ctx, m)
}

func (d discreet) ReportDeployment(ctx context.Context, r port.Deployment) error {
	r.Description = d.named(r.Description)
	return d.Forge.ReportDeployment(ctx, r)
}

func (d discreet) Propose(ctx context.Context, p port.Proposal) (port.PullRequest, error) {
	p.Title, p.Body = d.named(p.Title), d.named(p.Body)
	return d.Forge.Propose(ctx, p)
}

func (d discreet) Withdraw(ctx context.Context, n int, why string) error {
	return d.Forge.Withdraw(ctx, n, d.named(why))
}

func replacePath(text string, f Folder) string {
	var b strings.Builder
	for {
		i := strings.Index(text, f.Path)
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		end := i + len(f.Path)
		inside := i > 0 && inName(text[i-1]) || end < len(text) && inName(text[end])
		b.WriteString(text[:i])
		if inside {
			b.WriteString(f.Path)
		} else {
			b.WriteString(f.Name)
		}
		text = text[end:]
	}
}

// inName tells whether a path goes on with c, or began before it.
func inName(c byte) bool {
	return c == '.' || c == '-' || c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
