// The lease: of several controllers of one repository one acts, and another takes
// over where it is gone. It is a ref of the repository itself, moved by
// compare-and-swap; no clock is compared with another machine's.

package mirror

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/failpoint"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
)

// LeaseRef is where the lease is kept.
const LeaseRef = "refs/vishwa/lease"

// Lease lets one holder at a time act on a mirror's remote.
type Lease struct {
	Mirror   *Mirror
	Holder   string        // this controller; a holder that comes back takes up its own lease
	Duration time.Duration // without a sign of life after which another takes over
	// Ref is where it is kept, for the time that it is held; "" is LeaseRef, which stays.
	Ref string

	turn   sync.Mutex // one pass of this process holds the lease at a time
	moving sync.Mutex // the ref is moved, or a push counts on where it is
	taken  time.Time  // before the session in which it was: others count from no earlier
	mu     sync.Mutex
	at     string  // SHA that is ours; "": none
	known  reading // what was written or read last: nobody need fetch it to know what it says
}

// reading is what the ref said, and where it was then.
type reading struct {
	sha  string
	term term
}

// longestLease bounds what another holder may ask to be waited for, in seconds.
const longestLease = 3600

// term is one holding of the lease, as the ref's commit tells it.
type term struct {
	Holder   string `json:"holder"`
	Token    int64  `json:"token"` // fencing: each term has a higher one
	Beat     int64  `json:"beat"`  // signs of life in this term
	Seconds  int64  `json:"seconds"`
	Released bool   `json:"released,omitempty"`
	Word     string `json:"word,omitempty"` // random: no two holdings have commits of one name
}

func (l *Lease) ref() string {
	if l.Ref == "" {
		return LeaseRef
	}
	return l.Ref
}

// Acquire waits for the lease, telling through tell who holds it. Held ends where
// the lease is lost; release gives it back, so that the next need not wait.
func (l *Lease) Acquire(ctx context.Context, tell func(string)) (held context.Context, release func(), err error) {
	l.turn.Lock()
	if err := l.acquire(ctx, tell); err != nil {
		l.turn.Unlock()
		return ctx, nil, fmt.Errorf("take the lease: %w", err)
	}
	failpoint.At(failpoint.Leased)
	held, lose := context.WithCancelCause(ctx)
	stop, done := make(chan struct{}), make(chan struct{})
	fault.Go(func() {
		defer close(done)
		l.renew(held, l.taken, stop, lose)
	}, lose) // what is not renewed is not held for long
	return held, func() {
		close(stop)
		<-done
		lose(nil)
		l.giveBack(context.WithoutCancel(ctx))
		l.turn.Unlock()
	}, nil
}

// Fence has push done with the ref and the value without which it must not be taken
// in. Without the lease nothing is pushed, and that is a Conflict.
func (l *Lease) Fence(push func(ref, sha string) error) error {
	l.moving.Lock()
	defer l.moving.Unlock()
	l.mu.Lock()
	at := l.at
	l.mu.Unlock()
	if at == "" {
		return gitremote.LostLease()
	}
	return push(l.ref(), at)
}

// Held tells whether the lease is ours.
func (l *Lease) Held() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at != ""
}

func (l *Lease) acquire(ctx context.Context, tell func(string)) error {
	var seen string
	var since time.Time
	for lost := 0; ; {
		patience, err := l.attempt(ctx, &seen, &since)
		wait := min(l.Duration/4, time.Second)
		switch {
		case err != nil && fault.Of(err) == fault.Conflict: // it moved on meanwhile, or somebody was faster
			if lost++; lost%10 == 0 {
				tell(fmt.Sprintf("The lease of this repository could not be taken %d times, and is tried again: %v", lost, err))
			}
			wait = min(wait, 10*time.Millisecond<<min(lost, 10))
		case err != nil || patience == 0:
			return err
		default:
			tell(fmt.Sprintf("%s holds the lease of this repository; waiting for it to end, or to give no sign of life for %s.", printableName(l.known.term.Holder), patience))
		}
		if err := httpx.Sleep(ctx, wait); err != nil {
			return fault.New(fault.Cancelled, "wait for the lease: %w", err)
		}
	}
}

// attempt takes the lease in one session, where it may be had. Else it is for how long another has to be silent.
func (l *Lease) attempt(ctx context.Context, seen *string, since *time.Time) (patience time.Duration, err error) {
	began := time.Now()
	s, err := l.Mirror.takes(ctx)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	at := there(s, l.ref())
	if at == "" {
		l.known = reading{}
	} else if at != l.known.sha {
		if err := l.readTerm(ctx, at); err != nil {
			return 0, err
		}
	}
	if at != *seen {
		*seen, *since = at, time.Now()
	}
	t := l.known.term
	patience = max(time.Duration(min(t.Seconds, longestLease))*time.Second, l.Duration)
	if at != "" && !t.Released && t.Holder != l.Holder && time.Since(*since) < patience {
		return patience, nil
	}
	l.taken = began
	soon, cancel := context.WithDeadline(ctx, began.Add(l.silence())) // later it would be lost as soon as it is had
	defer cancel()
	next := term{Holder: l.Holder, Token: t.Token + 1, Seconds: int64(l.Duration / time.Second), Word: rand.Text()[:8]}
	err = l.write(soon, s, at, next)
	if k := fault.Of(err); err != nil && (k == fault.Transient || k == fault.Cancelled) { // the remote may have taken it all the same
		if m, merr := next.mark(); merr == nil {
			l.mu.Lock()
			l.at, l.known = m.sha, reading{m.sha, next}
			l.mu.Unlock()
			l.giveBack(context.WithoutCancel(ctx))
		}
	}
	return 0, err
}

func (t term) mark() (mark, error) {
	text, err := json.Marshal(t)
	if err != nil {
		return mark{}, fault.New(fault.Internal, "encode lease: %w", err)
	}
	return newMark(text)
}

// readTerm has known what the lease's commit says.
func (l *Lease) readTerm(ctx context.Context, sha string) error {
	switch err := l.Mirror.Fetch(ctx, l.ref()); {
	case err != nil && fault.Of(err) == fault.Missing:
		return fault.New(fault.Conflict, "the lease was given back while it was read")
	case err != nil:
		return err
	}
	text, err := l.Mirror.git(ctx, "cat-file", "commit", sha)
	if fault.Of(err) == fault.Internal && err != nil {
		return fault.New(fault.Conflict, "the lease moved on while it was read")
	}
	if err != nil {
		return err
	}
	_, message, _ := strings.Cut(text, "\n\n")
	var t term
	if err := json.Unmarshal([]byte(message), &t); err != nil {
		return fault.WithHint(fault.New(fault.Corrupt, "%s is not a lease: %w", l.ref(), err), "look who wrote it, and delete it: git push origin --delete %s", l.ref())
	}
	l.known = reading{sha, t}
	return nil
}

// move writes the next term where the ref is still at from. Another value is a Conflict.
func (l *Lease) move(ctx context.Context, from string, next term) error {
	for !l.moving.TryLock() { // a push that counts on the ref is under way
		if err := httpx.Sleep(ctx, 10*time.Millisecond); err != nil {
			return fault.New(fault.Cancelled, "move the lease: %w", err)
		}
	}
	defer l.moving.Unlock()
	s, err := l.Mirror.takes(ctx)
	if err != nil {
		return fmt.Errorf("move the lease: %w", err)
	}
	defer s.Close()
	return l.write(ctx, s, from, next)
}

// write is move in a session that is open.
func (l *Lease) write(ctx context.Context, s *gitremote.Receive, from string, next term) error {
	m, err := next.mark()
	if err != nil {
		return err
	}
	if err := l.Mirror.point(ctx, s, l.ref(), from, m); err != nil {
		return fmt.Errorf("move the lease: %w", err)
	}
	l.mu.Lock()
	l.at, l.known = m.sha, reading{m.sha, next}
	l.mu.Unlock()
	return nil
}

// silence is how long a holder may show no sign of life before it counts the lease as lost: before another may think it gone.
func (l *Lease) silence() time.Duration { return l.Duration * 5 / 6 }

// renew shows signs of life until stop, each a third of the duration after the last one that was seen; the first was at last.
// One has all the time until the lease counts as lost: a machine that is busy is slow, and not gone. Where none could be shown until then, or somebody else took over, the lease is lost.
func (l *Lease) renew(ctx context.Context, last time.Time, stop <-chan struct{}, lose context.CancelCauseFunc) {
	due := time.NewTimer(time.Until(last.Add(l.Duration / 3)))
	defer due.Stop()
	var began time.Time // of the first try of a sign: the remote may have taken it then, and its answer was lost
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-due.C:
		}
		l.mu.Lock()
		at, next := l.at, l.known.term
		l.mu.Unlock()
		next.Beat++
		if began.IsZero() {
			began = time.Now()
		}
		beat, done := context.WithDeadline(ctx, last.Add(l.silence()))
		err := l.move(beat, at, next)
		done()
		switch {
		case err == nil:
			last, began = began, time.Time{}
			due.Reset(time.Until(last.Add(l.Duration / 3)))
		case ctx.Err() != nil:
			return
		case fault.Of(err) == fault.Conflict, time.Since(last) >= l.silence():
			l.mu.Lock()
			l.at = ""
			l.mu.Unlock()
			lose(gitremote.LostLease())
			return
		default:
			due.Reset(min(l.Duration/12, time.Until(last.Add(l.silence()))))
		}
	}
}

// giveBack says that the next need not wait. Where that cannot be said, they wait.
func (l *Lease) giveBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	l.mu.Lock()
	at, next := l.at, l.known.term
	l.mu.Unlock()
	if at == "" {
		return
	}
	next.Released = true
	err := error(nil)
	if l.Ref == "" {
		err = l.move(ctx, at, next)
	} else {
		err = l.Mirror.strike(ctx, l.Ref, at)
	}
	if err != nil && fault.Of(err) != fault.Conflict { // else it is another's, or never was ours
		l.Mirror.o.Env.Log.Warn("the lease could not be given back; the next controller waits for it", "error", err)
	}
	l.mu.Lock()
	l.at = ""
	l.mu.Unlock()
}

// printableName keeps what another controller calls itself on one short line.
func printableName(s string) string {
	s = harmless.Line(s)
	if len(s) > 80 {
		s = strings.ToValidUTF8(s[:80], "")
	}
	return s
}
