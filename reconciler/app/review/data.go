// How data would change: size, rows, columns and what the rows are like, of a dataset
// before and after.

package review

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/format/quality"
	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// Look is what data is looked at with.
type Look struct {
	Store port.Store // has profiles
	Now   time.Time  // by which data is fresh or not
	// Near has the data of a pointer where this machine has it already, without a question to anybody; may be nil.
	Near func(ctx context.Context, p port.DataPointer) ([]quality.File, error)
}

type look struct {
	Look
	left int64 // bytes that may still be read
}

// Data compares each dataset whose content w moves with base's; without a base, with
// what was pinned last. What the rows are like is told from profiles that are stored, and
// of data that Git itself keeps, or that is near, by reading it.
func Data(ctx context.Context, o Look, w *pass.Snapshot, base *pass.Intent) (out []templates.DataChange, err error) {
	l := &look{Look: o, left: readAll}
	now := pinsIn(w.Graph, w.Facts)
	var then map[schemas.Ref]*ledger.Entry
	if base != nil {
		then = pinsIn(base.Graph, w.Facts)
	}
	for i := range w.Graph.Nodes {
		n := &w.Graph.Nodes[i]
		given, ok := n.Decl.Spec.(schemas.Data)
		if !ok {
			continue
		}
		spec := given.Data()
		was, before := (*graph.Node)(nil), side{rows: -1, bytes: -1}
		switch e := w.Facts.Latest[n.Ref]; {
		case base == nil && now[n.Ref] != nil:
			continue // it is pinned as it is
		case base == nil && e != nil:
			data := e.Outputs.Named("data")
			before.pin, before.bytes = data.Digest, data.Size
			err = before.profiled(ctx, o.Store, e.Outputs.Named("profile").Digest)
		case base != nil:
			if was = base.Graph.Node(n.Ref); was == nil {
				break
			}
			if content(was) == content(n) {
				continue
			}
			if before, err = l.sideOf(ctx, was, then[n.Ref]); err == nil && before.profile == nil {
				before.shape(was, base.Tree)
			}
		}
		if err != nil {
			return nil, err
		}
		after, err := l.sideOf(ctx, n, now[n.Ref])
		if err == nil && (after.profile == nil || now[n.Ref] == nil) { // what a pin says was held to what was declared then
			err = l.rows(ctx, n, w.Tree, &after)
		}
		if err != nil {
			return nil, err
		}
		if after.profile == nil {
			after.shape(n, w.Tree)
		}
		out = append(out, change(n.Ref, spec, before, after))
	}
	return out, nil
}

// pinsIn are the entries of the data that g wants and that is pinned already. Its keys come of nothing that is made, so no plan is needed.
func pinsIn(g graph.Graph, facts *ledger.Facts) map[schemas.Ref]*ledger.Entry {
	out := map[schemas.Ref]*ledger.Entry{}
	var by digest.Namer
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if !n.Ref.Kind.Traits().Pinned || len(n.Inputs) > 0 {
			continue
		}
		key, err := n.Recipe.KeyBy(&by)
		if err != nil {
			panic(err) // what declarations are read of holds no value that JSON has not
		}
		if e := facts.ByKey[key]; e != nil {
			out[n.Ref] = e
		}
	}
	return out
}

// content names what is in a dataset.
func content(n *graph.Node) string {
	if n.Points != nil {
		return n.Points.Name
	}
	return string(n.Data.Digest)
}

// side is a dataset as it is on one side.
type side struct {
	pin     digest.Digest
	bytes   int64    // -1: not known, as with rows
	rows    int64    //
	count   int      // of columns
	columns []string // nil: not known
	profile *table.Profile
	broken  []string // what is declared of it and not so
	refused bool     // for which it would not be pinned
}

// sideOf tells the most that is known without reading the data itself: from the profile
// of its pin, or from what its pointer says.
func (l *look) sideOf(ctx context.Context, n *graph.Node, e *ledger.Entry) (side, error) {
	s := side{pin: n.Data.Digest, bytes: n.Data.Size, rows: -1}
	named := digest.Digest("")
	if n.Points != nil {
		s.bytes, s.rows, s.count, named = n.Points.Size, n.Points.Rows, n.Points.Columns, n.Points.Profile
	}
	if e != nil {
		named = e.Outputs.Named("profile").Digest
	}
	return s, s.profiled(ctx, l.Store, named)
}

// shape tells how much there is of a small file in the tree.
func (s *side) shape(n *graph.Node, tree fs.FS) {
	if spec, ok := n.Decl.Spec.(schemas.Data); ok && spec.Data().Source.Path != "" {
		s.rows, s.columns = shape(tree, spec.Data().Source.Path)
		s.count = len(s.columns)
	}
}

// profiled takes over what a stored profile says.
func (s *side) profiled(ctx context.Context, store port.Store, name digest.Digest) error {
	if name == "" {
		return nil
	}
	p, err := pass.Profile(ctx, store, name)
	if err != nil || p == nil {
		return err
	}
	s.shows(p)
	return nil
}

// shows takes over what a profile says.
func (s *side) shows(p *table.Profile) {
	s.profile, s.rows, s.count, s.columns = p, p.Rows, len(p.Columns), []string{}
	for _, c := range p.Columns {
		s.columns = append(s.columns, c.Name)
	}
	s.broken = quality.Sentence(p.Violations)
}

func change(ref schemas.Ref, spec *schemas.Dataset, was, now side) templates.DataChange {
	c := templates.DataChange{
		Ref: ref, WasPin: was.pin, NowPin: now.pin, BytesWas: max(was.bytes, 0), BytesN: now.bytes,
		Was: templates.DataShape{Rows: was.rows, Columns: was.count}, Now: templates.DataShape{Rows: now.rows, Columns: now.count},
	}
	if now.count == 0 { // no table has none: it was not read yet
		c.Now.Columns = -1
	}
	if was.columns != nil && now.columns != nil {
		c.Added, c.Gone = beyond(now.columns, was.columns), beyond(was.columns, now.columns)
	}
	if was.profile != nil && now.profile != nil {
		for _, d := range table.Compare(*was.profile, *now.profile) {
			if d.Column != "" && d.What != "added" && d.What != "removed" { // those are told as such
				c.Changes = append(c.Changes, d)
			}
		}
	}
	c.Broken, c.Refused = now.broken, now.refused
	for name, col := range spec.Columns {
		if slices.Contains(col.Tags, "personal") {
			c.Personal = append(c.Personal, name)
		}
	}
	slices.Sort(c.Personal)
	return c
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

// largest is up to which size, in bytes, a file of the tree is read to count its rows.
const largest = 64 << 20

// shape counts the rows of a CSV file and names its columns. What is no CSV file, not one
// to its end, or large, has no rows to tell of until it is pinned.
func shape(tree fs.FS, name string) (int64, []string) {
	if !strings.EqualFold(path.Ext(name), ".csv") {
		return -1, nil
	}
	in, err := tree.Open(path.Clean(name))
	if err != nil {
		return -1, nil
	}
	defer in.Close()
	if st, err := in.Stat(); err != nil || st.Size() > largest {
		return -1, nil
	}
	rows := csv.NewReader(bufio.NewReaderSize(in, 1<<16))
	rows.ReuseRecord = true
	head, err := rows.Read()
	if err != nil {
		return -1, nil
	}
	head = slices.Clone(head)
	for n := int64(0); ; n++ {
		switch _, err := rows.Read(); {
		case errors.Is(err, io.EOF):
			return n, head
		case err != nil:
			return -1, nil
		}
	}
}
