// A look at all that stands on clusters: each cluster is asked once which it is, and for what there is of a kind. What was found
// to be as it is declared is remembered, so that another process need not ask again what the cluster would make of it.

package kubernetes

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// survey is one look.
type survey struct {
	*server
	begun   time.Time
	mu      sync.Mutex
	at      map[spot]*led
	answers map[string]*answers // by the context of their cluster
}

// coarse is how far the times of files may lag behind.
const coarse = 2 * time.Second

// spot is a place that is asked once.
type spot struct {
	at  schemas.Cluster
	uid string
	git bool
}

// led is what leads to a spot.
type led struct {
	mu   sync.Mutex
	kube *kube.Client
	err  error
}

// Survey observes by what is asked once for all names.
func (s *server) Survey() port.Observer {
	s.silent.recall()
	return &survey{server: s, begun: s.o.Env.Now(), at: map[spot]*led{}, answers: map[string]*answers{}}
}

// Renew lends anew as the server does. A cluster that did not answer is not asked again for every name.
func (v *survey) Renew(ctx context.Context, name string) error {
	if v.unknown(name) {
		return nil
	}
	rec, err := v.readRecord(name)
	if err != nil || !rec.due(v.o.Env.Now()) {
		return err
	}
	if rec.Served != nil {
		if _, err := v.lead(ctx, rec.Served.Place); err != nil {
			return err
		}
	}
	return v.server.Renew(ctx, name)
}

// Observe tells of a name by what was asked for all. What was recorded of it since, or about then, is held against what is there now: what
// was asked before would be called a change by hand.
func (v *survey) Observe(ctx context.Context, name string) (port.Live, error) {
	info, err := os.Stat(v.file(filepath.Base(name)))
	if err != nil || info.ModTime().After(v.begun.Add(-coarse)) {
		return v.server.Observe(ctx, name)
	}
	rec, err := v.readRecord(name)
	if err != nil {
		return port.Live{}, err
	}
	l, err := v.patiently(ctx, rec, func(ctx context.Context) (port.Live, error) { return v.observeBy(ctx, name, rec, v.lead) })
	if errors.As(err, new(silence)) {
		err = fault.WithHint(err, "%s; where that cluster will not come back, remove %s", fault.HintOf(err), v.file(name))
	}
	return l, err
}

// lead is there, for the look. A cluster that does not answer, or not in time, is not asked again for every name.
func (v *survey) lead(ctx context.Context, p place) (*kube.Client, error) {
	v.mu.Lock()
	at := spot{p.At, p.UID, p.Git != nil}
	l := v.at[at]
	if l == nil {
		l = &led{}
		v.at[at] = l
	}
	v.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kube != nil || l.err != nil {
		return l.kube, l.err
	}
	if err := ctx.Err(); err != nil { // nobody was asked
		return nil, fault.New(fault.Cancelled, "ask cluster %s: %w", p.Name, err)
	}
	if l.err = v.hangs(p); l.err != nil {
		return nil, l.err
	}
	within, done := v.silent.patience(ctx, p, v.o.Env.Now())
	defer done()
	c, err := v.there(within, p)
	late := err != nil && errors.Is(within.Err(), context.DeadlineExceeded)
	if err == nil || late {
		v.silent.note(p, !late, v.o.Env.Now())
	}
	switch {
	case err == nil:
		l.kube = c.Together(owned.LabelOwner + "=" + v.owner)
	case late:
		v.mute(p)
		l.err = silenced(p)
	case fault.Of(err) != fault.Cancelled:
		l.err = err
	default:
		return nil, err
	}
	return l.kube, l.err
}

// memory is what was found to be as it is declared, by name.
type memory struct {
	mu sync.Mutex
	of map[string]*owned.Settled
}

// differs says what of a name's objects is not as declared; "" is nothing.
func (s *server) differs(ctx context.Context, c *kube.Client, name string, all []owned.Object) (string, error) {
	seen := s.recall(name)
	drift, err := seen.Drift(ctx, s.hand(c, name), all)
	if kept := seen.Keep(); kept != nil {
		if err := sandbox.WriteFile(s.seenFile(name), s.o.Seal.Wrap(seenOf(name), kept)); err != nil {
			s.o.Env.Log.Debug("what was found as declared is not remembered: the next process asks the cluster again", "deployment", name, "error", err)
		}
	}
	return drift, err
}

func (s *server) seenFile(name string) string { return filepath.Join(s.o.Dir, name+".seen") }

// seenOf says what is sealed; its number changes with how objects are compared.
func seenOf(name string) string { return "seen on a cluster, 2 " + name }

func (s *server) recall(name string) *owned.Settled {
	s.seen.mu.Lock()
	defer s.seen.mu.Unlock()
	if known := s.seen.of[name]; known != nil {
		return known
	}
	raw, err := os.ReadFile(s.seenFile(name))
	if err == nil {
		raw, err = s.o.Seal.Open(seenOf(name), raw)
	}
	if err != nil {
		raw = nil
	}
	if s.seen.of == nil {
		s.seen.of = map[string]*owned.Settled{}
	}
	known := owned.Recall(raw)
	s.seen.of[name] = known
	return known
}
