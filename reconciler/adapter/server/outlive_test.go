// What is served outlives its host, its machine and what is wrong with a release.

package server

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func TestACrashIsRestarted(t *testing.T) {
	s := newStage(t)
	l := s.apply(s.release("one", "1"))
	http.Get(l.URL + "/crash")                                                       // loses its own answer, of course
	s.until("its end is seen", func() bool { return s.observe("one").Restarts > 0 }) // until then a request may reach what is dying
	if got := s.get(l, "/version"); got != "1" {
		t.Fatalf("%q answers", got)
	}
	now := s.observe("one")
	if now.Restarts != 1 || now.Health != port.Ready {
		t.Fatalf("after a crash: %+v", now)
	}
}

func TestARestartThatFailsIsToldAndHealed(t *testing.T) {
	s := newStage(t)
	once := filepath.Join(t.TempDir(), "once")
	r := s.release("one", "1", "once="+once)
	l := s.apply(r)
	http.Get(l.URL + "/crash")
	s.until("it is failing and says why", func() bool {
		now := s.observe("one")
		return now.Health == port.Failing && strings.Contains(now.Message, "not a second time")
	})
	a, err := http.Get(l.URL + "/version")
	if err != nil {
		t.Fatal(err)
	}
	a.Body.Close()
	if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
		t.Fatalf("while nothing runs the port answers %s %v", a.Status, a.Header)
	}
	os.Remove(once)
	if now := s.apply(r); now.Health != port.Ready || now.URL != l.URL {
		t.Fatalf("applied again: %+v", now)
	}
}

func TestAReleaseThatNeverWorksLeavesTheOldOneAndNoProcess(t *testing.T) {
	cases := map[string]struct {
		how  []string
		says []string
	}{
		"exits":                        {[]string{"exit"}, []string{"exit status 3", "no such column"}},
		"never ready":                  {[]string{"never"}, []string{"not ready after 1s", "503"}},
		"dies once it has the traffic": {[]string{"die=100ms"}, []string{"exit status 9", "dying as asked"}},
		"sickens once it has it":       {[]string{"sicken=50ms"}, []string{"no longer ready", "503"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			l := s.apply(s.release("one", "1"))
			pid := s.get(l, "/pid")
			child := filepath.Join(t.TempDir(), "child")
			bad := s.release("one", "2", append([]string{"child=" + child, "deaf"}, c.how...)...)
			bad.Timeout = time.Second
			_, err := s.server.Apply(context.Background(), bad)
			if err == nil || fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
				t.Fatalf("error %v, kind %s, way out %q", err, fault.Of(err), fault.HintOf(err))
			}
			for _, want := range c.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q:\n%v", want, err)
				}
			}
			if got := s.get(l, "/pid"); got != pid {
				t.Errorf("process %s answers, %s did before", got, pid)
			}
			if left := running("tiny", "child="+child); len(left) > 0 {
				t.Errorf("processes %v are left", left)
			}
			if raw, _ := os.ReadFile(child); len(raw) == 0 {
				t.Error("it began no child")
			} else {
				s.until("its child has ended", func() bool { return !lives(string(raw)) })
			}
			if !only(s) {
				t.Errorf("folders %v are left", folder(s.dir).releases("one"))
			}
		})
	}
}

func TestACorruptStoreKeepsTheOldRelease(t *testing.T) {
	s := newStage(t)
	r := s.release("one", "1")
	l := s.apply(r)
	next := s.release("one", "2")
	for d := range s.store {
		s.store[d] = []byte("flipped")
	}
	if _, err := s.server.Apply(context.Background(), next); fault.Of(err) != fault.Corrupt {
		t.Fatalf("from a corrupt store: %v (%s)", err, fault.Of(err))
	}
	if got := s.get(l, "/version"); got != "1" {
		t.Fatalf("%s answers", got)
	}
	s.apply(r) // what is well needs no store
}

func TestAChangedModelIsNotServed(t *testing.T) {
	s := newStage(t)
	r := s.release("one", "1")
	l := s.apply(r)
	o := s.recorded("one")
	file := filepath.Join(folder(s.dir).release("one", o.Folder), "model", "model.json")
	os.Chmod(file, 0o600)
	if err := os.WriteFile(file, []byte("poison"), 0o600); err != nil {
		t.Fatal(err)
	}
	http.Get(l.URL + "/crash")
	s.until("it is failing and says why", func() bool {
		now := s.observe("one")
		return now.Health == port.Failing && strings.Contains(now.Message, "model/model.json has mode 0600")
	})
	s.apply(r)
	if got := s.get(l, "/world"); strings.Contains(got, "poison") || !strings.Contains(got, "weights of 1") {
		t.Fatal("the changed model is served")
	}
}

func TestAKilledHostIsBroughtBack(t *testing.T) {
	s := newStage(t)
	child := filepath.Join(t.TempDir(), "child")
	r, other := s.release("one", "1", "child="+child), s.release("two", "1")
	r.Local.Pass = []string{"DECLARED"}
	t.Setenv("DECLARED", "yes")
	l, m := s.apply(r), s.apply(other)
	grandchild, _ := os.ReadFile(child)
	s.killHost()
	down := s.observe("one")
	if down.Health != port.Down || down.Key != r.Key || down.URL != l.URL || down.Message == "" || s.hostPID() != 0 {
		t.Fatalf("with its host killed: %+v", down)
	}
	s.store = nil // what was laid out needs no store
	now := s.apply(r)
	if now.URL != l.URL || now.Health != port.Ready || !now.Since.Equal(l.Since) {
		t.Fatalf("brought back: %+v, was %+v", now, l)
	}
	if !strings.Contains(s.get(l, "/world"), `"DECLARED":"yes"`) {
		t.Error("a passed variable did not come back")
	}
	if got := s.get(m, "/version"); got != "1" { // held until it answers
		t.Fatalf("the other release: %s", got)
	}
	s.until("the grandchild of the killed host has ended", func() bool { return !lives(string(grandchild)) })
}

func TestARebootIsSurvived(t *testing.T) {
	s := newStage(t)
	r := s.release("one", "1")
	l := s.apply(r)
	pid := s.get(l, "/pid")
	s.killHost()
	s.until("all is dead", func() bool { return !lives(pid) })
	if now := s.apply(s.release("one", "2")); now.URL != l.URL || s.get(now, "/version") != "2" {
		t.Fatalf("a new release after a reboot: %+v", now)
	}
}

func TestATerminatedHostFinishesWhatIsUnderWay(t *testing.T) {
	s := newStage(t)
	l := s.apply(s.release("one", "1"))
	slow := make(chan string)
	go func() {
		a, err := http.Get(l.URL + "/slow?for=1s")
		if err != nil {
			slow <- err.Error()
			return
		}
		defer a.Body.Close()
		b, _ := io.ReadAll(a.Body)
		slow <- string(b)
	}()
	time.Sleep(100 * time.Millisecond) // so that it is under way
	syscall.Kill(s.hostPID(), syscall.SIGTERM)
	if got := <-slow; got != "1" {
		t.Fatalf("the request under way got %q", got)
	}
	s.until("the host has left", func() bool { return s.hostPID() == 0 })
	if now := s.observe("one"); now.Health != port.Down {
		t.Fatalf("after SIGTERM: %+v", now)
	}
}

func TestAHostWithNothingToServeLeaves(t *testing.T) {
	s := newStage(t)
	s.apply(s.release("one", "1"))
	s.apply(port.Release{Name: "one"})
	s.until("the host has left", func() bool { return s.hostPID() == 0 })
	if left := folder(s.dir).names(); len(left) > 0 {
		t.Fatalf("left behind: %v", left)
	}
}
