// The controller's keys, which all repositories share: while they cannot be opened
// nothing that a pass did could be recorded, and so none begins.

package controller

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

const (
	keysAgain = time.Minute // at most, between two looks whether the keys open
	keysTold  = time.Hour   // between two lines about the same trouble
)

// keyring is whether the keys can be opened, as was last seen.
type keyring struct {
	try  func(context.Context) error // nil: there is nothing to open
	last atomic.Pointer[tried]       // nil: it was not seen yet

	said string // as was last logged, by who looks
	told time.Time
}

type tried struct{ err error }

// opens tells whether passes may begin.
func (k *keyring) opens() bool {
	if k.try == nil {
		return true
	}
	last := k.last.Load()
	return last != nil && last.err == nil
}

// Problem is what keeps the whole controller from its work, for readers of /readyz.
type Problem struct {
	Problem string `json:"problem"`
	Kind    string `json:"kind,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// problem is why passes do not begin; nil: they do.
func (k *keyring) problem() *Problem {
	switch last := k.last.Load(); {
	case k.opens():
		return nil
	case last == nil:
		return &Problem{Problem: "the keys are not opened yet"}
	default:
		return &Problem{last.err.Error(), fault.Of(last.err).String(), fault.WayOut(last.err)}
	}
}

// watchKeys looks now and then whether the keys still open: a file may be replaced, and
// a password be given later. It returns when ctx ends.
func (c *Controller) watchKeys(ctx context.Context) {
	if c.keys.try == nil {
		return
	}
	every := time.NewTicker(min(c.config.Poll, keysAgain))
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		c.openKeys(ctx)
	}
}

// openKeys opens them, says what is new, and lets the workers know.
func (c *Controller) openKeys(ctx context.Context) {
	if c.keys.try == nil {
		return
	}
	_, err := guarded(c.log, func() (struct{}, error) { return struct{}{}, c.keys.try(ctx) })
	if ctx.Err() != nil {
		return
	}
	was := c.keys.last.Swap(&tried{err})
	c.metrics.keysOpen(err)
	k, now := &c.keys, c.now()
	switch {
	case err != nil && (err.Error() != k.said || now.Sub(k.told) >= keysTold):
		c.log.Error("the controller's keys cannot be opened: no pass begins", "error", err, "kind", fault.Of(err).String(), "hint", fault.WayOut(err))
		k.said, k.told = err.Error(), now
	case err == nil && k.said != "":
		c.log.Info("the controller's keys are open")
		k.said = ""
	}
	if err == nil && (was == nil || was.err != nil) {
		for _, w := range c.workers {
			w.box.addTriggers(func(*triggers) {})
		}
	}
}
