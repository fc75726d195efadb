// How data would change: rows, columns and bytes of a dataset on both sides.
package review

import (
	"bufio"
	"encoding/csv"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/loop"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// data compares each dataset whose content the change moves.
func data(w *loop.World, base *loop.Intent) (out []templates.DataChange) {
	for i := range w.Graph.Nodes {
		n := &w.Graph.Nodes[i]
		spec, ok := n.Decl.Spec.(*schemas.Dataset)
		if !ok {
			continue
		}
		was := base.Graph.Node(n.Ref)
		if was != nil && was.Data.Digest == n.Data.Digest {
			continue
		}
		c := templates.DataChange{Ref: n.Ref, NowPin: n.Data.Digest, BytesN: n.Data.Size, Was: templates.DataShape{Rows: -1}}
		var before, after []string
		c.Now, after = shape(w.Tree, spec.Source.Path)
		if was != nil {
			c.WasPin, c.BytesWas = was.Data.Digest, was.Data.Size
			if old, ok := was.Decl.Spec.(*schemas.Dataset); ok {
				c.Was, before = shape(base.Tree, old.Source.Path)
			}
			c.Added, c.Gone = beyond(after, before), beyond(before, after)
		}
		for name, col := range spec.Columns {
			if slices.Contains(col.Tags, "personal") {
				c.Personal = append(c.Personal, name)
			}
		}
		slices.Sort(c.Personal)
		out = append(out, c)
	}
	return out
}

// beyond lists what a holds beyond b, in its order.
func beyond(a, b []string) (out []string) {
	for _, s := range a {
		if !slices.Contains(b, s) {
			out = append(out, s)
		}
	}
	return out
}

// shape counts the rows of a CSV file and names its columns. What is no CSV file,
// or not one to its end, has no rows to tell of.
func shape(tree fs.FS, name string) (templates.DataShape, []string) {
	none := templates.DataShape{Rows: -1}
	if !strings.EqualFold(path.Ext(name), ".csv") {
		return none, nil
	}
	in, err := tree.Open(path.Clean(name))
	if err != nil {
		return none, nil
	}
	defer in.Close()
	rows := csv.NewReader(bufio.NewReaderSize(in, 1<<16))
	rows.ReuseRecord = true
	head, err := rows.Read()
	if err != nil {
		return none, nil
	}
	head = slices.Clone(head)
	for n := int64(0); ; n++ {
		switch _, err := rows.Read(); {
		case errors.Is(err, io.EOF):
			return templates.DataShape{Rows: n, Columns: len(head)}, head
		case err != nil:
			return none, nil
		}
	}
}
