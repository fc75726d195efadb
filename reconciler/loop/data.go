// Bringing a dataset's data in: into the store, and before the eyes of what is
// declared of it.
package loop

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/graph"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/tables"
	"github.com/vishwaops/vishwa/schemas"
)

// Pin brings a dataset's data into the store and holds it against what is declared
// of it. Tables come with their profile.
func (d *desk) Pin(ctx context.Context, n *graph.Node, tell func(string)) (map[string]port.Artifact, error) {
	spec := n.Decl.Spec.(*schemas.Dataset)
	data, err := d.bring(ctx, n, spec, tell)
	if err != nil {
		return nil, err
	}
	made := map[string]port.Artifact{"data": data}
	found, profile, err := d.examine(ctx, n, spec, data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.Ref, err)
	}
	switch {
	case len(found) == 0:
	case spec.Violations == "warn":
		for _, line := range broken(found) {
			tell("warning: " + line)
		}
	default:
		return nil, fault.Hint(fault.New(fault.Invalid, "%s: %s", n.Ref, strings.Join(broken(found), "; ")), "correct the data, or what %s declares of it", n.Decl.Pos)
	}
	if profile == nil {
		return made, nil
	}
	b, err := json.Marshal(profile)
	if err != nil {
		return nil, fault.New(fault.Internal, "%s: encode its profile: %w", n.Ref, err)
	}
	kept, err := d.put(ctx, b)
	if err != nil {
		return nil, fmt.Errorf("keep the profile of %s: %w", n.Ref, err)
	}
	made["profile"] = port.Artifact{Name: "profile.json", Digest: kept, Size: int64(len(b))}
	return made, nil
}

// examine reads all rows once, for the checks and the profile together. Data that is
// no table has neither, unless something is declared of its rows.
func (d *desk) examine(ctx context.Context, n *graph.Node, spec *schemas.Dataset, data port.Artifact) ([]tables.Violation, *tables.Profile, error) {
	var declared schemas.Format
	if spec.Format != nil {
		declared = *spec.Format
	}
	promised := len(spec.Columns) > 0 || spec.Rows != nil || spec.Freshness != nil
	if declared.Type == "folder" {
		return nil, nil, nil
	}
	files := inTree(lies(n, spec), data)
	check, err := tables.NewChecker(spec, data.Name, d.Now())
	if err != nil {
		return nil, nil, err
	}
	profiler := tables.NewProfiler(spec.Columns)
	scan := func(p *tables.Profiler) (read int, err error) {
		for _, f := range files {
			format, err := tables.FormatOf(declared, f.Path)
			if err != nil && (len(files) > 1 || !promised) {
				continue // what lies beside tables in a folder is no part of them
			}
			if err != nil {
				return read, err
			}
			if err := d.scan(ctx, f, format, p, check); err != nil {
				return read, err
			}
			read++
		}
		return read, nil
	}
	read, err := scan(profiler)
	if err != nil || read == 0 && !promised {
		return nil, nil, err
	}
	if read == 0 {
		return nil, nil, fault.Hint(fault.New(fault.Invalid, "%s holds no table, and rows are declared", data.Name), "declare spec.format, or remove columns, rows and freshness")
	}
	for check.Again() {
		if _, err := scan(nil); err != nil {
			return nil, nil, err
		}
	}
	profile := profiler.Profile(data.Size)
	return check.Violations(), &profile, nil
}

// scan reads one file of the store. Formats are read at any place: the file lies
// beside, unnamed, for as long as that takes.
func (d *desk) scan(ctx context.Context, f digest.File, format schemas.Format, p *tables.Profiler, c *tables.Checker) error {
	in, err := d.Store.Get(ctx, f.Digest)
	if err != nil {
		return err
	}
	defer in.Close()
	aside, err := os.CreateTemp("", "vishwa-rows-")
	if err != nil {
		return fault.Hint(fault.New(fault.Transient, "read %s: %w", f.Path, err), "make room in the folder for temporary files, or set TMPDIR")
	}
	defer aside.Close()
	if err := os.Remove(aside.Name()); err != nil {
		return fault.New(fault.Internal, "read %s: %w", f.Path, err)
	}
	size, err := io.Copy(aside, in)
	if err != nil {
		return fmt.Errorf("read %s: %w", f.Path, err)
	}
	rows, err := tables.Open(aside, size, format, f.Path)
	if err != nil {
		return err
	}
	return tables.Scan(rows, p, c, ctx.Err)
}

// mostBroken is how many broken promises are told before the rest is counted.
const mostBroken = 10

// broken says each broken promise, with the first place where it is.
func broken(found []tables.Violation) (out []string) {
	for i, v := range found {
		if i == mostBroken {
			return append(out, fmt.Sprintf("and %d more", len(found)-i))
		}
		line := v.Rule
		if v.Column != "" {
			line = v.Column + ": " + v.Rule
		}
		if len(v.Examples) > 0 {
			e := v.Examples[0]
			line += fmt.Sprintf(" is broken %d times, first in %s, row %d", v.Count, e.File, e.Row)
			if e.Line > 0 {
				line += fmt.Sprintf(" (line %d)", e.Line)
			}
			if e.Value != "" {
				line += fmt.Sprintf(": %q", e.Value)
			}
		}
		out = append(out, line)
	}
	return out
}

// bring puts the data into the store: from the revision's own tree, or from where
// its pointer says.
func (d *desk) bring(ctx context.Context, n *graph.Node, spec *schemas.Dataset, tell func(string)) (port.Artifact, error) {
	if n.Points == nil {
		return n.Data, d.Keep(ctx, inTree(lies(n, spec), n.Data))
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
