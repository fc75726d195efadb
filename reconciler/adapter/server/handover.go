// The hand-over of a public port from one name to another: what was renamed goes on
// serving until its successor has proved itself, and no request finds the port empty.

package server

import (
	"context"
	"os"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// hand makes s answer at the port from now on.
func (p *public) hand(s *service) { p.owner.Store(s) }

// succeed is apply for a release that takes the place of from, which ends where it does.
// On an error from goes on as it was.
func (s *service) succeed(ctx context.Context, o order, env []string, from *service) (port.Live, error) {
	first, second := s, from
	if second.name < first.name { // in one order, whoever succeeds whom
		first, second = second, first
	}
	if err := first.takeTurn(ctx); err != nil {
		return port.Live{}, err
	}
	if err := second.takeTurn(ctx); err != nil {
		first.endTurn()
		return port.Live{}, err
	}
	defer s.endTurn()
	if _, pub := from.current(); pub == nil || pub.port != o.Declared { // it is not there: nothing is handed over
		from.endTurn()
		return s.renew(ctx, o, env, nil)
	}
	live, err := s.renew(ctx, o, env, from)
	if err != nil {
		from.endTurn()
		return live, err
	}
	// Whoever asks for from again waits until it has ended.
	fault.Go(func() {
		defer from.endTurn()
		from.cede()
	}, routine.Logged(from.log, "the end of what was handed over"))
	return live, nil
}

// cede ends what is served, but for its port, which is another's by now.
func (s *service) cede() {
	s.drop()
	u, _ := s.current()
	if err := os.Remove(s.place.record(s.name)); err != nil && !os.IsNotExist(err) {
		s.log.Warn("forget release", "error", err)
	}
	s.become(nil, nil)
	if u != nil {
		u.finish()
		s.remove(u.order.Folder) // and no more: somebody may be laying out another release of that name
	}
	s.gate.point(nil)
	s.endLogs()
	s.log.Info("ceded its port")
}

// ceded drops from all what had ceded its port to another of them when the host ended,
// and was not forgotten yet: of two that took over from each other, the newer one stands.
func (f folder) ceded(all map[string]order) {
	for _, o := range all {
		was, there := all[o.Over]
		if !there || was.Port != o.Port || was.Name == o.Name || !o.Since.After(was.Since) {
			continue
		}
		delete(all, was.Name)
		_ = sandbox.Remove(f.served(was.Name)) // what cannot be removed is not brought back, and tidied by the next release
	}
}
