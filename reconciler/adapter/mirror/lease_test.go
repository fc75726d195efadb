// The lease: one holder at a time, and what a slow or hung remote costs it.

package mirror

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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
			from, next := a.at, a.known.term
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

// TestALeaseThatNobodyConfirmedIsNotHeld: an empty answer, as of a gateway, tells nothing of whether the remote took it.
func TestALeaseThatNobodyConfirmedIsNotHeld(t *testing.T) {
	t.Parallel()
	s, _, _ := gittest.OverHTTP(t, 1)
	l := leaseOf(t, s.URL+"/remote.git", "a", time.Hour)
	s.Breaks(gittest.Broken{Push: func(_ http.Handler, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-git-receive-pack-result")
	}})
	_, _, err := l.Acquire(t.Context(), func(string) {})
	wantFault(t, err, fault.Transient)
	if l.Held() || !strings.Contains(err.Error(), "did not say whether it took "+LeaseRef) {
		t.Errorf("held: %v, %v", l.Held(), err)
	}
}

// TestALeaseThatIsHadTooLateIsNotHeld: others count from the moment at which the ref moved, and not from the answer.
func TestALeaseThatIsHadTooLateIsNotHeld(t *testing.T) {
	t.Parallel()
	s, _, _ := gittest.OverHTTP(t, 1)
	l := leaseOf(t, s.URL+"/remote.git", "a", 3*time.Second)
	s.Breaks(gittest.Broken{Push: func(git http.Handler, w http.ResponseWriter, r *http.Request) {
		moved := httptest.NewRecorder()
		git.ServeHTTP(moved, r)
		_ = httpx.Sleep(r.Context(), 4*time.Second)
	}})
	if _, release, err := l.Acquire(t.Context(), func(string) {}); err == nil || l.Held() {
		release()
		t.Errorf("held after 4 s of 3: %v", err)
	}
	s.Breaks(gittest.Broken{})
	held, release := acquire(t, l) // its own holding, which it takes up again
	defer release()
	if held.Err() != nil || !l.Held() {
		t.Error("not taken up again")
	}
}

// TestAFolderWhoseHookHangsKeepsNobody: the lease is lost in time, and whoever let it go goes on.
func TestAFolderWhoseHookHangsKeepsNobody(t *testing.T) {
	t.Parallel()
	remote, _ := newClones(t, 1)
	l := leaseOf(t, remote, "a", 3*time.Second)
	held, release := acquire(t, l)
	hook := filepath.Join(git(t, remote, "rev-parse", "--absolute-git-dir"), "hooks", "post-receive")
	if err := errors.Join(os.MkdirAll(filepath.Dir(hook), 0o755), os.WriteFile(hook, []byte("#!/bin/sh\nexec sleep 30\n"), 0o755)); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	select {
	case <-held.Done():
	case <-time.After(12 * time.Second):
		t.Fatal("it is held though no sign of life was confirmed")
	}
	release()
	if took := time.Since(began); took > 12*time.Second {
		t.Errorf("letting go took %v", took)
	}
}

// TestATryThatIsCutOffLeavesNoLease: whoever is ended while the remote takes the lease gives it back, so that nobody waits for it.
func TestATryThatIsCutOffLeavesNoLease(t *testing.T) {
	t.Parallel()
	s, remote, _ := gittest.OverHTTP(t, 1)
	l := leaseOf(t, s.URL+"/remote.git", "a", time.Hour)
	l.Ref = "refs/vishwa/pull/7"
	ctx, end := context.WithCancel(t.Context())
	var once sync.Once
	s.Breaks(gittest.Broken{Push: func(git http.Handler, w http.ResponseWriter, r *http.Request) {
		answer := w
		once.Do(func() { answer = httptest.NewRecorder() })
		git.ServeHTTP(answer, r)
		if answer != w {
			end()
			<-r.Context().Done()
		}
	}})
	_, _, err := l.Acquire(ctx, func(string) {})
	wantFault(t, err, fault.Cancelled)
	if left := git(t, remote, "for-each-ref", "refs/vishwa/pull"); left != "" || l.Held() {
		t.Errorf("left is %q, held %v", left, l.Held())
	}
}
