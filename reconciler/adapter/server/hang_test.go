// A host that was stopped is told, with what to do about it, and not waited for.

package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/holder"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// stop stops the host, until the end of the test or until goOn is called. Meanwhile it has so long to answer.
func (s *stage) stop(within time.Duration) (pid int, goOn func()) {
	s.t.Helper()
	if pid = s.hostPID(); pid == 0 {
		s.t.Fatal("no host runs")
	}
	goOn = func() {
		syscall.Kill(pid, syscall.SIGCONT)
		s.patient(0)
	}
	s.t.Cleanup(goOn)
	syscall.Kill(pid, syscall.SIGSTOP)
	s.until("the host is stopped", func() bool { return holder.Stopped(pid) })
	s.patient(within)
	return pid, goOn
}

// patient gives the host so long to answer.
func (s *stage) patient(within time.Duration) {
	if cfg := &s.server.(*local).cfg; cfg.Answers != within { // somebody may be asking
		cfg.Answers = within
	}
}

// tells insists that err says what to do about the host pid, which is stopped.
func tells(t *testing.T, what string, pid int, err error) {
	t.Helper()
	if err == nil || fault.Of(err) != fault.Transient || !strings.Contains(err.Error(), fmt.Sprintf("process %d is stopped", pid)) {
		t.Errorf("%s: %v (%s)", what, err, fault.Of(err))
	}
	for _, way := range []string{fmt.Sprintf("kill -CONT %d", pid), fmt.Sprintf("kill -KILL %d", pid), "vishwa apply"} {
		if !strings.Contains(fault.HintOf(err), way) {
			t.Errorf("%s: it says to %q, without %s", what, fault.HintOf(err), way)
		}
	}
}

// TestAStoppedHostIsToldWhateverItIsAsked: nobody waits for it for ever, and it serves as before once it goes on.
func TestAStoppedHostIsToldWhateverItIsAsked(t *testing.T) {
	s := newStage(t)
	first, second := s.release("one", "1"), s.release("one", "2")
	s.apply(first)
	pid, goOn := s.stop(700 * time.Millisecond)
	splits := s.server.(port.Splitter)
	for what, ask := range map[string]func(context.Context) error{
		"how it stands": func(ctx context.Context) error { _, err := s.server.Observe(ctx, "one"); return err },
		"what stands":   func(ctx context.Context) error { _, err := s.server.Apply(ctx, first); return err },
		"a release":     func(ctx context.Context) error { _, err := s.server.Apply(ctx, second); return err },
		"a trial": func(ctx context.Context) error {
			_, err := splits.Split(ctx, second, port.Part{Weight: 10})
			return err
		},
		"a trial's end": func(ctx context.Context) error {
			_, err := splits.Join(ctx, "one", port.Trial{Key: second.Key}, true)
			return err
		},
		"to come back": func(ctx context.Context) error {
			_, err := s.server.(port.Reviver).Revive(ctx, "one", first.Key)
			return err
		},
		"to retire": func(ctx context.Context) error { _, err := s.server.Apply(ctx, port.Release{Name: "one"}); return err },
		"to leave":  func(ctx context.Context) error { _, err := down(ctx, s); return err },
	} {
		t.Run(what, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			tells(t, what, pid, ask(ctx))
		})
	}
	goOn()
	s.until("it is as before", func() bool {
		l, err := s.server.Observe(t.Context(), "one")
		return err == nil && l.Key == first.Key && l.Health == port.Ready
	})
	if now := s.apply(second); s.get(now, "/version") != "2" {
		t.Errorf("the next release: %+v", now)
	}
}

// down is Down by a line that waits no longer than s does.
func down(ctx context.Context, s *stage) (bool, error) {
	l, err := s.server.(*local).line()
	if err != nil {
		return false, err
	}
	return l.down(ctx)
}

// TestAHostThatIsStoppedAtWorkIsTold: what it was asked for may take an hour, and it is known meanwhile that the host is there.
func TestAHostThatIsStoppedAtWorkIsTold(t *testing.T) {
	s := newStage(t)
	l := s.apply(s.release("one", "1"))
	s.patient(4 * time.Second)
	slow := s.release("one", "2", "never", "marker=stopped-at-work")
	slow.Timeout = time.Hour
	ended := make(chan error, 1)
	go func() { _, err := s.server.Apply(context.Background(), slow); ended <- err }()
	s.until("the new process runs", func() bool { return len(running("marker=stopped-at-work")) == 1 })
	select {
	case err := <-ended:
		t.Fatalf("it was not waited for: %v", err)
	case <-time.After(5 * time.Second): // longer than a host has to answer
	}
	pid, goOn := s.stop(4 * time.Second)
	select {
	case err := <-ended:
		tells(t, "a release", pid, err)
	case <-time.After(time.Minute):
		t.Fatal("it is waited for still")
	}
	goOn()
	s.until("the new process is gone", func() bool { return len(running("marker=stopped-at-work")) == 0 })
	if got := s.get(l, "/version"); got != "1" {
		t.Errorf("%s answers", got)
	}
}

// TestAHostThatIsStoppedAsItLeavesIsTold: it was asked to, and said that it would.
func TestAHostThatIsStoppedAsItLeavesIsTold(t *testing.T) {
	s := newStage(t)
	l := s.apply(s.release("one", "1"))
	s.patient(4 * time.Second)
	go func() {
		if a, err := http.Get(l.URL + "/slow?for=10s"); err == nil { // it is let finish first
			a.Body.Close()
		}
	}()
	time.Sleep(200 * time.Millisecond) // so that it is under way
	ended := make(chan error, 1)
	go func() { _, err := down(context.Background(), s); ended <- err }()
	s.until("it leaves", func() bool {
		line, err := s.server.(*local).line()
		if err == nil {
			_, err = line.ask(t.Context(), "GET", "", nil)
		}
		return errors.Is(err, errLeaving)
	})
	pid, goOn := s.stop(4 * time.Second)
	select {
	case err := <-ended:
		tells(t, "to leave", pid, err)
	case <-time.After(time.Minute):
		t.Fatal("it is waited for still")
	}
	goOn()
	s.until("the host has left", func() bool { return s.hostPID() == 0 })
}

// TestWhoWaitsForAHostToLeaveDoesNotWaitForTheNext: somebody may begin one in the moment in which the one before has gone.
func TestWhoWaitsForAHostToLeaveDoesNotWaitForTheNext(t *testing.T) {
	s := newStage(t)
	s.apply(s.release("one", "1"))
	l, err := s.server.(*local).line()
	if err != nil {
		t.Fatal(err)
	}
	l.within = 4 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := l.left(ctx); err != nil {
		t.Error(err)
	}
	if now := s.observe("one"); now.Health != port.Ready {
		t.Errorf("the next one: %+v", now)
	}
}

// TestAStoppedHostIsEndedAsItIsSaid: what its error says to do brings back what was served.
func TestAStoppedHostIsEndedAsItIsSaid(t *testing.T) {
	s := newStage(t)
	r := s.release("one", "1")
	l := s.apply(r)
	pid, _ := s.stop(0)
	syscall.Kill(pid, syscall.SIGKILL)
	s.until("the host is gone", func() bool { return s.hostPID() == 0 })
	if now := s.apply(r); now.URL != l.URL || s.get(now, "/version") != "1" {
		t.Errorf("brought back: %+v, was %+v", now, l)
	}
}

// TestAStoppedHostIsWaitedForOnceInALook: however many deployments it has.
func TestAStoppedHostIsWaitedForOnceInALook(t *testing.T) {
	s := newStage(t)
	s.apply(s.release("one", "1"))
	pid, _ := s.stop(2 * time.Second)
	look := s.server.(port.Surveyor).Survey()
	began := time.Now()
	for i := range 100 {
		_, err := look.Observe(t.Context(), []string{"one", fmt.Sprint("two-", i)}[min(i, 1)])
		tells(t, "how it stands", pid, err)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("100 deployments took %s, and one 1.5s", took)
	}
}

// TestAVishwaThatDoesNotBeginAHostIsTold: another that waits for it names the lock that it holds.
func TestAVishwaThatDoesNotBeginAHostIsTold(t *testing.T) {
	s := newStage(t)
	s.patient(100 * time.Millisecond)
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	held, err := sandbox.Lock(t.Context(), folder(s.dir).path(startLock))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = s.server.Apply(ctx, s.release("one", "1"))
	if fault.Of(err) != fault.Transient || !strings.Contains(fault.HintOf(err), startLock) {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}
	held.Close()
	s.patient(0)
	s.apply(s.release("one", "1"))
}
