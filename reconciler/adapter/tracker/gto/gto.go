// Package gto shows releases as tags of GTO, which keeps a registry of models in Git's tags: a release is price@v0.0.12, and price#production#15 says
// that an environment came to serve it, and price#production!#18 that it does no longer. The number is that of the ledger's entry, so that the tags are the same
// whoever makes them, and each leads to who approved it. Source of the names: gto/constants.py.
package gto

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/reconciler/machine/bounded"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// gtoName is what GTO takes as the name of an artifact or of a stage.
var gtoName = lazyregexp.New(`^[a-zA-Z0-9]([a-zA-Z0-9-/_]*[a-zA-Z0-9])?$`)

type tracker struct{ remote port.Tagger }

// New shows releases, and what environments serve, as signed tags of the repository's remote. It shows no
// runs. Tags of others are left alone.
func New(remote port.Tagger) port.Tracker { return tracker{remote} }

// Record implements port.Tracker.
func (g tracker) Record(ctx context.Context, p port.Projection, dry bool) (out port.Recorded, err error) {
	want, notes := gtoTags(p)
	out.Notes = bounded.Few(notes)
	if len(want) == 0 {
		return out, nil
	}
	there, err := g.remote.Tags(ctx)
	if err != nil {
		return out, err
	}
	var lacks []port.Tag
	for _, t := range want {
		if at, is := there[t.Name]; !is {
			lacks = append(lacks, t)
		} else if at != t.Commit {
			out.Drift = append(out.Drift, fmt.Sprintf("the tag %s is at commit %.12s, and the ledger says %.12s: somebody moved it, or a branch with another ledger has it; it is left as it is", t.Name, at, t.Commit))
		}
	}
	out.Drift = bounded.Few(append(out.Drift, gtoOthers(p, want, there)...))
	if dry || len(lacks) == 0 {
		out.Writes = len(lacks)
		return out, nil
	}
	refused, err := g.make(ctx, lacks)
	out.Writes, out.Notes = len(lacks)-len(refused), bounded.Few(append(notes, refused...))
	return out, err
}

// make makes tags in one push, and where the remote does not take all of them, one by one: a commit that it
// lost, or a rule for one name, keeps no other from being shown. It tells why those that are refused are.
func (g tracker) make(ctx context.Context, tags []port.Tag) (refused []string, err error) {
	if err := g.remote.Tag(ctx, tags...); err != nil && fault.Of(err) != fault.Denied {
		return nil, err
	}
	there, err := g.remote.Tags(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range tags {
		if there[t.Name] == t.Commit { // ours, or that of somebody who showed the same at the same time
			continue
		}
		switch err := g.remote.Tag(ctx, t); {
		case fault.Of(err) == fault.Denied:
			refused = append(refused, fmt.Sprintf("the remote does not take the tag %s at commit %.12s: %v", t.Name, t.Commit, err))
		case err != nil:
			return refused, err
		}
	}
	return refused, nil
}

// gtoTags are the tags of a projection in the order of the ledger, and what has none.
func gtoTags(p port.Projection) (out []port.Tag, notes []string) {
	for _, m := range p.Models {
		if !gtoName.MatchString(m.Name) {
			notes = append(notes, fmt.Sprintf("model %s: GTO takes no such name", m.Name))
			continue
		}
		commits := map[digest.Digest]string{}
		serves := map[string]string{} // environment -> commit
		for _, v := range m.Versions {
			commits[v.Key] = v.Tags[port.TagRevision]
			out = append(out, port.Tag{Name: fmt.Sprintf("%s@v0.0.%d", m.Name, v.Entry), Commit: commits[v.Key], Time: v.Time, Message: gtoMessage(fmt.Sprintf("Release of model/%s", m.Name), v.Entry, "Vishwa-Model: "+string(v.Digest), p)})
		}
		for _, v := range m.Moves {
			if !gtoName.MatchString(v.Environment) {
				notes = append(notes, fmt.Sprintf("environment %s: GTO takes no such name", v.Environment))
				continue
			}
			now := commits[v.Key]
			if was := serves[v.Environment]; was != "" && was != now { // else GTO goes back to it once the next one is taken away
				out = append(out, port.Tag{Name: fmt.Sprintf("%s#%s!#%d", m.Name, v.Environment, v.Entry), Commit: was, Time: v.Time, Message: gtoMessage(fmt.Sprintf("%s no longer serves this model/%s", v.Environment, m.Name), v.Entry, "", p)})
			}
			if serves[v.Environment] = now; now != "" {
				out = append(out, port.Tag{Name: fmt.Sprintf("%s#%s#%d", m.Name, v.Environment, v.Entry), Commit: now, Time: v.Time, Message: gtoMessage(fmt.Sprintf("%s serves model/%s", v.Environment, m.Name), v.Entry, "", p)})
			}
		}
	}
	return slices.DeleteFunc(out, func(t port.Tag) bool { return t.Commit == "" }), notes
}

func gtoMessage(subject string, entry int64, more string, p port.Projection) string {
	return strings.TrimSpace(fmt.Sprintf("%s\n\nVishwa-Entry: %d\nVishwa-Ledger: %s\n%s", subject, entry, p.Ledger, more))
}

// gtoOthers are tags of our models that say something else than the ledger: who looks at them by GTO takes
// the newest for true.
func gtoOthers(p port.Projection, want []port.Tag, there map[string]string) (out []string) {
	ours := map[string]bool{}
	for _, t := range want {
		ours[t.Name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		model, _, is := strings.Cut(name, "#")
		if is && !ours[name] && slices.ContainsFunc(p.Models, func(m port.TrackerModel) bool { return m.Name == model }) {
			out = append(out, fmt.Sprintf("the tag %s is not the ledger's: whoever goes by GTO may take it for what is served", name))
		}
	}
	return out
}
