// What people rely on when they deploy to a container, on an engine in this process.

package docker

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dockerengine/dockertest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

// onDouble is a stage on an engine in this process.
func onDouble(t *testing.T) (*stage, *dockertest.Engine) {
	t.Helper()
	e := dockertest.New(t)
	return newStage(t, "unix://"+e.Socket, dockertest.Image, doubled), e
}

// doubled are the commands of the double.
func doubled(version, how string) []string {
	switch how {
	case "exit":
		return []string{"badly"}
	case "never":
		return []string{"forever"}
	}
	return []string{"serves", version}
}

func served(s *stage) porttest.Serving {
	return porttest.Serving{
		Server: s.server,
		Good:   func(name, version string) port.Release { return s.release(name, version) },
		Broken: func(name, version string) port.Release { return s.release(name, version, "exit") },
		Hung: func(name, version string) port.Release {
			r := s.release(name, version, "never")
			r.Timeout = time.Hour
			return r
		},
	}
}

func TestContainersKeepTheServersPromises(t *testing.T) {
	porttest.Server(t, func(t *testing.T) porttest.Serving {
		s, _ := onDouble(t)
		return served(s)
	})
}

// the is the one container that stands for name.
func the(t *testing.T, e *dockertest.Engine, name string) *dockertest.Box {
	t.Helper()
	e.Mu.Lock()
	defer e.Mu.Unlock()
	var found []*dockertest.Box
	for _, b := range e.Boxes {
		if labels, _ := b.Config["Labels"].(dockertest.Object); labels[labelName] == name && labels[labelOwner] != "somebody" {
			found = append(found, b)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d containers serve %s", len(found), name)
	}
	return found[0]
}

func TestAContainerOfThePackagesOwnImageHasNothingLaidOverIt(t *testing.T) {
	s, e := onDouble(t)
	r := s.release("one", "1")
	r.Contained = true
	if l := s.apply(r); l.Bytes != port.BytesByDigest {
		t.Errorf("its class is %s", l.Bytes)
	}
	b := the(t, e, "one")
	raw, err := json.Marshal(b.Host["Mounts"])
	if err != nil {
		t.Fatal(err)
	}
	if text := string(raw); strings.Contains(text, "/vishwa/code") || strings.Contains(text, "/vishwa/model") || !strings.Contains(text, "/vishwa/params.json") {
		t.Errorf("it has %s", text)
	}
	if raw, err = json.Marshal(b.Config["Env"]); err != nil || strings.Contains(string(raw), "VISHWA_MODEL_DIR") {
		t.Errorf("its variables are %s, %v", raw, err)
	}
}

func TestAContainerIsGivenNothingToUseAgainstItsMachine(t *testing.T) {
	s, e := onDouble(t)
	t.Setenv("DECLARED", "yes")
	t.Setenv("UNDECLARED", "no")
	r := s.release("one", "1")
	r.Docker.Pass = []string{"DECLARED"}
	r.Docker.CPU, r.Docker.Memory = "500m", "64Mi"
	r.Inputs = map[string][]byte{"serving": []byte("{}")}
	l := s.apply(r)
	if l.Isolation == nil || *l.Isolation != (port.Isolation{Level: "namespaces", Network: "all"}) {
		t.Errorf("isolation %+v", l.Isolation)
	}
	b := the(t, e, "one")
	raw, err := json.Marshal(b.Host)
	if err != nil {
		t.Fatal(err)
	}
	var host struct {
		CapAdd, CapDrop, SecurityOpt, Binds         []string
		Privileged, ReadonlyRootfs, PublishAllPorts bool
		PidMode, NetworkMode, IpcMode, UsernsMode   string
		Memory, MemorySwap, NanoCpus, PidsLimit     int64
		Mounts                                      []struct {
			Source, Target string
			ReadOnly       bool
		}
		PortBindings map[string][]struct{ HostIp, HostPort string }
	}
	if err := json.Unmarshal(raw, &host); err != nil {
		t.Fatal(err)
	}
	if len(host.CapAdd) > 0 || !slices.Equal(host.CapDrop, []string{"ALL"}) || !slices.Equal(host.SecurityOpt, []string{"no-new-privileges"}) || host.Privileged || !host.ReadonlyRootfs ||
		host.PublishAllPorts || host.PidMode != "" || host.UsernsMode != "" || host.IpcMode != "private" || host.NetworkMode != "" || len(host.Binds) > 0 {
		t.Errorf("it is given %s", raw)
	}
	if host.Memory != 64<<20 || host.MemorySwap != 64<<20 || host.NanoCpus != 5e8 || host.PidsLimit != processes {
		t.Errorf("limits %+v", host)
	}
	if at := host.PortBindings["8080/tcp"]; len(host.PortBindings) != 1 || len(at) != 1 || at[0].HostIp != "127.0.0.1" {
		t.Errorf("ports %+v", host.PortBindings)
	}
	var at []string
	for _, m := range host.Mounts {
		if !m.ReadOnly || !strings.HasPrefix(m.Source, s.dir+"/served/one/r-") {
			t.Errorf("mount %+v", m)
		}
		at = append(at, m.Target)
	}
	if !slices.Equal(at, []string{"/vishwa/code", "/vishwa/model", "/vishwa/inputs", "/vishwa/params.json"}) {
		t.Errorf("mounts %q", at)
	}
	if user, _ := b.Config["User"].(string); user == "" || strings.HasPrefix(user, "0:") || strings.HasPrefix(user, "root") {
		t.Errorf("user %q", user)
	}
	env, _ := json.Marshal(b.Config["Env"])
	for _, want := range []string{`"DECLARED=yes"`, `"VISHWA_PORT=8080"`, `"VISHWA_MODEL_DIR=/vishwa/model"`, `"VISHWA_INPUT_SERVING=/vishwa/inputs/SERVING/data"`, `"VISHWA_PARAMS=/vishwa/params.json"`, `"HOME=/tmp"`} {
		if !strings.Contains(string(env), want) {
			t.Errorf("no %s in %s", want, env)
		}
	}
	if strings.Contains(string(env), "UNDECLARED") || strings.Contains(string(env), s.dir) {
		t.Errorf("environment %s", env)
	}
}

// A volume that an image declares is no place to write to, and covers nothing that was verified.
func TestAnImageGivesItselfNoVolumeToWrite(t *testing.T) {
	for volume, want := range map[string]string{
		"/data": "/data", "/data/../srv/": "/srv", "/tmp": "", "/vishwas": "/vishwas",
		"/": "refused", "/vishwa": "refused", "/vishwa/model/tokenizer": "refused", "vishwa/code": "refused",
	} {
		s, e := onDouble(t)
		e.ImageConfig = dockertest.Object{"Volumes": dockertest.Object{volume: dockertest.Object{}}}
		_, err := s.server.Apply(t.Context(), s.release("one", "1"))
		if want == "refused" {
			if fault.Of(err) != fault.Invalid || err == nil || len(e.Names()) > 0 {
				t.Errorf("%s: %v", volume, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", volume, err)
		}
		raw, _ := json.Marshal(the(t, e, "one").Host["Mounts"])
		var all []struct {
			Type, Source, Target string
			ReadOnly             bool
		}
		if err := json.Unmarshal(raw, &all); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, m := range all {
			if m.Type == "volume" {
				got += m.Target
			}
			if !m.ReadOnly || m.Type == "volume" && m.Source != "" {
				t.Errorf("%s: %+v", volume, m)
			}
		}
		if got != want {
			t.Errorf("%s is laid at %q, want %q", volume, got, want)
		}
	}
}

// What is served is verified before each start, and what was changed is not served again.
func TestAModelThatWasChangedIsNotServedAgain(t *testing.T) {
	s, e := onDouble(t)
	s.apply(s.release("one", "1"))
	b := the(t, e, "one")
	found, _ := filepath.Glob(filepath.Join(s.dir, "served", "one", "r-*", "model", "model.json"))
	if len(found) != 1 || os.Chmod(found[0], 0o644) != nil || os.WriteFile(found[0], []byte("weights of evil"), 0o644) != nil || os.Chmod(found[0], 0o444) != nil {
		t.Fatalf("the model is at %q", found)
	}
	e.Mu.Lock()
	e.Exit(b, 7)
	e.Mu.Unlock()
	s.until("what is wrong is said", func() bool { return strings.Contains(s.observe("one").Message, "it is not what was laid out") })
	e.Mu.Lock()
	n := len(e.Boxes)
	e.Mu.Unlock()
	if n != 0 {
		t.Errorf("%d containers", n)
	}
	l := s.apply(s.release("one", "1"))
	if raw, err := os.ReadFile(found[0]); err == nil && string(raw) == "weights of evil" {
		t.Error("the changed release is there still")
	}
	if got := s.ask(l, "/version"); got != "1" {
		t.Errorf("%s answers", got)
	}
}

// Another engine or other limits under the same key are begun anew.
func TestWhatIsSettledOtherwiseIsBegunAnew(t *testing.T) {
	s, e := onDouble(t)
	r := s.release("one", "1")
	s.apply(r)
	was := the(t, e, "one").ID
	r.Docker.Memory = "128Mi"
	s.apply(r)
	s.until("the old one is gone", func() bool { return len(e.Names()) == 1 })
	if the(t, e, "one").ID == was {
		t.Error("the limit is not in force")
	}
}

// A deployment that moves from one target to the other keeps its address, and leaves nothing behind.
func TestADeploymentMovesBetweenTargets(t *testing.T) {
	s, e := onDouble(t)
	l := s.apply(s.release("one", "1"))
	own := s.release("one", "2")
	own.Local, own.Docker = &port.LocalRelease{Hosted: own.Docker.Hosted}, nil
	own.Local.Command = []string{testEnv().Self, "own", "2"}
	for _, move := range []struct {
		to         port.Release
		says       string
		containers int
	}{{own, "2", 0}, {s.release("one", "3"), "3", 1}} {
		now := s.apply(move.to)
		if got := s.ask(now, "/version"); now.URL != l.URL || got != move.says {
			t.Errorf("%s answers at %s, after %s", got, now.URL, l.URL)
		}
		s.until("the other target's is gone", func() bool { return len(e.Names()) == move.containers })
	}
}

func TestWhatNoEngineHereCanServeIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(r *port.DockerRelease)
		says   string
	}{
		"a tag":                {func(r *port.DockerRelease) { r.Image = "registry.example.com/base:1" }, "not named by digest"},
		"a stranger":           {func(r *port.DockerRelease) { r.Host = "tcp://192.0.2.1:2375" }, "there are no certificates to know it by"},
		"another architecture": {func(r *port.DockerRelease) { r.Image = dockertest.Foreign }, "is for linux/arm64"},
		"no such image": {func(r *port.DockerRelease) {
			r.Image = "registry.example.com/none@sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
		}, "fetch image"},
		"too many cores":  {func(r *port.DockerRelease) { r.CPU = "64" }, "64 are asked for"},
		"too much memory": {func(r *port.DockerRelease) { r.Memory = "1Ti" }, "of memory"},
		"no such program": {func(r *port.DockerRelease) { r.Command = []string{"no-such-program"} }, `cannot run "no-such-program"`},
	} {
		t.Run(name, func(t *testing.T) {
			s, e := onDouble(t)
			r := s.release("one", "1")
			c.change(r.Docker)
			_, err := s.server.Apply(t.Context(), r)
			if err == nil || fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, %s, hint %q", err, fault.Of(err), fault.HintOf(err))
			}
			if left := e.Names(); len(left) > 0 {
				t.Errorf("left are %q", left)
			}
		})
	}
}
