// What is needed of a cache or a remote: all that the trees that are kept point to.

package data

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/data/transfer"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
)

// needed finds what is needed of what is kept.
func (w *Workspace) needed(ctx context.Context, k Kept) (*needing, error) {
	n := &needing{Workspace: w, Kept: k, used: map[dvc.OID]bool{}, by: map[string]map[dvc.OID]bool{}, open: map[string]*transfer.Remote{}}
	for t, err := range k.Trees {
		if err == nil {
			err = n.tree(ctx, t)
		}
		if err != nil {
			return nil, err
		}
	}
	return n, nil
}

// needing is what is needed, as it is found.
type needing struct {
	*Workspace
	Kept
	used map[dvc.OID]bool
	by   map[string]map[dvc.OID]bool // of each remote that outputs name; "" is the default
	open map[string]*transfer.Remote
}

func (n *needing) tree(ctx context.Context, t Tree) error {
	var pass func(string, error)
	if n.Pass != nil {
		pass = func(_ string, err error) { n.Pass(err) }
	}
	outs, err := outputsOf(ctx, t.FS, pass)
	if err != nil {
		return fmt.Errorf("%s: %w", t.Name, err)
	}
	for _, o := range outs {
		err := n.output(ctx, o)
		switch {
		case err == nil:
		case n.Pass != nil && fault.Of(err) != fault.Cancelled:
			n.Pass(fmt.Errorf("%s: %w", t.Name, err))
		default:
			return fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	return nil
}

func (n *needing) output(ctx context.Context, o Output) error {
	oid := o.Out.OID
	if oid == "" || n.by[o.Out.Remote][oid] {
		return nil
	}
	if n.by[o.Out.Remote] == nil {
		n.by[o.Out.Remote] = map[dvc.OID]bool{}
	}
	note := func(oid dvc.OID) { n.used[oid], n.by[o.Out.Remote][oid] = true, true }
	if !oid.IsDir() {
		note(oid)
		return nil
	}
	t, err := n.manifest(ctx, oid)
	if err != nil && fault.Of(err) == fault.Missing {
		if o.Out.NoCache { // its files are kept elsewhere
			note(oid)
			return nil
		}
		t, err = n.fetched(ctx, o)
	}
	if err != nil {
		return fault.WithHint(fault.New(fault.Of(err), "%s: what its manifest %s names is not known: %w", o.Path, oid, err), "fetch it first: vishwa data fetch, with -A for all commits; or remove what cannot be known: --skip-failed")
	}
	note(oid)
	for _, f := range t {
		note(f.OID)
	}
	return nil
}

// fetched reads a manifest that the cache does not have from the output's remote.
func (n *needing) fetched(ctx context.Context, o Output) (dvc.Tree, error) {
	r, err := n.remote(o.Out.Remote)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Missing, "the cache does not have it, and no remote is available: %w", err), "fetch it from where it is: vishwa data fetch; or name a remote: vishwa data remote add")
	}
	body, err := r.Object(ctx, o.Out.OID)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	raw, err := io.ReadAll(io.LimitReader(body, 1<<30))
	if err != nil {
		return nil, err
	}
	if got := dvc.TreeOID(raw); got != o.Out.OID {
		return nil, fault.WithHint(fault.New(fault.Corrupt, "remote %s holds other bytes: %s", r.Name, got), "delete it there, and push it again from where the data was added: vishwa data push")
	}
	return dvc.ParseTree(raw)
}

func (n *needing) remote(name string) (*transfer.Remote, error) {
	if name == "" {
		name = n.Kept.Remote
	}
	if r := n.open[name]; r != nil {
		return r, nil
	}
	r, err := n.Workspace.Remote(name)
	if err == nil {
		n.open[name] = r
	}
	return r, err
}

// remotes are those that something is kept in, and the one that was asked for.
func (n *needing) remotes() (map[*transfer.Remote][]string, error) {
	out := map[*transfer.Remote][]string{}
	for _, name := range append(slices.Collect(maps.Keys(n.by)), "") {
		r, err := n.remote(name)
		if err != nil {
			return nil, err
		}
		same := r
		for have := range out {
			if have.Name == r.Name {
				same = have
			}
		}
		if !slices.Contains(out[same], name) {
			out[same] = append(out[same], name)
		}
	}
	return out, nil
}

// elsewhere forgets what the remotes have: it need not be here.
func (n *needing) elsewhere(ctx context.Context) error {
	all, err := n.remotes()
	if err != nil {
		return err
	}
	for r, names := range all {
		for _, name := range names {
			there, err := r.Present(ctx, slices.Collect(maps.Keys(n.by[name])))
			if err != nil {
				return err
			}
			for oid := range there {
				delete(n.used, oid)
			}
		}
	}
	return nil
}
