// A renamed deployment hands its port over: no request finds it empty, and where the
// successor does not prove itself, what was there goes on.

package server

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// at is r at a port of this machine that was free just now.
func at(t *testing.T, r port.Release) port.Release {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r.Local.Port = l.Addr().(*net.TCPAddr).Port
	return r
}

// over is the release of another name that takes was's place.
func (s *stage) over(was port.Release, name, version string, how ...string) port.Release {
	r := s.release(name, version, how...)
	r.Local.Port, r.Over = was.Local.Port, was.Name
	return r
}

func TestARenamedReleaseHandsItsPortOver(t *testing.T) {
	s := newStage(t)
	first := at(t, s.release("one", "old"))
	l := s.apply(first)
	pid := s.get(l, "/pid")
	for how, says := range map[string]string{"exit": "exit status 3", "never": "not ready", "die=100ms": "exit status 9"} {
		bad := s.over(first, "two", "bad "+how, how)
		bad.Timeout = 2 * time.Second
		if _, err := s.server.Apply(context.Background(), bad); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", how, err)
		}
		if got := s.get(l, "/pid"); got != pid || s.observe("one").Health != port.Ready {
			t.Errorf("%s: process %s answers, and %s did before; it is %s", how, got, pid, s.observe("one").Health)
		}
	}
	stop := load(l.URL) // what dies with traffic costs the requests that it had; nothing else does
	if _, err := s.server.Apply(context.Background(), s.over(first, "two", "never works", "exit")); err == nil {
		t.Error("a broken release was applied")
	}
	now := s.apply(s.over(first, "two", "new"))
	if now.URL != l.URL || s.get(now, "/version") != "new" {
		t.Errorf("%s answers %s", now.URL, s.get(now, "/version"))
	}
	back := s.apply(s.over(s.over(first, "two", "new"), "one", "back")) // and the other way round
	if s.get(back, "/version") != "back" {
		t.Error("it does not come back")
	}
	again := s.apply(s.over(first, "two", "newest"))
	asked, lost := stop()
	if len(lost) > 0 || asked < 100 {
		t.Errorf("%d of %d requests lost, the first: %s", len(lost), asked, fmt.Sprint(lost[:min(1, len(lost))]))
	}
	s.apply(port.Release{Name: "one"}) // as the plan says after that
	if left := s.observe("one"); left.Key != "" || lives(pid) || s.get(again, "/version") != "newest" {
		t.Errorf("of the old one is left: %+v, process %v", left, lives(pid))
	}
	s.killHost()
	s.apply(s.over(first, "two", "newest")) // a new host brings back one of them
	if s.get(again, "/version") != "newest" || s.observe("one").Key != "" {
		t.Errorf("%s answers", s.get(again, "/version"))
	}
}

func TestNobodyHandsOverWhatTheyDoNotHave(t *testing.T) {
	s := newStage(t)
	other, stranger := at(t, s.release("one", "1")), at(t, s.release("x", "1"))
	l := s.apply(other)
	taken, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", stranger.Local.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	next := s.over(other, "two", "2")
	next.Local.Port = stranger.Local.Port
	if _, err := s.server.Apply(context.Background(), next); fault.Of(err) != fault.Conflict {
		t.Errorf("another program's port: %v", err)
	}
	for _, name := range []string{"nobody", "two"} {
		next = at(t, s.release("two", "2"))
		next.Over = name
		s.apply(next)
	}
	if s.get(l, "/version") != "1" {
		t.Error("who keeps their port was ended")
	}
	next.Over = "../one"
	if _, err := s.server.Apply(context.Background(), next); err == nil {
		t.Error("a name that is none was taken")
	}
}

// TestAHostThatEndedInAHandOverBringsBackTheSuccessor: it was recorded, and the one before
// was not forgotten yet.
func TestAHostThatEndedInAHandOverBringsBackTheSuccessor(t *testing.T) {
	s := newStage(t)
	first := at(t, s.release("one", "old"))
	s.apply(first)
	record, err := os.ReadFile(folder(s.dir).record("one"))
	if err != nil {
		t.Fatal(err)
	}
	second := s.over(first, "two", "new")
	l := s.apply(second)
	s.until("the old one has ended", func() bool { return s.observe("one").Key == "" })
	s.apply(port.Release{Name: "one"})
	s.killHost()
	if err := os.MkdirAll(folder(s.dir).served("one"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder(s.dir).record("one"), record, 0o600); err != nil {
		t.Fatal(err)
	}
	s.apply(second)
	if s.get(l, "/version") != "new" || s.observe("one").Key != "" {
		t.Errorf("%s answers, and of the old one there is %+v", s.get(l, "/version"), s.observe("one"))
	}
}
