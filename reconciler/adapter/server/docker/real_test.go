// Containers of a real engine serve as the port says.

package docker

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/vishwaops/vishwa/reconciler/adapter/server"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
)

func onEngine(t *testing.T) (*stage, *enginetest.DockerEngine, *client.Client) {
	t.Helper()
	engine := enginetest.Docker(t)
	return newStage(t, engine.Host, enginetest.Python(t), scripted), engine, asks(t, engine)
}

// scripted are the commands of an image with Python.
func scripted(version, how string) []string {
	return append([]string{"python3", "src/serve.py", version}, strings.Fields(how)...)
}

func asks(t *testing.T, engine *enginetest.DockerEngine) *client.Client {
	t.Helper()
	c, err := client.New(client.WithHost(engine.Host))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestDockerEngineKeepsTheServersPromises(t *testing.T) {
	porttest.Server(t, func(t *testing.T) porttest.Serving {
		s, _, _ := onEngine(t)
		return served(s)
	})
}

// realWays lead to a real engine as another machine's: through Debian's own sshd, and by the engine's own TLS.
var realWays = []string{"ssh", "tls"}

func onEngineElsewhere(t *testing.T, way string) (*stage, *client.Client) {
	t.Helper()
	engine := enginetest.Docker(t)
	host, vars := engine.TLS, map[string]string{"DOCKER_CERT_PATH": engine.Certs}
	if way == "ssh" {
		at, home := engine.SSH(t)
		host, vars = at, map[string]string{"HOME": home}
	}
	s := newStage(t, host, enginetest.Python(t), scripted)
	s.vars = vars
	s.server = s.open()
	return s, asks(t, engine)
}

func TestDockerEngineOfAnotherMachineKeepsTheServersPromises(t *testing.T) {
	for _, way := range realWays {
		t.Run(way, func(t *testing.T) {
			porttest.Server(t, func(t *testing.T) porttest.Serving {
				s, _ := onEngineElsewhere(t, way)
				return served(s)
			})
		})
	}
}

// TestDockerEngineOfAnotherMachineShowsWhatServesTheReleaseAlone: the files are there, and cannot be changed by what serves; with the
// container they go.
func TestDockerEngineOfAnotherMachineShowsWhatServesTheReleaseAlone(t *testing.T) {
	for _, way := range realWays {
		t.Run(way, func(t *testing.T) {
			s, c := onEngineElsewhere(t, way)
			t.Setenv("DECLARED", "yes")
			t.Setenv("UNDECLARED", "no")
			r := s.release("one", "1")
			r.Docker.Pass = []string{"DECLARED"}
			r.Inputs = map[string][]byte{"serving": []byte(`{"bucket":"b"}`)}
			r.Params = map[string]any{"limit": 3}
			said := s.ask(s.apply(r), "/inside")
			for _, want := range []string{"model weights of 1\n", "input {\"bucket\":\"b\"}\n", "\"limit\": 3", "write model cannot", "change model cannot", "write root cannot", "write tmp can",
				"user 65532\n", "passed yes-", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"} {
				if !strings.Contains(said, want) {
					t.Errorf("not %q", want)
				}
			}
			var log bytes.Buffer
			if err := server.Output(t.Context(), &log, s.dir, "one", false); err != nil || log.String() != "serving 1\n" {
				t.Errorf("its log is %q, %v", log.String(), err)
			}
			if t.Failed() {
				t.Errorf("inside:\n%s", said)
			}
			s.apply(port.Release{Name: "one"})
			left, err := c.VolumeList(t.Context(), client.VolumeListOptions{})
			if err != nil || len(left.Items) > 0 || len(containers(t, c)) > 0 {
				t.Errorf("left are %+v and %q, %v", left.Items, containers(t, c), err)
			}
		})
	}
}

func TestDockerEngineShowsWhatServesTheReleaseAlone(t *testing.T) {
	s, _, _ := onEngine(t)
	t.Setenv("DECLARED", "yes")
	t.Setenv("UNDECLARED", "no")
	r := s.release("one", "1")
	r.Docker.Pass = []string{"DECLARED"}
	r.Inputs = map[string][]byte{"serving": []byte(`{"bucket":"b"}`)}
	r.Params = map[string]any{"limit": 3}
	said := s.ask(s.apply(r), "/inside")
	for _, want := range []string{"model weights of 1\n", "input {\"bucket\":\"b\"}\n", "\"limit\": 3", "write model cannot", "change model cannot", "write root cannot", "write tmp can",
		"passed yes-", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"} {
		if !strings.Contains(said, want) {
			t.Errorf("not %q", want)
		}
	}
	var log bytes.Buffer
	if err := server.Output(t.Context(), &log, s.dir, "one", false); err != nil || log.String() != "serving 1\n" {
		t.Errorf("its log is %q, %v", log.String(), err)
	}
	if strings.Contains(said, "user 0\n") || t.Failed() {
		t.Errorf("inside:\n%s", said)
	}
}

// TestDockerEngineServesByThePackagesOwnImage: nothing of this machine is laid over what is in it, here and on another machine.
func TestDockerEngineServesByThePackagesOwnImage(t *testing.T) {
	for _, where := range append(slices.Sorted(maps.Keys(ways)), "here") {
		t.Run(where, func(t *testing.T) {
			var s *stage
			if where == "here" {
				s, _, _ = onEngine(t)
			} else {
				s, _ = onEngineElsewhere(t, where)
			}
			image := enginetest.Push(t, "team/price", enginetest.Image{
				Base:  enginetest.PythonImage(t),
				Files: map[string]string{"/vishwa/code/src/serve.py": serveCode, "/models/model.json": "packed weights\n", "/vishwa/params.json": "{\n  \"limit\": 3\n}\n"},
				Env:   []string{"VISHWA_MODEL_DIR=/models", "VISHWA_PARAMS=/vishwa/params.json"},
			})
			r := s.release("one", "1")
			r.Docker.Image, r.Docker.Code, r.Contained, r.Package = image, nil, true, image
			r.Inputs, r.Params = map[string][]byte{"serving": []byte("{}")}, map[string]any{"limit": 3}
			l := s.apply(r)
			said := s.ask(l, "/inside")
			for _, want := range []string{"model packed weights\n", "input {}\n", "\"limit\": 3", "write model cannot", "write root cannot"} {
				if !strings.Contains(said, want) {
					t.Errorf("not %q in\n%s", want, said)
				}
			}
			if l.Bytes != port.BytesByDigest || s.observe("one").Bytes != port.BytesByDigest {
				t.Errorf("its class is %s, then %s", l.Bytes, s.observe("one").Bytes)
			}
			if l := s.apply(s.release("one", "2")); l.Bytes != port.BytesVerified || s.ask(l, "/") != "2" {
				t.Errorf("then the class of files of this machine is %s", l.Bytes)
			}
		})
	}
}

// containers are those that serve.
func containers(t *testing.T, c *client.Client) (ids []string) {
	t.Helper()
	all, err := c.ContainerList(t.Context(), client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("label", labelOwner)})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all.Items {
		ids = append(ids, one.ID)
	}
	return ids
}

// TestDockerEngineDriftIsHealed: what is done to a container by hand, on a real engine.
func TestDockerEngineDriftIsHealed(t *testing.T) {
	s, _, c := onEngine(t)
	r := s.release("one", "1")
	r.Docker.Memory = "256Mi"
	l := s.apply(r)
	for n, drift := range []struct {
		do   func(id string) error
		says string
	}{
		{func(id string) error {
			_, err := c.ContainerRemove(t.Context(), id, client.ContainerRemoveOptions{Force: true})
			return err
		}, ""},
		{func(id string) error {
			_, err := c.ContainerKill(t.Context(), id, client.ContainerKillOptions{Signal: "SIGKILL"})
			return err
		}, ""},
		{func(id string) error {
			_, err := c.ContainerPause(t.Context(), id, client.ContainerPauseOptions{})
			return err
		}, "its container was paused"},
		{func(id string) error {
			_, err := c.ContainerUpdate(t.Context(), id, client.ContainerUpdateOptions{Resources: &container.Resources{Memory: 128 << 20, MemorySwap: 128 << 20}})
			return err
		}, "the limits of its container were changed"},
		{func(id string) error {
			_, err := c.NetworkDisconnect(t.Context(), "bridge", client.NetworkDisconnectOptions{Container: id})
			return err
		}, "the networks of its container were changed"},
	} {
		was := containers(t, c)
		if len(was) != 1 {
			t.Fatalf("%d containers before %d", len(was), n)
		}
		if err := drift.do(was[0]); err != nil {
			t.Fatal(n, err)
		}
		if drift.says != "" {
			if l := s.observe("one"); l.Health != port.Failing || l.Message != drift.says {
				t.Fatalf("observed %+v, want %q", l, drift.says)
			}
			s.apply(r)
		}
		s.until("it serves again", func() bool { l := s.observe("one"); return l.Health == port.Ready && l.Restarts == n+1 })
		if got := s.ask(l, "/"); got != "1" {
			t.Errorf("%s answers", got)
		}
	}
}

// TestDockerEngineComesBack: an engine that crashes ends its containers when it is begun again, and they
// are served again without anybody's doing.
func TestDockerEngineComesBack(t *testing.T) {
	s, engine, c := onEngine(t)
	l := s.apply(s.release("one", "1"))
	was := containers(t, c)
	engine.Crash()
	engine.Restart(t)
	s.until("another container serves", func() bool {
		now := containers(t, c)
		return len(now) == 1 && now[0] != was[0] && s.observe("one").Health == port.Ready
	})
	if got := s.ask(l, "/"); got != "1" {
		t.Errorf("%s answers", got)
	}
	s.killHost()
	l = s.apply(s.release("one", "2"))
	if got := s.ask(l, "/"); got != "2" {
		t.Errorf("%s answers", got)
	}
	s.until("the killed host's container is gone", func() bool { return len(containers(t, c)) == 1 })
	s.apply(port.Release{Name: "one"})
	if left := containers(t, c); len(left) > 0 {
		t.Errorf("left are %q", left)
	}
}
