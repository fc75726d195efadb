// Bringing a dataset's data in: into the store, and before the eyes of what is
// declared of it.

package pass

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/quality"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Pin brings a dataset's data into the store and holds it against what is declared
// of it. Tables come with their profile.
func (d *stepServices) Pin(ctx context.Context, n *graph.Node, tell func(string)) (map[string]port.Artifact, error) {
	spec := n.Decl.Spec.(schemas.Data).Data()
	var data port.Artifact
	var fetched error
	taken, err := Intake{
		Decl: n.Decl, Store: d.Store, Now: d.Now(), Tell: tell, Hint: "correct the data, or what is declared of it",
		Fetch: func(ctx context.Context) ([]quality.File, error) {
			if data, fetched = d.bring(ctx, n, spec, tell); fetched != nil {
				return nil, fetched
			}
			return d.files(n, spec, data), nil
		},
	}.Take(ctx)
	switch {
	case fetched != nil:
		return nil, fetched
	case err != nil:
		return nil, fmt.Errorf("%s: %w", n.Ref, err)
	}
	for _, line := range taken.Broken {
		tell("warning: " + line)
	}
	made := map[string]port.Artifact{"data": data}
	if taken.Profile != nil {
		d.note(n.Ref, *taken.Profile)
		made["profile"] = taken.Kept
	}
	return made, nil
}

// files are those of the data as the store has them, by their paths in the tree.
func (d *stepServices) files(n *graph.Node, spec *schemas.Dataset, data port.Artifact) (files []quality.File) {
	for _, f := range inTree(lies(n, spec), data) {
		files = append(files, quality.File{Path: f.Path, Size: f.Size, Open: func(ctx context.Context) (quality.Content, error) { return Content(ctx, d.Store, f) }})
	}
	return files
}

// Content is a file of the store that can be read at any place, once it was read whole
// and is what it is named. One that a store cannot give so lies beside, unnamed, for as
// long as that takes.
func Content(ctx context.Context, store port.Store, f digest.File) (quality.Content, error) {
	in, err := store.Get(ctx, f.Digest)
	if err != nil {
		return nil, err
	}
	if at, ok := in.(quality.Content); ok {
		if _, err := io.Copy(io.Discard, in); err != nil {
			in.Close()
			return nil, err
		}
		return at, nil
	}
	defer in.Close()
	aside, err := os.CreateTemp("", "vishwa-rows-")
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Transient, "%w", err), "make room in the folder for temporary files, or set TMPDIR")
	}
	if err := os.Remove(aside.Name()); err != nil {
		aside.Close()
		return nil, fault.New(fault.Internal, "%w", err)
	}
	if _, err := io.Copy(aside, in); err != nil {
		aside.Close()
		return nil, err
	}
	return aside, nil
}

// bring puts the data into the store: from the revision's own tree, or from where
// its pointer says.
func (d *stepServices) bring(ctx context.Context, n *graph.Node, spec *schemas.Dataset, tell func(string)) (port.Artifact, error) {
	if n.Points == nil {
		return n.Data, d.Keep(ctx, inTree(lies(n, spec), n.Data))
	}
	data, err := d.Data.FetchData(ctx, d.world.Tree, *n.Points, tell)
	if err != nil {
		return data, err
	}
	if said := n.Points.SHA256; said != "" && said != data.Digest {
		return data, fault.WithHint(fault.New(fault.Corrupt, "%s says that %s is %s, and it is %s", n.Points.File, n.Points.Path, said.Short(), data.Digest.Short()),
			"find out who wrote the pointer; vishwa data add or vishwa data refresh writes it anew")
	}
	return data, nil
}

// lies is the path of a dataset's data in the work tree, kept by Git or pointed to.
func lies(n *graph.Node, spec *schemas.Dataset) string {
	if n.Points != nil {
		return n.Points.Path
	}
	return path.Clean(spec.Source.Path)
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
