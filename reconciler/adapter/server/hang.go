// A host that is there and does not answer: somebody stopped it, or it hangs. Whoever asks is told which process that is and what to do about
// it, and waits no longer.

package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/holder"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// answersWithin is how long the host may take to say that it is there, as at its beginning.
const answersWithin = startWithin

// lookWithin is how long it may take to say how a release stands, which are four probes at most. Those who look wait longer, and hear why.
const lookWithin = 9 * time.Second

func (l line) patience() time.Duration { return cmp.Or(l.within, answersWithin) }

// hung says that a host is there and does not answer.
type hung string

func (h hung) Error() string { return string(h) }

// bounded is ctx for a request. What names no release is answered at once, and how one stands within the time of its probes. What else is asked
// may take as long as a release does, for as long as the host says meanwhile that it is there.
func (l line) bounded(ctx context.Context, method, path string) (context.Context, func()) {
	switch {
	case strings.HasSuffix(path, "/"):
		return context.WithTimeout(ctx, l.patience())
	case method == http.MethodGet:
		return context.WithTimeout(ctx, min(lookWithin, l.patience()*3/4))
	}
	within, end := context.WithCancelCause(ctx)
	fault.Go(func() { l.watch(within, end, nil) }, end)
	return within, func() { end(nil) }
}

// Who asks may have been stopped for a while, and not the host: one question without an answer says nothing. A host lets go of its lock soon after
// it takes no more connections.
const (
	mostSilent = 2
	mostGone   = 12
)

// errAnother is another host, which began once the one before had gone.
var errAnother = errors.New("another serving host has begun")

// watch ends what waits for the host once it says no more that it is there; and with there, where that is given, once a host goes on saying so.
func (l line) watch(ctx context.Context, end func(error), there error) {
	each := line{l.dir, l.key, l.patience() / 2}
	for silent, gone, well := 0, 0, 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(l.patience() / 4):
		}
		_, err := each.request(ctx, http.MethodGet, protocol, nil)
		switch {
		case errors.As(err, new(hung)):
			silent++
		case errors.Is(err, errGone) && !errors.Is(err, errLeaving):
			gone, err = gone+1, l.silent(0)
		case err == nil:
			silent, gone, well = 0, 0, well+1
		default: // it answers, be it that it is leaving
			silent, gone, well = 0, 0, 0
		}
		if there != nil && well == mostSilent {
			err = there
		} else if silent < mostSilent && gone < mostGone {
			continue
		}
		end(err)
		return
	}
}

// unheard is why a request that had within got no answer of the host, which is process pid.
func (l line) unheard(within context.Context, pid int) error {
	if why := context.Cause(within); errors.As(why, new(hung)) {
		return why
	}
	return l.silent(pid)
}

// silent is the error of a host that does not answer; 0: which process it is is not known.
func (l line) silent(pid int) error {
	const back = "then run vishwa apply: it begins another, which brings back what was served"
	says := func(what, way string, args ...any) error {
		return fault.WithHint(fault.New(fault.Transient, "%w", hung("ask the serving host: "+what)), way+"; "+back, args...)
	}
	lock := folder(l.dir).path(hostLock)
	switch {
	case pid <= 0:
		return says("it does not answer", "end the process that holds %s (fuser %[1]s tells which)", lock)
	case holder.Stopped(pid):
		return says(fmt.Sprintf("process %d is stopped", pid), "let it go on: kill -CONT %d; or end it: kill -KILL %[1]d", pid)
	default:
		return says(fmt.Sprintf("process %d does not answer", pid), "where this machine is busy, wait and run the command again; else end it: kill -KILL %d", pid)
	}
}

// left returns when the host has gone, which said that it would: it holds its lock until the last process of a
// release is gone.
func (l line) left(ctx context.Context) error {
	within, end := context.WithCancelCause(ctx)
	defer end(nil)
	fault.Go(func() { l.watch(within, end, errAnother) }, end)
	held, err := sandbox.Lock(within, folder(l.dir).path(hostLock))
	switch why := context.Cause(within); {
	case err == nil:
		return held.Close()
	case errors.Is(why, errAnother): // somebody began it in the moment between
		return nil
	case ctx.Err() == nil && why != nil:
		return why
	default:
		return err
	}
}

// survey is a look at many names: a host that hangs is waited for once, and not for every name.
type survey struct {
	*local
	mu   sync.Mutex
	hung error
}

var _ port.Surveyor = (*local)(nil)

// Survey looks at many names at once.
func (s *local) Survey() port.Observer { return &survey{local: s} }

func (v *survey) Observe(ctx context.Context, name string) (port.Live, error) {
	v.mu.Lock()
	known := v.hung
	v.mu.Unlock()
	if known != nil {
		return port.Live{}, known
	}
	live, err := v.local.Observe(ctx, name)
	if errors.As(err, new(hung)) {
		v.mu.Lock()
		v.hung = err
		v.mu.Unlock()
	}
	return live, err
}
