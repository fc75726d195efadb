// The places where something of ours may stand, and how nothing of it is left there.

package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
)

// hand is what has our objects of a name on a cluster.
func (s *server) hand(c *kube.Client, name string) owned.Hand {
	return owned.Hand{Kube: c, Owner: s.owner, Name: name, Now: s.o.Env.Now}
}

func (w *work) hand() owned.Hand { return w.server.hand(w.kube, w.name) }

// found are the places where something of ours stands under a name that is not recorded here: another replica, or
// one that lost its disk, may have made it. A cluster that we may not look at has none. Where one cluster is asked about,
// another that does not answer has none either.
func (s *server) found(ctx context.Context, name, about string) (out []place, err error) {
	for _, cluster := range slices.Sorted(maps.Keys(s.o.Clusters)) {
		p := place{Name: cluster, At: s.o.Clusters[cluster]}
		all := []status.Meta{}
		c, err := s.open(p)
		if err == nil {
			p.UID, err = c.UID(ctx)
		}
		if err == nil {
			all, _, err = s.units(ctx, s.hand(c, name))
		}
		switch kind := fault.Of(err); {
		case err != nil && (kind == fault.Denied || kind == fault.Missing || kind == fault.Invalid || kind == fault.Conflict):
			continue
		case err != nil && about != "" && cluster != about && kind != fault.Cancelled:
			continue
		case err != nil:
			return nil, fmt.Errorf("look on cluster %s for what is served as %s: %w", cluster, name, err)
		}
		if len(all) > 0 {
			for _, m := range all { // one that somebody made with our labels does not say it
				p.Git = cmp.Or(p.Git, deliveredBy(m))
			}
			out = append(out, p)
		}
	}
	return out, nil
}

// retire takes away whatever is ours under the name, wherever something may stand.
func (s *server) retire(ctx context.Context, name string, rec record) error {
	for len(rec.Places) > 0 {
		if err := s.leave(ctx, name, rec.Places[0], rec); err != nil {
			return fault.WithHint(fault.New(fault.Of(err), "take %s away from cluster %s: %w", name, rec.Places[0].Name, err), "%s",
				orWay(err, "where that cluster will not come back, remove "+s.file(name)+"; then run vishwa apply"))
		}
		if rec.Places = rec.Places[1:]; len(rec.Places) == 0 && rec.Served != nil {
			s.swept(ctx, name, *rec.Served, "")
		}
		left := record{Places: rec.Places}
		if err := s.writeRecord(name, left); err != nil {
			return err
		}
	}
	return nil
}

func orWay(err error, more string) string {
	if hint := fault.HintOf(err); hint != "" {
		return hint + "; " + more
	}
	return more
}

// leave has nothing of ours left under the name at p; it returns when the pods are gone.
func (s *server) leave(ctx context.Context, name string, p place, rec record) error {
	c, err := s.there(ctx, p)
	if err != nil {
		return err
	}
	h := s.hand(c, name)
	h.Made = rec.made(p)
	if rec.Served != nil && rec.Served.Place.is(p) {
		if err := h.Keeps(ctx, rec.Served.Objects); err != nil {
			return err
		}
	}
	if p.Git != nil {
		return s.retract(ctx, c, name, p, rec)
	}
	if err := s.prune(ctx, h, nil); err != nil {
		return err
	}
	return s.gone(ctx, h, h.Stays)
}

// gone returns when no unit of ours is left; stays is the error of one that does not go.
func (s *server) gone(ctx context.Context, h owned.Hand, stays func(kube.Resource, string) error) error {
	for limit := s.o.Env.Now().Add(owned.EndWithin); ; {
		left, of, err := s.units(ctx, h)
		late := s.o.Env.Now().After(limit)
		switch {
		case err != nil && (fault.Of(err) != fault.Transient || late):
			return err
		case err == nil && len(left) == 0:
			return nil
		case err == nil && late:
			return stays(of, left[0].Name)
		}
		if err := owned.Pause(ctx); err != nil {
			return err
		}
	}
}

// refuse tells of what stands under our names and is not ours; adopt takes over what is nobody's.
func (w *work) refuse(ctx context.Context, all []owned.Object, adopt bool) error {
	return w.hand().Refuse(ctx, all, owned.Adoption{Field: w.field() + ".adopt", Set: adopt})
}
