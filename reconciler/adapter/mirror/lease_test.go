// The lease: one holder at a time, and what a slow or hung remote costs it.

package mirror

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/gitledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
)

func leaseOf(t testing.TB, url, holder string, d time.Duration) *Lease {
	t.Helper()
	return &Lease{Mirror: mirrorOf(t, url), Holder: holder, Duration: d}
}

func acquire(t testing.TB, l *Lease) (held context.Context, release func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	held, release, err := l.Acquire(ctx, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	return held, release
}

// TestOneHolderAtATime: while one holds the lease and shows signs of life another waits,
// and is in as soon as it is given back.
func TestOneHolderAtATime(t *testing.T) {
	remote, _ := newClones(t, 1)
	a, b := leaseOf(t, remote, "a", 2*time.Second), leaseOf(t, remote, "b", 2*time.Second)
	_, release := acquire(t, a)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	told := ""
	if _, _, err := b.Acquire(ctx, func(s string) { told = s }); fault.Of(err) != fault.Cancelled || err == nil || !strings.Contains(told, "a holds the lease") {
		t.Fatalf("the second got %v, told %q", err, told)
	}
	if !a.Held() || b.Held() {
		t.Fatalf("held by a: %v, by b: %v", a.Held(), b.Held())
	}
	release()
	_, release = acquire(t, b)
	release()
}

// TestLostHolderRecordsNothing: who gives no sign of life is followed by another after
// the duration, and can append no more: that is a Conflict, and the ledger stands still.
func TestLostHolderRecordsNothing(t *testing.T) {
	remote, clones := newClones(t, 1)
	gone := leaseOf(t, remote, "gone", time.Second)
	if err := gone.acquire(t.Context(), func(string) {}); err != nil { // and never renewed
		t.Fatal(err)
	}
	l := openLedger(t, clones[0], func(o *gitledger.Options) { o.Fence = gone.Fence })
	mustAppend(t, l, trained(1))
	was := git(t, remote, "rev-parse", "vishwa/ledger")
	_, release := acquire(t, leaseOf(t, remote, "next", time.Second))
	defer release()
	_, err := l.Append(t.Context(), trained(2))
	wantFault(t, err, fault.Conflict)
	if is := git(t, remote, "rev-parse", "vishwa/ledger"); is != was {
		t.Errorf("the ledger moved from %s to %s", was, is)
	}
}

// TestRenewalIsInNobodysWay: appends of the holder land while the lease is renewed all the time.
func TestRenewalIsInNobodysWay(t *testing.T) {
	remote, clones := newClones(t, 1)
	a := leaseOf(t, remote, "a", time.Hour)
	if err := a.acquire(t.Context(), func(string) {}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	beats := 0
	wg.Go(func() {
		for ; ctx.Err() == nil; beats++ {
			a.mu.Lock()
			from, next := a.at, a.was
			a.mu.Unlock()
			next.Beat++
			if err := a.move(ctx, from, next); err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
			_ = httpx.Sleep(ctx, 5*time.Millisecond)
		}
	})
	l := openLedger(t, clones[0], func(o *gitledger.Options) { o.Fence = a.Fence })
	for i := range 20 {
		if _, err := l.Append(t.Context(), trained(i)); err != nil {
			t.Errorf("append %d of 20: %v", i, err)
			break
		}
	}
	stop()
	wg.Wait()
	t.Logf("20 appends during %d renewals", beats)
}

// TestASlowSignOfLifeKeepsTheLease: on a busy machine, or over a slow line, one that takes longer than the time between two.
func TestASlowSignOfLifeKeepsTheLease(t *testing.T) {
	t.Parallel()
	s, _, _ := gittest.OverHTTP(t, 1)
	l := leaseOf(t, s.URL+"/remote.git", "a", 12*time.Second)
	held, release := acquire(t, l)
	s.Breaks(gittest.Broken{Push: func(git http.Handler, w http.ResponseWriter, r *http.Request) {
		_ = httpx.Sleep(r.Context(), 4500*time.Millisecond) // longer than the 4 s between two signs
		git.ServeHTTP(w, r)
	}})
	select {
	case <-held.Done():
		t.Error("lost, though signs of it came in time")
	case <-time.After(15 * time.Second):
	}
	s.Breaks(gittest.Broken{})
	release()
}

// TestHungRemoteEndsTheLease: a remote that hangs costs the holder its lease, and does
// not keep it acting for ever.
func TestHungRemoteEndsTheLease(t *testing.T) {
	s, _, _ := gittest.OverHTTP(t, 1)
	l := leaseOf(t, s.URL+"/remote.git", "a", 3*time.Second)
	held, release := acquire(t, l)
	hang := make(chan struct{})
	s.Breaks(gittest.Broken{Hang: hang})
	began := time.Now()
	select {
	case <-held.Done():
		t.Logf("lost after %v of 3 s", time.Since(began))
	case <-time.After(5 * time.Second):
		t.Error("the lease is held after 12 s, want it lost")
	}
	s.Breaks(gittest.Broken{})
	close(hang)
	release()
}
