// Traefik, a real one, finds what a real engine serves by the labels of its containers.

package docker

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
	"github.com/vishwaops/vishwa/schemas"
)

// byHost is what one request for a host is answered by, through Traefik.
func byHost(t *testing.T, host string) func() (version string, err error) {
	return porttest.ByHost(t, enginetest.Entry+"/v1/models", host)
}

// TestDockerTraefikLosesNoRequest: from one release to the next, past one that does not come up, by a trial and back, and when what Traefik is
// told is another thing.
func TestDockerTraefikLosesNoRequest(t *testing.T) {
	s, engine, c := onEngine(t)
	engine.Traefik(t)
	ask := byHost(t, "one.example.com")
	release := func(version string, how ...string) port.Release {
		r := s.release("one", version, how...)
		r.Docker.Port, r.Docker.Traefik = 18080, &schemas.Traefik{Host: "one.example.com"}
		return r
	}
	answers := func(want string) {
		t.Helper()
		porttest.Until(t, time.Minute, want+" answers through Traefik", func() bool { got, err := ask(); return err == nil && got == want }, func() any { _, err := ask(); return err })
	}
	s.apply(release("1"))
	answers("1")
	asks := porttest.Ask(t, ask)
	if _, err := s.server.Apply(t.Context(), release("broken", "exit")); err == nil {
		t.Error("a release that ends at once was applied")
	}
	asks.Meanwhile("a broken release is applied", "1")
	s.apply(release("2"))
	time.Sleep(follows)
	asks.Meanwhile("a second takes its place", "1", "2")
	try, three := s.server.(port.Splitter), release("3")
	if _, err := try.Split(t.Context(), three, port.Part{Weight: 40}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(follows)
	asks.Meanwhile("a third is tried", "2", "3")
	if _, err := try.Join(t.Context(), "one", port.Trial{Key: three.Key}, false); err != nil {
		t.Fatal(err)
	}
	time.Sleep(follows)
	asks.Meanwhile("it is given up", "2", "3")
	four := release("4")
	four.Docker.Traefik.Path = "/v1"
	s.apply(four)
	time.Sleep(follows)
	asks.Meanwhile("a fourth has labels of its own", "2", "4")
	asks.End()
	if _, err := byHost(t, "another.example.com")(); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a host of nobody: %v", err)
	}

	// A container that ends takes its labels with it: Traefik answers that there is nothing, until the next one has been seen.
	was := containers(t, c)
	if _, err := c.ContainerKill(t.Context(), was[0], client.ContainerKillOptions{Signal: "SIGKILL"}); err != nil {
		t.Fatal(err)
	}
	s.until("another serves", func() bool {
		now := containers(t, c)
		return len(now) == 1 && !slices.Equal(now, was)
	})
	answers("4")
	s.apply(port.Release{Name: "one"})
	porttest.Until(t, time.Minute, "Traefik knows nothing of what is retired", func() bool { _, err := ask(); return err != nil && strings.Contains(err.Error(), "404") }, nil)
}

// follows is until Traefik surely does as labels say: it looks at most every two seconds.
const follows = 5 * time.Second
