// How logs of many runs are read on, piece by piece: each look is a request, and each opening of
// a whole log reads it from its beginning.

package dispatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Logs remembers how far the logs of runs were read. Its zero value has read none.
type Logs struct {
	mu    sync.Mutex
	looks map[string]*look           // by run, while it is under way
	open  map[digest.Digest]*reading // whole logs
}

// look is when a log that grows was looked at: what says nothing for a while is looked at more
// and more seldom.
type look struct {
	at   int64 // where the piece that was read last ended
	next time.Time
	wait time.Duration
}

// The times between two looks at a log that says nothing.
const (
	leastUnlooked = 500 * time.Millisecond
	mostUnlooked  = 10 * time.Second
)

// Due tells whether the log of a run is to be asked for what follows offset.
func (l *Logs) Due(run string, offset int64, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := l.looks[run]
	return seen == nil || seen.at != offset || !now.Before(seen.next)
}

// Follows tells whether offset is where the piece ended that was read last.
func (l *Logs) Follows(run string, offset int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := l.looks[run]
	return seen != nil && seen.at == offset
}

// Noted notes what a look brought: n bytes from offset.
func (l *Logs) Noted(run string, offset int64, n int, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := l.looks[run]
	if seen == nil || n > 0 || seen.at != offset {
		if l.looks == nil {
			l.looks = map[string]*look{}
		}
		l.looks[run] = &look{at: offset + int64(n), wait: leastUnlooked / 2}
		return
	}
	seen.wait = min(2*seen.wait, mostUnlooked)
	seen.next = now.Add(seen.wait)
}

// Forget drops what is remembered of a run.
func (l *Logs) Forget(run string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.looks, run)
}

// reading is a whole log that somebody reads from its beginning to its end.
type reading struct {
	body io.ReadCloser
	at   int64
}

// mostOpen is how many logs are kept open for who reads on.
const mostOpen = 4

// mostRead is how much of a log is read at once, in bytes.
const mostRead = 1 << 20

// Kept is at most 1 MiB of a log in the store.
func (l *Logs) Kept(ctx context.Context, store port.Store, log digest.Digest, offset int64) ([]byte, error) {
	o, err := l.at(ctx, store, log, offset)
	if o == nil || err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(o.body, mostRead))
	if err != nil || len(raw) < mostRead {
		o.body.Close()
		if err != nil {
			return nil, fmt.Errorf("read log: %w", err)
		}
		return raw, nil
	}
	o.at += int64(len(raw))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open = map[digest.Digest]*reading{}
	}
	for other, x := range l.open {
		if len(l.open) < mostOpen && other != log {
			break
		}
		x.body.Close()
		delete(l.open, other)
	}
	l.open[log] = o
	return raw, nil
}

// at is a log that is open at offset; none where it ends before.
func (l *Logs) at(ctx context.Context, store port.Store, log digest.Digest, offset int64) (*reading, error) {
	l.mu.Lock()
	o := l.open[log]
	delete(l.open, log)
	l.mu.Unlock()
	if o != nil && o.at == offset {
		return o, nil
	}
	if o != nil {
		o.body.Close()
	}
	in, err := store.Get(context.WithoutCancel(ctx), log) // who reads on may be another call
	if err != nil {
		return nil, fmt.Errorf("read log: %w", err)
	}
	if _, err := io.CopyN(io.Discard, in, offset); err != nil {
		in.Close()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, fmt.Errorf("read log: %w", err)
	}
	return &reading{in, offset}, nil
}
