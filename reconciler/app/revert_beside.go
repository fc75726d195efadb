// What a revert takes back besides the release that it is for: whoever merged that had reasons for it, which the release's failure does not touch.

package app

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/schemas"
)

// beside lists what differs between the commits from and sha besides what the key of ref comes from: other declarations, what guards the
// release or is no part of it in its own, stacks, the project, the rules, the trust file, and files that the release is not made of.
func (p *Proposer) beside(ctx context.Context, from, sha string, ref schemas.Ref) (out []string, err error) {
	var in [2]*pass.Intent
	for i, at := range []string{from, sha} {
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
	declared, err := declaredBeside(in, made)
	if err != nil {
		return nil, err
	}
	out = append(out, declared...)
	changed, err := p.Repo.Changed(ctx, from, sha)
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

// declaredBeside lists what differs of declarations besides what the key of a release comes from.
func declaredBeside(in [2]*pass.Intent, made [2]lineage) (out []string, err error) {
	declared := map[schemas.Ref][2]*schemas.Declaration{}
	for i, in := range in {
		for j := range in.Decls {
			d := declared[in.Decls[j].Ref()]
			d[i] = &in.Decls[j]
			declared[in.Decls[j].Ref()] = d
		}
	}
	for r, d := range declared {
		is, err := unlike(metadataOf(d[0]), metadataOf(d[1]))
		if err != nil {
			return nil, err
		}
		if is {
			out = append(out, r.String()+" metadata")
		}
		if (made[0].refs[r] || made[1].refs[r]) && !r.Kind.Traits().Provisioned {
			paths, err := unkeyed(d)
			if err != nil {
				return nil, err
			}
			for _, path := range paths {
				out = append(out, r.String()+" "+path)
			}
			continue
		}
		if is, err = unlike(specOf(d[0]), specOf(d[1])); err != nil {
			return nil, err
		}
		if is || in[0].Graph.Declares(r) != in[1].Graph.Declares(r) {
			out = append(out, r.String())
		}
	}
	return out, nil
}

func specOf(d *schemas.Declaration) any {
	if d == nil {
		return nil
	}
	return d.Spec
}

// metadataOf is what a declaration says of itself: labels are for rules, too. One that is not there says nothing, as it goes or comes whole.
func metadataOf(d *schemas.Declaration) any {
	if d == nil || d.Metadata.Description == "" && len(d.Metadata.Labels) == 0 {
		return nil
	}
	return d.Metadata
}

// unkeyed lists the fields that differ of a declaration which the release comes from, and which it is not made of or which guard it: gates,
// networks, rollouts. Its failure says nothing of these.
func unkeyed(d [2]*schemas.Declaration) (paths []string, err error) {
	was, is := map[string]any{}, map[string]any{}
	for i, fields := range []*map[string]any{&was, &is} {
		if d[i] != nil {
			*fields = schemas.Unkeyed(d[i].Spec)
		}
	}
	all := maps.Clone(was)
	maps.Copy(all, is)
	for path := range all {
		differs, err := unlike(was[path], is[path])
		if err != nil {
			return nil, err
		}
		if differs {
			paths = append(paths, path)
		}
	}
	return paths, nil
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
