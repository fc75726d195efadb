// How what is served stands, by what was recorded of it and what its cluster says now; and how it is brought
// back as it was recorded, and lent anew what it reads.

package kubernetes

import (
	"context"
	"errors"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Observe tells how it stands by what was recorded here and what the cluster says now. A cluster that does
// not answer hides nothing else: what is served there is then told as failing. One that does not answer in time is an error.
func (s *server) Observe(ctx context.Context, name string) (port.Live, error) {
	if s.unknown(name) {
		return port.Live{}, nil
	}
	rec, err := s.readRecord(name)
	if err != nil {
		return port.Live{}, err
	}
	return s.observe(ctx, name, rec)
}

func (s *server) observe(ctx context.Context, name string, rec record) (port.Live, error) {
	return s.observeBy(ctx, name, rec, s.there)
}

// observeBy tells how it stands, by clients that lead gives.
func (s *server) observeBy(ctx context.Context, name string, rec record, lead func(context.Context, place) (*kube.Client, error)) (port.Live, error) {
	at := rec.Served
	if at == nil {
		return port.Live{}, nil
	}
	l := port.Live{Key: at.Key, Model: at.Model, URL: at.URL, Bytes: s.bytes(*at), Isolation: isolation(), Health: port.Failing, Since: at.Since}
	c, err := lead(ctx, at.Place)
	if err == nil && rec.Tried != nil {
		l.Beside, err = s.beside(ctx, c, name, &rec) // where the cluster does not say, nothing is held against it
	}
	if err == nil {
		err = s.fillHealth(ctx, c, name, rec, &l)
	}
	if err != nil && (fault.Of(err) == fault.Cancelled || errors.As(err, new(silence))) {
		return l, err
	}
	if err != nil {
		l.Health, l.Message = port.Failing, err.Error()
		if hint := fault.HintOf(err); hint != "" {
			l.Message += "; " + hint
		}
	}
	return l, nil
}

// fillHealth fills in how it stands.
func (s *server) fillHealth(ctx context.Context, c *kube.Client, name string, rec record, l *port.Live) error {
	at := *rec.Served
	drift, err := s.drift(ctx, c, name, rec, l)
	if err != nil {
		return err
	}
	if drift != "" {
		l.Message = drift
		if rec.Tried != nil { // what is declared is not what serves: it is brought back as it was recorded
			l.Health = port.Down
		}
		return nil
	}
	st, err := s.shape(at).stands(ctx, s, c, name, at)
	if err != nil {
		return err
	}
	l.Restarts, l.Message = st.Restarts, st.Reason
	if st.Serving > 0 {
		l.Health = port.Ready
	}
	if due, text := at.Loan.ends(s.o.Env.Now()); due {
		l.Health, l.Message = port.Failing, text
	}
	return nil
}

// drift is what is not as it is declared, and what to do about it; "" is nothing. It fills in what is left of another release.
func (s *server) drift(ctx context.Context, c *kube.Client, name string, rec record, l *port.Live) (string, error) {
	const way = "; run vishwa apply, or wait for the controller: it is made again as declared"
	if rec.Served.Place.Git != nil {
		return s.strays(ctx, c, name, rec, way, l)
	}
	drift, err := s.differs(ctx, c, name, rec.Served.Objects)
	if drift != "" {
		drift += way
	}
	return drift, err
}

// isolation is what pods are apart by.
func isolation() *port.Isolation { return &port.Isolation{Level: "namespaces", Network: "all"} }

// Revive makes what stands as it was recorded again, where that is the release of key.
func (s *server) Revive(ctx context.Context, name string, key digest.Digest) (port.Live, error) {
	if s.unknown(name) {
		return port.Live{}, fault.WithHint(fault.New(fault.Missing, "%s is served on no cluster", name), "run vishwa apply: it serves what the branch declares")
	}
	if s.busy(name) { // who changes it is not disturbed
		return port.Live{}, nil
	}
	end, err := s.turn(ctx, name)
	if err != nil {
		return port.Live{}, err
	}
	defer end()
	rec, err := s.readRecord(name)
	if err != nil {
		return port.Live{}, err
	}
	if rec.Served == nil || rec.Served.Key != key {
		return port.Live{}, fault.WithHint(fault.New(fault.Missing, "%s does not serve %s on a cluster", name, key.Short()), "run vishwa apply: it serves what the branch declares")
	}
	w := work{standing: *rec.Served, server: s, name: name, served: true}
	if w.kube, err = s.there(ctx, w.Place); err != nil {
		return port.Live{}, err
	}
	if err := w.refuse(ctx, w.Objects, false); err != nil {
		return port.Live{}, err
	}
	if w.Place.Git != nil {
		err = w.redeliver(ctx)
	} else {
		err = w.restoreDivided(ctx, rec)
	}
	if err != nil {
		return port.Live{}, err
	}
	rec.Served = &w.standing
	if err := s.writeRecord(name, rec); err != nil {
		return port.Live{}, err
	}
	if err := s.settle(ctx, &w, 0); err != nil {
		return port.Live{}, err
	}
	if err := s.reached(ctx, &w); err != nil {
		return port.Live{}, err
	}
	if err := s.route(ctx, &w); err != nil {
		return port.Live{}, err
	}
	if err := s.comes(ctx, &w, nil); err != nil {
		return port.Live{}, err
	}
	return s.observe(ctx, name, rec)
}

// Renew lends anew what the pods of name read of the store, in good time before it ends.
func (s *server) Renew(ctx context.Context, name string) error {
	if s.unknown(name) {
		return nil
	}
	rec, err := s.readRecord(name)
	if err != nil || !rec.due(s.o.Env.Now()) || s.busy(name) {
		return err
	}
	end, err := s.turn(ctx, name)
	if err != nil {
		return err
	}
	defer end()
	if rec, err = s.readRecord(name); err != nil {
		return err
	}
	for _, at := range []**standing{&rec.Served, &rec.Tried} {
		if *at == nil || !(*at).Loan.due(s.o.Env.Now()) {
			continue
		}
		if *at, err = s.renewed(ctx, name, **at); err != nil {
			return err
		}
		if err := s.writeRecord(name, rec); err != nil {
			return err
		}
	}
	return nil
}

// due tells whether it is time to lend anything of r anew.
func (r record) due(now time.Time) bool {
	return r.Served != nil && r.Served.Loan.due(now) || r.Tried != nil && r.Tried.Loan.due(now)
}

// renewed is what stands, with what it reads lent anew.
func (s *server) renewed(ctx context.Context, name string, at standing) (*standing, error) {
	w := work{standing: at, server: s, name: name}
	var err error
	if w.kube, err = s.there(ctx, w.Place); err != nil {
		return &at, err
	}
	var there struct {
		Meta status.Meta `json:"metadata"`
	}
	resource, holder := w.holder()
	if err := w.kube.Get(ctx, resource, holder, &there); err != nil {
		return &at, err
	}
	err = w.lend(ctx, there.Meta.UID)
	return &w.standing, err
}
