// Several replicas of one controller share its repositories: each is worked on by the replica that rendezvous hashing
// gives it to, of those that are alive. That only settles who tries first. Where two see it differently for a while, the
// lease of the repository still lets one of them act.

package controller

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Roll is where the replicas of a controller find each other. Each has a name on it that is its own, and beside it a mark
// that is another one at each sign of life. No clock is compared with another machine's.
type Roll interface {
	// Self is the name of this replica.
	Self() string
	// Sign gives a sign of life, and tells the mark of each name.
	Sign(ctx context.Context) (marks map[string]string, err error)
	// Strike takes a name off that still has this mark; any mark where it is "".
	Strike(ctx context.Context, name, mark string) error
}

// mostReplicas bounds what a roll is taken for: who may write to it could fill it.
const mostReplicas = 100

// muster knows which replicas are alive. It is a plain value that one loop owns; time comes as an argument.
type muster struct {
	self     string
	patience time.Duration // without a sign of life after which a replica is taken for gone
	seen     map[string]sighting
}

// sighting is a mark, and since when it stands.
type sighting struct {
	mark  string
	since time.Time
}

// note takes in what is on the roll, and tells what has stood there unchanged for so long that it can be struck off.
func (m *muster) note(marks map[string]string, now time.Time) (left map[string]string) {
	seen := map[string]sighting{}
	left = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(marks))[:min(len(marks), mostReplicas)] {
		s, known := m.seen[name]
		if !known || s.mark != marks[name] {
			s = sighting{marks[name], now}
		}
		seen[name] = s
		if name != m.self && now.Sub(s.since) >= 2*m.patience {
			left[name] = s.mark
		}
	}
	m.seen = seen
	return left
}

// alive are the replicas that gave a sign of life of late, this one always among them, and until when that stays so if none gives another.
func (m *muster) alive(now time.Time) (names []string, until time.Time) {
	names = []string{m.self}
	for name, s := range m.seen {
		ends := s.since.Add(m.patience)
		if name == m.self || !now.Before(ends) {
			continue
		}
		names = append(names, name)
		if until.IsZero() || ends.Before(until) {
			until = ends
		}
	}
	slices.Sort(names)
	return names, until
}

// keeper is the replica that a repository is given to: the one with the highest score. A replica that comes takes its
// share from all, and the share of one that goes is spread over all: nothing else moves.
func keeper(repository digest.Digest, alive []string) string {
	return slices.MaxFunc(alive, func(a, b string) int {
		return cmp.Or(cmp.Compare(score(repository, a), score(repository, b)), cmp.Compare(a, b))
	})
}

func score(repository digest.Digest, replica string) uint64 {
	sum := sha256.Sum256([]byte(replica + "\x00" + string(repository)))
	return binary.BigEndian.Uint64(sum[:])
}

// shareOut keeps the roll, and works on what is this replica's, until ctx ends.
func (c *Controller) shareOut(ctx context.Context) {
	patience := c.config.Lease.Duration
	m := &muster{self: c.roll.Self(), patience: patience}
	heard, sign, tries := c.now(), c.now(), 0
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if !c.now().Before(sign) {
			left, err := c.sign(ctx, m)
			wait := patience / 3
			if err != nil && ctx.Err() == nil {
				tries++
				wait = min(c.spread(cmp.Or(Next(err, tries), wait)), wait)
				c.log.Log(ctx, severity(fault.Of(err), tries), "find the other replicas", "error", err, "kind", fault.Of(err).String(), "hint", fault.WayOut(err), "tries", tries, "again", wait.String())
			} else {
				heard, tries = c.now(), 0
			}
			sign = c.now().Add(wait)
			c.strike(ctx, left)
		}
		alive, next := m.alive(c.now())
		switch {
		case c.now().Sub(heard) >= patience:
			if alone := []string{m.self}; c.share(alone) {
				c.log.Warn("the other replicas cannot be found, so this one works on all repositories; the lease of each lets one of them act", "for", c.now().Sub(heard).String())
			}
		case len(m.seen) > 0:
			c.share(alive)
		}
		if next.IsZero() || sign.Before(next) {
			next = sign
		}
		timer.Reset(max(next.Sub(c.now()), time.Millisecond))
	}
}

// sign gives a sign of life and takes in those of the others.
func (c *Controller) sign(ctx context.Context, m *muster) (left map[string]string, err error) {
	ctx, cancel := context.WithTimeout(ctx, max(m.patience/3, time.Second))
	defer cancel()
	marks, err := guarded(c.log, func() (map[string]string, error) { return c.roll.Sign(ctx) })
	if err != nil {
		return nil, err
	}
	return m.note(marks, c.now()), nil
}

// strike takes off the roll who gave no sign of life for long. Whoever still lives signs again.
func (c *Controller) strike(ctx context.Context, left map[string]string) {
	for name, mark := range left {
		if _, err := guarded(c.log, func() (struct{}, error) { return struct{}{}, c.roll.Strike(ctx, name, mark) }); err != nil && fault.Of(err) != fault.Conflict && ctx.Err() == nil {
			c.log.Debug("a replica that gives no sign of life cannot be taken off the roll", "replica", name, "error", err)
		}
	}
}

// leave takes this replica off the roll, so that the others need not wait.
func (c *Controller) leave() {
	if c.roll == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := guarded(c.log, func() (struct{}, error) { return struct{}{}, c.roll.Strike(ctx, c.roll.Self(), "") }); err != nil {
		c.log.Warn("this replica could not be taken off the roll; the others wait for its signs of life", "error", err)
	}
}

// share gives this replica what is its own while these are alive, and tells whether they are others than before.
func (c *Controller) share(alive []string) (changed bool) {
	if slices.Equal(alive, c.alive) {
		return false
	}
	self := c.roll.Self()
	var come, gone []*worker
	held := 0
	for _, w := range c.workers {
		ours := keeper(w.key(), alive) == self
		if ours {
			held++
		}
		switch {
		case ours && !w.ours.Load():
			come = append(come, w)
		case !ours && w.ours.Load():
			gone = append(gone, w)
		}
	}
	c.log.Info("repositories are shared", "replicas", len(alive), "before", len(c.alive), "repositories", held, "come", len(come), "gone", len(gone))
	c.alive = alive
	c.metrics.shared(len(alive), held)
	apart := min(c.config.Poll, time.Duration(len(come))*20*time.Millisecond)
	for _, w := range come {
		w.wakeIn.Store(int64(c.fraction() * float64(apart)))
	}
	for _, w := range slices.Concat(come, gone) {
		w.ours.Store(!w.ours.Load())
		w.box.addTriggers(func(*triggers) {}) // it looks what is new
	}
	c.shared.Store(true)
	return true
}

// elsewhere tells whether the repository is another replica's now. Then it rests, and is taken up again where it comes back.
func (w *worker) elsewhere(now time.Time) bool {
	if w.c.roll == nil {
		return false
	}
	if !w.ours.Load() {
		w.rest()
		return true
	}
	if w.resting {
		w.resting = false
		at := now.Add(time.Duration(w.wakeIn.Load()))
		w.pollAt, w.openAt, w.attendAt, w.sweepAt = at, at, at.Add(w.c.spread(min(w.c.config.Poll, attendEvery))), time.Time{}
		w.load()
	}
	return false
}

// rest lets everything of the repository go, once what is under way has ended. No pass is cut off: it holds the lease.
func (w *worker) rest() {
	w.box.takeTriggers()
	if w.resting || w.active > 0 {
		return
	}
	w.save()
	if w.site != nil {
		w.close()
	}
	w.measure(-w.depth)
	w.site, w.resting, w.again = nil, true, false
	w.agenda, w.calendar, w.ward = newWorkQueue(), scheduler{}, healthWatch{}
	w.tries.open, w.tries.look, w.tries.sweep, w.tries.attend = 0, 0, 0, 0
	w.state.Store(nil)
	w.ill.Store(nil)
	w.speaker.Store(nil)
}
