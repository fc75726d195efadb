// Clusters that do not answer: each is waited for once in a look, however many deployments, namespaces and kinds it has, and shortly in the looks
// that follow soon, also in those of other processes.

package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// silence is a cluster that did not answer in time. How what is served there stands is not known, and nothing is told as failing.
type silence struct{ cluster string }

func (s silence) Error() string { return "cluster " + s.cluster + " did not answer in time" }

func silenced(p place) error {
	return fault.WithHint(fault.New(fault.Transient, "%w", silence{p.Name}), "is the cluster up, and reached from here? kubectl version says so")
}

// A cluster that did not answer has, for soon, no more than brief to answer another question: passes look several times, and so do people.
const (
	brief = 3 * time.Second
	soon  = time.Minute
)

// silent is when clusters did not answer that had all the time of a look, by their contexts. It is kept for the next process.
type silent struct {
	file string
	seal seal.Key
	mu   sync.Mutex
	at   map[string]time.Time
}

const silentPurpose = "clusters that did not answer"

// recall reads what another process noted, where this one has noted nothing.
func (s *silent) recall() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at != nil {
		return
	}
	s.at = map[string]time.Time{}
	raw, err := os.ReadFile(s.file)
	if err == nil {
		raw, err = s.seal.Open(silentPurpose, raw)
	}
	if err == nil && json.Unmarshal(raw, &s.at) != nil {
		s.at = map[string]time.Time{}
	}
}

// keep writes it down. Where that fails, the next process waits for as long as this one did.
func (s *silent) keep() {
	if len(s.at) == 0 {
		_ = os.Remove(s.file)
	} else if raw, err := json.Marshal(s.at); err == nil {
		_ = sandbox.WriteFile(s.file, s.seal.Wrap(silentPurpose, raw))
	}
}

// lately tells whether at was soon before now. A clock may have been turned back.
func lately(at, now time.Time) bool { return !now.Before(at) && now.Sub(at) < soon }

// patience is ctx, for a question to the cluster of p.
func (s *silent) patience(ctx context.Context, p place, now time.Time) (context.Context, context.CancelFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if was, did := s.at[p.At.Context]; did && lately(was, now) {
		return context.WithTimeout(ctx, brief)
	}
	return ctx, func() {}
}

// note notes whether the cluster of p answered. One that is asked shortly now, and does not answer, is given its time again as if it had not been.
func (s *silent) note(p place, answers bool, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, did := s.at[p.At.Context]
	switch {
	case answers && !did, !answers && did && lately(was, now):
		return
	case answers:
		delete(s.at, p.At.Context)
	default:
		if s.at == nil {
			s.at = map[string]time.Time{}
		}
		s.at[p.At.Context] = now
	}
	s.keep()
}

// answers is how a cluster answered in a look: looks at deployments that it let run out of time, and whether it answered any in time.
type answers struct {
	late int
	any  bool
}

// mostLate looks that run out of time, and none that does not, are a cluster that does not answer.
const mostLate = 2

func (v *survey) heard(p place, note func(*answers)) answers {
	v.mu.Lock()
	defer v.mu.Unlock()
	a := v.answers[p.At.Context]
	if a == nil {
		a = &answers{}
		v.answers[p.At.Context] = a
	}
	note(a)
	return *a
}

// mute notes that the cluster of p did not even say which one it is.
func (v *survey) mute(p place) { v.heard(p, func(a *answers) { a.late = mostLate }) }

// hangs is the error of a cluster that does not answer in this look; nil: it may be asked.
func (v *survey) hangs(p place) error {
	if a := v.heard(p, func(*answers) {}); a.late >= mostLate && !a.any {
		return silenced(p)
	}
	return nil
}

// patiently has a look at what rec says is served. A cluster may say which one it is and nothing further: one that has let a look run out of time,
// and has answered no other, has little for the next one, and none for those after that.
func (v *survey) patiently(ctx context.Context, rec record, look func(context.Context) (port.Live, error)) (port.Live, error) {
	if rec.Served == nil || ctx.Err() != nil {
		return look(ctx)
	}
	p := rec.Served.Place
	if err := v.hangs(p); err != nil {
		return port.Live{}, err
	}
	within, done := ctx, func() {}
	if a := v.heard(p, func(*answers) {}); a.late > 0 && !a.any {
		within, done = context.WithTimeout(ctx, brief)
	}
	defer done()
	l, err := look(within)
	switch {
	case err == nil:
		v.heard(p, func(a *answers) { a.any = true })
	case errors.As(err, new(silence)):
	case errors.Is(within.Err(), context.DeadlineExceeded):
		if a := v.heard(p, func(a *answers) { a.late++ }); !a.any {
			v.silent.note(p, false, v.o.Env.Now())
		}
		err = silenced(p)
	}
	return l, err
}
