// What is deployed is looked after: brought back soon, told once, and never so often
// that it floods anything.

package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/controller/config"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func atRest(string) bool { return false }

// round is one look of a ward, a minute after the last one, at one deployment.
func (w healthWatch) round(now *time.Time, h port.Health, noted *bool) (c healthAction) {
	*now = now.Add(time.Minute)
	todo, _ := w.see(*now, []Deployment{{Branch: "main", Name: "d", Health: h, Noted: *noted}}, atRest)
	if len(todo) == 0 {
		return healthAction{}
	}
	if todo[0].note {
		*noted = !todo[0].up
	}
	return todo[0]
}

func TestWhatGoesDownIsBroughtBackAndToldOnce(t *testing.T) {
	w, now, noted := healthWatch{}, time.Unix(1000, 0), false
	if c := w.round(&now, port.Ready, &noted); c.revive || c.note {
		t.Fatalf("while all is well: %+v", c)
	}
	if c := w.round(&now, port.Down, &noted); !c.revive || !c.note || c.up {
		t.Fatalf("when it goes down: %+v", c)
	}
	for range 5 {
		if c := w.round(&now, port.Failing, &noted); c.note {
			t.Fatalf("while it is down: %+v", c)
		}
	}
	if c := w.round(&now, port.Starting, &noted); c.note {
		t.Fatal("what is starting is not back yet")
	}
	if c := w.round(&now, port.Ready, &noted); c.revive || !c.note || !c.up {
		t.Fatalf("when it is back: %+v", c)
	}
	if c := w.round(&now, port.Starting, &noted); c.revive || c.note {
		t.Fatalf("a restart that works is no trouble: %+v", c)
	}
	// A controller that is started anew finds what the ledger says.
	noted = true
	if c := (healthWatch{}).round(&now, port.Down, &noted); c.note || !c.revive {
		t.Fatalf("after a restart, still down: %+v", c)
	}
}

func TestWhatAPassIsStoppingIsNotCalledDown(t *testing.T) {
	w, now := healthWatch{}, time.Unix(1000, 0)
	busy := func(string) bool { return true }
	all := []Deployment{{Branch: "main", Name: "d"}}
	if todo, _ := w.see(now, all, busy); len(todo) != 1 || todo[0].note {
		t.Fatalf("%+v", todo)
	}
	if todo, _ := w.see(now.Add(2*time.Minute), all, busy); len(todo) != 1 || !todo[0].note {
		t.Fatalf("after two minutes: %+v", todo)
	}
	if todo, _ := w.see(now.Add(3*time.Minute), nil, atRest); len(todo) != 0 || len(w) != 0 {
		t.Fatalf("retired: %+v, %+v", todo, w)
	}
}

// However a deployment behaves for a day, it costs few entries and few tries.
func TestAFlappingDeploymentFloodsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, now, noted := healthWatch{}, time.Unix(1000, 0), false
		notes, tries := 0, 0
		up := rapid.IntRange(1, 9).Draw(t, "minutes up")
		down := rapid.IntRange(1, 9).Draw(t, "minutes down")
		for m := range 24 * 60 {
			h := port.Ready
			if m%(up+down) >= up {
				h = rapid.SampledFrom([]port.Health{port.Down, port.Failing, ""}).Draw(t, "health")
			}
			c := w.round(&now, h, &noted)
			if c.note {
				notes++
			}
			if c.revive {
				tries++
			}
		}
		if notes > 24 || tries > 24*60/5+10 {
			t.Fatalf("%d entries and %d tries in a day", notes, tries)
		}
	})
}

// guard is a site with one deployment.
type guard struct {
	*fake
	mu      sync.Mutex
	health  port.Health
	noted   bool
	mends   bool // a revival works
	revived int
	notes   []string
}

func (g *guard) Deployed(context.Context) ([]Deployment, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return []Deployment{{Branch: "main", Name: "d", Health: g.health, Noted: g.noted}}, nil
}

func (g *guard) Revive(context.Context, schemas.Ref) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.revived++
	if !g.mends {
		return fault.New(fault.Corrupt, "it is not what was laid out")
	}
	g.health = port.Ready
	return nil
}

func (g *guard) Note(_ context.Context, d Deployment, up bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.noted = !up
	g.notes = append(g.notes, fmt.Sprintf("%s up=%t", d.Name, up))
	return nil
}

func (g *guard) set(h port.Health) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.health = h
}

func TestAControllerLooksAfterWhatIsDeployed(t *testing.T) {
	g := &guard{fake: newFake("homes"), health: port.Ready, mends: true}
	passes := make(chan struct{}, 100)
	g.onBranch = func(context.Context, string) error { passes <- struct{}{}; return nil }
	c := New(Options{Config: config.Spec{Listen: "127.0.0.1:0", Poll: 20 * time.Millisecond, Webhook: config.Webhook{Off: true}}, Sites: []Repository{g}})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	<-passes // the first one
	said := func() (ready bool, text string) {
		w, mux := httptest.NewRecorder(), http.NewServeMux()
		c.health(mux, nil)
		mux.ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
		var body struct {
			Ready        bool
			Repositories []Status
		}
		raw, _ := io.ReadAll(w.Body)
		if err := json.Unmarshal(raw, &body); err != nil {
			t.Fatal(err)
		}
		return body.Ready && w.Code == http.StatusOK, string(raw)
	}
	metric := func() string {
		w := httptest.NewRecorder()
		c.metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		raw, _ := io.ReadAll(w.Body)
		for line := range strings.SplitSeq(string(raw), "\n") {
			if strings.HasPrefix(line, "vishwa_deployment_up{") {
				return line
			}
		}
		return ""
	}
	until := func(what string, is func() bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("still not: %s", what)
			}
		}
	}
	until("it is measured", func() bool { return strings.HasSuffix(metric(), `deployment="d",repository="homes"} 1`) })

	g.set(port.Down)
	until("it was brought back", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.revived == 1 && g.health == port.Ready && len(g.notes) == 2
	})
	if len(passes) > 0 {
		t.Error("a pass was asked for, though it came back without one")
	}

	g.mu.Lock()
	g.mends = false
	g.health = port.Failing
	g.mu.Unlock()
	<-passes // asked for
	until("/readyz tells of it, and stays ready", func() bool {
		ready, text := said()
		return ready && strings.Contains(text, `"unserved":[{"deployment":"d","health":"failing","since":"`)
	})
	until("it is measured", func() bool { return strings.HasSuffix(metric(), "} 0") })
	g.set(port.Ready)
	until("it is well", func() bool {
		_, text := said()
		return !strings.Contains(text, "unserved") && strings.HasSuffix(metric(), "} 1")
	})
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.notes) != 2 || g.notes[0] != "d up=false" || g.notes[1] != "d up=true" {
		t.Errorf("recorded: %q", g.notes) // the second trouble comes too soon after the first
	}
}
