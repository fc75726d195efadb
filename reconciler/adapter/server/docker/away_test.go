// What somebody does to a container by hand, and what comes of it where the host or the engine is away for a while.

package docker

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dockerengine/dockertest"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// What somebody does to a container by hand is healed, or seen and then healed by an apply.
func TestDriftByHandIsFoundAndHealed(t *testing.T) {
	for name, drift := range map[string]struct {
		do   func(e *dockertest.Engine, b *dockertest.Box)
		says string // empty: it heals by itself
	}{
		"stopped": {func(e *dockertest.Engine, b *dockertest.Box) {
			e.Mu.Lock()
			defer e.Mu.Unlock()
			e.Exit(b, 137)
		}, ""},
		"removed": {func(e *dockertest.Engine, b *dockertest.Box) {
			e.Mu.Lock()
			defer e.Mu.Unlock()
			delete(e.Boxes, b.ID)
			e.Exit(b, 137)
		}, ""},
		"begun again": {func(e *dockertest.Engine, b *dockertest.Box) {
			e.Mu.Lock()
			defer e.Mu.Unlock()
			if err := e.Again(b); err != nil {
				t.Error(err)
			}
		}, ""},
		"paused": {func(e *dockertest.Engine, b *dockertest.Box) { e.Pause(b) }, "its container was paused"},
		"limits": {func(e *dockertest.Engine, b *dockertest.Box) {
			e.Mu.Lock()
			defer e.Mu.Unlock()
			b.Host["Memory"] = 1 << 40
		}, "the limits of its container were changed"},
	} {
		t.Run(name, func(t *testing.T) {
			s, e := onDouble(t)
			r := s.release("one", "1")
			s.apply(r)
			was := the(t, e, "one")
			drift.do(e, was)
			if drift.says != "" {
				if l := s.observe("one"); l.Health != port.Failing || l.Message != drift.says {
					t.Fatalf("observed %+v", l)
				}
				s.apply(r)
			}
			s.until("it serves again", func() bool { l := s.observe("one"); return l.Health == port.Ready && l.Restarts == 1 })
			if now := the(t, e, "one"); now.ID == was.ID {
				t.Error("it is the container that was changed")
			}
		})
	}
}

// What a container wrote before it ended is in the error, and its memory is said to have run out.
func TestWhyAContainerEndedIsSaid(t *testing.T) {
	for command, want := range map[string][]string{"badly": {"exit status 7", "it did not go", "well"}, "hog": {"for want of memory, of which its container has 64 MiB"}} {
		s, _ := onDouble(t)
		r := s.release("one", "1")
		r.Docker.Command, r.Docker.Memory = []string{command}, "64Mi"
		_, err := s.server.Apply(t.Context(), r)
		for _, text := range want {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: not %q in: %v", command, text, err)
			}
		}
	}
}

// Nothing that is not its owner's is touched, whatever it is called.
func TestWhatIsNotOursIsLeftAlone(t *testing.T) {
	s, e := onDouble(t)
	r := s.release("one", "1")
	for name, labels := range map[string]dockertest.Object{
		"vishwa-one":     {},
		"vishwa-one-abc": {labelName: "one"},
		"theirs":         {labelOwner: "somebody", labelName: "one", labelUnit: "r-1"},
	} {
		b := &dockertest.Box{ID: name, Name: name, Config: dockertest.Object{"Labels": labels}}
		b.Set("running", 0)
		e.Boxes[b.ID] = b
	}
	before := e.Names()
	s.apply(r)
	s.killHost()
	s.apply(r)
	s.apply(port.Release{Name: "one"})
	if after := e.Names(); !slices.Equal(before, after) {
		t.Errorf("before %q, after %q", before, after)
	}
}

// A host that is killed leaves its container; the next one begins its own and takes that away.
func TestAKilledHostLeavesNoSecondContainer(t *testing.T) {
	s, e := onDouble(t)
	r := s.release("one", "1")
	s.apply(r)
	was := the(t, e, "one")
	s.killHost()
	if l := s.observe("one"); l.Health != port.Down {
		t.Fatalf("without a host: %+v", l)
	}
	l := s.apply(r)
	if now := the(t, e, "one"); now.ID == was.ID || s.ask(l, "/version") != "1" {
		t.Error("the container of the killed host goes on")
	}
	s.killHost()
	s.apply(port.Release{Name: "one"}) // without a host, too
	if left := e.Names(); len(left) > 0 {
		t.Errorf("left are %q", left)
	}
}

// An engine that is away takes nothing from those who ask, and lets nothing be called gone.
func TestAnEngineThatIsAwayEndsNothing(t *testing.T) {
	s, e := onDouble(t)
	r := s.release("one", "1")
	l := s.apply(r)
	end := e.Outage()
	if got := s.ask(l, "/version"); got != "1" {
		t.Errorf("%s answers", got)
	}
	if _, err := s.server.Apply(t.Context(), s.release("one", "2")); fault.Of(err) != fault.Transient || fault.HintOf(err) == "" {
		t.Errorf("a release without an engine: %v, %s", err, fault.Of(err))
	}
	if got := s.ask(l, "/version"); got != "1" {
		t.Errorf("%s answers", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := s.server.Apply(ctx, port.Release{Name: "one"}); fault.Of(err) != fault.Transient {
		t.Errorf("retired without an engine: %v", err)
	}
	end()
	s.apply(port.Release{Name: "one"})
	if left := e.Names(); len(left) > 0 {
		t.Errorf("left are %q", left)
	}
	if a, err := http.Get(l.URL + "/version"); err == nil {
		a.Body.Close()
		t.Errorf("%s answers after retiring", l.URL)
	}
}

// What a container writes is kept, also what it writes after the engine was away for a moment.
func TestALogGoesOnAfterTheEngineWasAway(t *testing.T) {
	s, e := onDouble(t)
	s.apply(s.release("one", "1"))
	b := the(t, e, "one")
	end := e.Outage()
	e.Mu.Lock()
	b.Log = "written after it\n"
	e.Mu.Unlock()
	end()
	s.until("it is in the log", func() bool {
		raw, err := os.ReadFile(filepath.Join(s.dir, "served", "one", "log"))
		return err == nil && strings.Contains(string(raw), "written after it")
	})
}
