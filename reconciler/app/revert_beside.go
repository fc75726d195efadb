// What a revert takes back besides the release that it is for: whoever merged that had reasons for it, which the release's failure does not touch.

package app

import (
	"context"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/schemas"
)

// beside lists what differs between the tracked branch and sha besides ref and what its key comes from: declarations, the project, the rules, the
// trust file, and files that the release is not made of.
func (p *Proposer) beside(ctx context.Context, sha string, ref schemas.Ref) (out []string, err error) {
	var in [2]*pass.Intent
	for i, at := range []string{p.Head, sha} {
		tree, err := p.Repo.Open(ctx, at)
		if err != nil {
			return nil, err
		}
		if in[i], err = pass.ReadAndCheck(ctx, tree); err != nil {
			return nil, err
		}
	}
	now, then := in[0], in[1]
	made := [2]lineage{lineageOf(now, ref), lineageOf(then, ref)}
	if now.Policy.Digest() != then.Policy.Digest() {
		out = append(out, "the rules")
	}
	for what, differ := range map[string]func() (bool, error){
		"the project":    func() (bool, error) { return unlike(now.Project, then.Project) },
		"the trust file": func() (bool, error) { return unlike(now.Trust, then.Trust) },
	} {
		if is, err := differ(); err != nil {
			return nil, err
		} else if is {
			out = append(out, what)
		}
	}
	declared := map[schemas.Ref][2]*schemas.Declaration{}
	for i, in := range in {
		for j := range in.Decls {
			d := declared[in.Decls[j].Ref()]
			d[i] = &in.Decls[j]
			declared[in.Decls[j].Ref()] = d
		}
	}
	for r, d := range declared {
		if made[0].refs[r] || made[1].refs[r] {
			continue
		}
		is, err := unlike(specOf(d[0]), specOf(d[1]))
		if err != nil {
			return nil, err
		}
		if is || now.Graph.Declares(r) != then.Graph.Declares(r) {
			out = append(out, r.String())
		}
	}
	changed, err := p.Repo.Changed(ctx, p.Head, sha)
	if err != nil {
		return nil, err
	}
	for _, path := range changed {
		// A command may be given the whole repository: what a forge or a tool reads of it is not the command's.
		if hidden := strings.HasPrefix(path, ".") || strings.Contains(path, "/."); hidden || !made[0].files[path] && !made[1].files[path] {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out, nil
}

func specOf(d *schemas.Declaration) any {
	if d == nil {
		return nil
	}
	return d.Spec
}

// unlike compares two values as JSON has them.
func unlike(a, b any) (bool, error) {
	x, err := digest.JSON(a)
	if err != nil {
		return false, err
	}
	y, err := digest.JSON(b)
	return x != y, err
}

// lineage is what a ref's key comes from.
type lineage struct {
	refs  map[schemas.Ref]bool
	files map[string]bool // by path from the repository's root
}

func lineageOf(in *pass.Intent, ref schemas.Ref) lineage {
	l := lineage{map[schemas.Ref]bool{ref: true}, map[string]bool{}}
	for todo := []schemas.Ref{ref}; len(todo) > 0; {
		n := in.Graph.Node(todo[0])
		todo = todo[1:]
		if n == nil {
			continue
		}
		l.refs[n.Ref.Whole()] = true
		l.files[n.Decl.Pos.File] = true
		for _, f := range n.Code {
			l.files[f.Path] = true
		}
		if n.Points != nil {
			l.files[n.Points.File] = true
		}
		for _, need := range n.Needs {
			if !l.refs[need] {
				l.refs[need] = true
				todo = append(todo, need)
			}
		}
	}
	return l
}
