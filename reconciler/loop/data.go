// Bringing a dataset's data in: into the store, and before the eyes of what is
// declared of it.
package loop

import (
	"context"
	"path"

	"github.com/vishwaops/vishwa/reconciler/columns"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/graph"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Pin brings a dataset's data into the store and holds it against what is declared of it.
func (d *desk) Pin(ctx context.Context, n *graph.Node, tell func(string)) (map[string]port.Artifact, error) {
	spec := n.Decl.Spec.(*schemas.Dataset)
	data, err := d.bring(ctx, n, spec, tell)
	if err != nil {
		return nil, err
	}
	in, err := d.Store.Get(ctx, data.Digest)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	if err := columns.Check(in, spec.Columns); err != nil {
		return nil, fault.Hint(fault.New(fault.Invalid, "%s: %s: %w", n.Ref, data.Name, err), "correct the data, or the columns declared at %s", n.Decl.Pos)
	}
	return map[string]port.Artifact{"data": data}, nil
}

// bring puts the data into the store: from the revision's own tree, or from where
// its pointer says.
func (d *desk) bring(ctx context.Context, n *graph.Node, spec *schemas.Dataset, tell func(string)) (port.Artifact, error) {
	if n.Points == nil {
		return n.Data, d.Keep(ctx, inTree(path.Clean(spec.Source.Path), n.Data))
	}
	data, err := d.Depot.Bring(ctx, d.world.Tree, *n.Points, tell)
	if err != nil {
		return data, err
	}
	if said := n.Points.SHA256; said != "" && said != data.Digest {
		return data, fault.Hint(fault.New(fault.Corrupt, "%s says that %s is %s, and it is %s", n.Points.File, n.Points.Path, said.Short(), data.Digest.Short()),
			"find out who wrote the pointer; vishwa data add or vishwa data refresh writes it anew")
	}
	return data, nil
}

// inTree is data's files as the tree has them at p.
func inTree(p string, data port.Artifact) digest.Manifest {
	if data.Files == nil {
		return digest.Manifest{{Path: p, Digest: data.Digest, Size: data.Size}}
	}
	out := make(digest.Manifest, len(data.Files))
	for i, f := range data.Files {
		out[i] = f
		out[i].Path = path.Join(p, f.Path)
	}
	return out
}
