// How the cache stands against a remote.

package data

import (
	"context"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
)

// RemoteStatus is an output of which the cache or a remote lacks objects.
type RemoteStatus struct {
	Output
	New     int `json:"new"`     // objects that the remote lacks: push sends them
	Deleted int `json:"deleted"` // that the cache lacks: fetch brings them
	Missing int `json:"missing"` // that neither has
}

// Cloud compares the outputs of targets, or all, with their remote, or the one that is
// named. Those that both have are left out.
func (w *Workspace) Cloud(ctx context.Context, remote string, targets []string) ([]RemoteStatus, error) {
	outs, err := w.Outputs(ctx, targets)
	if err != nil {
		return nil, err
	}
	var all []RemoteStatus
	asked := false
	for _, o := range outs {
		if o.Out.NoCache || o.Out.OID == "" || o.Out.NoPush || o.From != nil {
			continue
		}
		name := remote
		if name == "" {
			name = o.Out.Remote
		}
		a, err := w.away(ctx, o, name)
		if err != nil {
			return nil, err
		}
		asked = true
		if a.New+a.Deleted+a.Missing > 0 {
			all = append(all, a)
		}
	}
	if !asked {
		return all, w.answers(ctx, remote)
	}
	return all, nil
}

func (w *Workspace) away(ctx context.Context, o Output, remote string) (RemoteStatus, error) {
	a := RemoteStatus{Output: o}
	r, err := w.Remote(remote)
	if err != nil {
		return a, err
	}
	store := w.store(o)
	r.Legacy = o.Out.Hash == ""
	oids := []dvc.OID{o.Out.OID}
	if o.Out.OID.IsDir() {
		switch t, err := store.Tree(ctx, o.Out.OID); {
		case err == nil:
			if t, err = o.meant(t); err != nil {
				return a, err
			}
			for _, f := range t {
				oids = append(oids, f.OID)
			}
		case fault.Of(err) != fault.Missing: // without a manifest nobody knows its files
			return a, err
		}
	}
	there, err := r.Present(ctx, oids)
	if err != nil {
		return a, err
	}
	seen := map[dvc.OID]bool{}
	for _, oid := range oids {
		if seen[oid] {
			continue
		}
		seen[oid] = true
		_, has := there[oid]
		switch here := store.Has(oid); {
		case here && !has:
			a.New++
		case !here && has:
			a.Deleted++
		case !here:
			a.Missing++
		}
	}
	return a, nil
}
