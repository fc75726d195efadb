// What the suite of launchers cannot know of Docker: what a container is given, what an engine
// may be, and what is left by who stops in the middle.

package docker

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dockerengine/dockertest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func launched(t *testing.T, l port.Launcher, task port.Task) port.TaskID {
	t.Helper()
	id, err := l.Launch(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestAContainerIsGivenNoMoreThanWasAskedFor(t *testing.T) {
	e := dockertest.New(t)
	task := someTask(dockertest.Image, "forever", "and", "ever")
	task.Isolated = false
	task.Mounts = []port.Mount{{From: "/srv/in", To: "/vishwa/in"}, {From: "/srv/out", To: "/vishwa/out", Write: true}}
	task.Resources.CPU, task.Resources.Memory = "2.5", "1Gi"
	launched(t, launcherOn(t, e.Socket, func(o *Options) { o.Runner.Network = "team" }), task)
	b := e.Box(t, task.Name)
	var host, config dockertest.Object
	for from, to := range map[any]*dockertest.Object{&b.Host: &host, &b.Config: &config} {
		raw, _ := json.Marshal(from)
		_ = json.Unmarshal(raw, to)
	}
	for field, want := range map[string]any{
		"CapDrop": []any{"ALL"}, "CapAdd": nil, "SecurityOpt": []any{"no-new-privileges"}, "Privileged": false, "ReadonlyRootfs": true,
		"NetworkMode": "team", "IpcMode": "private", "PidMode": "", "UTSMode": "", "UsernsMode": "", "Binds": nil, "Devices": nil, "DeviceRequests": nil,
		"Memory": 1073741824.0, "MemorySwap": 1073741824.0, "NanoCpus": 2.5e9, "PidsLimit": 4096.0, "GroupAdd": nil, "Init": nil, "VolumesFrom": nil,
		"RestartPolicy": dockertest.Object{"Name": "no", "MaximumRetryCount": 0.0},
		"Mounts": []any{
			dockertest.Object{"Type": "volume", "Target": "/vishwa", "VolumeOptions": dockertest.Object{"NoCopy": true}},
			dockertest.Object{"Type": "bind", "Source": "/srv/in", "Target": "/vishwa/in", "ReadOnly": true},
			dockertest.Object{"Type": "bind", "Source": "/srv/out", "Target": "/vishwa/out"},
		},
	} {
		if !reflect.DeepEqual(host[field], want) {
			t.Errorf("%s is %#v, want %#v", field, host[field], want)
		}
	}
	for field, want := range map[string]any{
		"User": "65532:65532", "WorkingDir": "/vishwa/work", "Entrypoint": []any{"forever"}, "Cmd": []any{"and", "ever"}, "Env": []any{"HOME=/vishwa/work"},
		"Healthcheck": dockertest.Object{"Test": []any{"NONE"}},
	} {
		if !reflect.DeepEqual(config[field], want) {
			t.Errorf("%s is %#v, want %#v", field, config[field], want)
		}
	}
	for file, want := range map[string]string{"work/": "drwx------", "ticket/": "dr-x------", "ticket/ticket": "-r--------"} {
		if h := b.Files[file]; h == nil || h.FileInfo().Mode().String() != want || h.Uid != User || h.Gid != User {
			t.Errorf("%s is put there as %+v, want %s of user %d", file, h, want, User)
		}
	}
}

// TestAnImageDoesNotSpeakToTheWorker: the worker is the image's first process, and trusted.
func TestAnImageDoesNotSpeakToTheWorker(t *testing.T) {
	e := dockertest.New(t)
	e.ImageConfig = dockertest.Object{"Env": []string{"PATH=/usr/bin", "VISHWA_TICKET={}", "vishwa_nodes=2", "https_proxy=http://evil", "HTTP_PROXY=x", "SSL_CERT_FILE=/evil", "GODEBUG=x509usefallbackroots=1", "PYTHONPATH=/opt"}}
	task := someTask(dockertest.Image, "forever")
	launched(t, launcherOn(t, e.Socket), task)
	want := []any{"HOME=/vishwa/work", "VISHWA_TICKET=", "vishwa_nodes=", "https_proxy=", "HTTP_PROXY=", "SSL_CERT_FILE=", "GODEBUG="}
	if got := e.Box(t, task.Name).Config["Env"]; !reflect.DeepEqual(got, want) {
		t.Errorf("of the image's variables are set %v, want %v", got, want)
	}
	for volume, want := range map[string]port.Cause{"/": port.BadImage, "/vishwa": port.BadImage, "/vishwa/ticket/": port.BadImage, "vishwa/work": port.BadImage, "/data/../vishwa/bin": port.BadImage, "/data": "", "/vishwas": ""} {
		e.ImageConfig = dockertest.Object{"Volumes": dockertest.Object{volume: dockertest.Object{}}}
		_, err := launcherOn(t, e.Socket).Launch(t.Context(), someTask(dockertest.Image, "forever"))
		if unfitCause(err) != want || (err == nil) != (want == "") {
			t.Errorf("an image with the volume %s: %v", volume, err)
		}
	}
}

func TestATaskIsNeverRoot(t *testing.T) {
	e := dockertest.New(t)
	task := someTask(dockertest.Image, "forever")
	launched(t, launcherOn(t, e.Socket, func(o *Options) { o.User = 1000 }), task)
	if user := e.Box(t, task.Name).Config["User"]; user != "1000:1000" {
		t.Errorf("the task is user %v", user)
	}
	if _, err := New(Options{User: -1}); fault.Of(err) != fault.Invalid {
		t.Errorf("a user below none: %v", err)
	}
}

func TestNoMountCoversTheEngine(t *testing.T) {
	e := dockertest.New(t)
	l := launcherOn(t, e.Socket)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Dir(e.Socket), link); err != nil {
		t.Fatal(err)
	}
	beside := filepath.Join(filepath.Dir(e.Socket), "beside")
	if err := os.Mkdir(beside, 0o755); err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]bool{
		"/": false, "/var": false, "/var/run": false, "/run": false, "/var/run/docker.sock": false, "/run/docker.sock": false, "/run/containerd": false, e.Socket: false, filepath.Dir(e.Socket): false, link: false,
		"/var/lib/docker": false, "/var/lib": false, "/var/lib/docker/volumes/x/_data": false, "/proc/1/root": false, "/dev/mem": false, "/sys": false,
		beside: true, "/srv/data": true, "/var/lib/dockers": true, "/running": true,
	} {
		task := someTask(dockertest.Image, "well")
		task.Mounts = []port.Mount{{From: from, To: "/vishwa/x"}}
		if _, err := l.Launch(t.Context(), task); (err == nil) != want || err != nil && fault.Of(err) != fault.Invalid {
			t.Errorf("a mount of %s: %v", from, err)
		}
	}
}

func TestWhatAnEngineCannotDoIsRefused(t *testing.T) {
	e := dockertest.New(t)
	for name, c := range map[string]struct {
		change func(*port.Task)
		cause  port.Cause
	}{
		"no image":              {func(o *port.Task) { o.Image = "" }, ""},
		"a tag":                 {func(o *port.Task) { o.Image = "registry.example.com/base:1" }, ""},
		"nodes":                 {func(o *port.Task) { o.Nodes = 2 }, ""},
		"a priority":            {func(o *port.Task) { o.Priority = "high" }, ""},
		"a kind of GPU":         {func(o *port.Task) { o.Resources.GPU, o.Resources.GPUKind = 1, "a100" }, ""},
		"room on disk":          {func(o *port.Task) { o.Resources.EphemeralStorage = "1Gi" }, ""},
		"the machine's network": {func(o *port.Task) { o.Pull, o.Isolated = true, false }, ""},
		"too much memory":       {func(o *port.Task) { o.Resources.Memory = "1Ti" }, port.Unschedulable},
		"too many cores":        {func(o *port.Task) { o.Resources.CPU = "4.001" }, port.Unschedulable},
		"another architecture":  {func(o *port.Task) { o.Image = dockertest.Foreign }, port.BadImage},
		"no such program":       {func(o *port.Task) { o.Command = []string{"none"} }, port.BadImage},
	} {
		task := someTask(dockertest.Image, "well")
		c.change(&task)
		_, err := launcherOn(t, e.Socket, func(o *Options) { o.Runner.Network = "host" }).Launch(t.Context(), task)
		if err == nil || fault.Of(err) != fault.Invalid || unfitCause(err) != c.cause || c.cause == "" && fault.HintOf(err) == "" {
			t.Errorf("%s: %v (%s), want Invalid, %q and what to do", name, err, unfitCause(err), c.cause)
		}
	}
	if left := e.Names(); len(left) > 0 {
		t.Errorf("containers are left: %v", left)
	}
	for name, host := range map[string]string{"far away without TLS": "tcp://192.0.2.1:2375", "by a password": "ssh://me:secret@host", "by a pipe": "npipe://engine", "a relative path": "unix://docker.sock", "no address": "docker"} {
		o := Options{Env: port.Env{Lookup: func(string) (string, bool) { return "", false }}}
		o.Runner.Host = host
		if _, err := New(o); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
			t.Errorf("an engine %s: %v", name, err)
		}
	}
	far := launcherOn(t, e.Socket, func(o *Options) {
		o.Runner.Host = "tcp://127.0.0.1:2375"
	})
	task := someTask(dockertest.Image, "well")
	task.Mounts = []port.Mount{{From: "/srv/in", To: "/vishwa/in"}}
	if _, err := far.Launch(t.Context(), task); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
		t.Errorf("a mount for an engine that is reached by a network: %v", err)
	}
	if _, err := New(Options{Runner: schemas.DockerRunner{Network: "container:other"}}); fault.Of(err) != fault.Invalid {
		t.Errorf("the network of another container: %v", err)
	}
}

// TestOneWhoStopsInTheMiddleLeavesOneTask: whichever answer of the engine is the last that
// arrives, who launches again has the one task, begun once, with its ticket.
func TestOneWhoStopsInTheMiddleLeavesOneTask(t *testing.T) {
	for n := int64(1); ; n++ {
		e := dockertest.New(t)
		e.CutAt.Store(n)
		task := someTask(dockertest.Away, "forever")
		_, err := launcherOn(t, e.Socket).Launch(t.Context(), task)
		if err == nil && e.Asked.Load() < n {
			if n < 8 {
				t.Fatalf("a launch asks only %d times", n-1)
			}
			return
		}
		if err != nil && fault.Of(err) != fault.Transient {
			t.Errorf("cut off at request %d: %v, want Transient", n, err)
		}
		e.Absent.Store(false)
		id := launched(t, launcherOn(t, e.Socket), task)
		b := e.Box(t, task.Name)
		if text, mode := b.Ticket(); len(e.Names()) != 1 || b.Starts != 1 || b.ID != id.UID || string(text) != string(task.Ticket) || mode.Perm() != 0o400 {
			t.Errorf("cut off at request %d: %v, begun %d times, ticket %q", n, e.Names(), b.Starts, text)
		}
	}
}

func TestWhatIsMadeAndNotBegunWaits(t *testing.T) {
	e := dockertest.New(t)
	l := launcherOn(t, e.Socket)
	task := someTask(dockertest.Image, "forever")
	id := launched(t, l, task)
	b := e.Box(t, task.Name)
	e.Mu.Lock()
	b.Set("created", 0)
	b.Starts = 0
	e.Mu.Unlock()
	if s, err := l.Observe(t.Context(), id); err != nil || s.Phase != port.TaskWaiting || s.Reason == "" {
		t.Errorf("%+v, %v", s, err)
	}
	if again := launched(t, l, task); again != id || b.Starts != 1 {
		t.Errorf("launched again it is %+v, begun %d times", again, b.Starts)
	}
}

func TestNoTwoTasksShareAGPU(t *testing.T) {
	ask := func(n int) port.Task {
		task := someTask(dockertest.Image, "forever")
		task.Resources.GPU = n
		return task
	}
	given := func(t *testing.T, e *dockertest.Engine, task port.Task) string {
		raw, _ := json.Marshal(e.Box(t, task.Name).Host["DeviceRequests"])
		return string(raw)
	}
	t.Run("which the engine lists", func(t *testing.T) {
		e := dockertest.New(t)
		e.Devices = []string{"nvidia.com/gpu=all", "nvidia.com/gpu=1", "nvidia.com/gpu=0", "nvidia.com/gpu=2", "nvidia.com/gpu=GPU-0e", "other.com/net=0"}
		l := launcherOn(t, e.Socket)
		one, two, three, four := ask(1), ask(2), ask(1), ask(4)
		first := launched(t, l, one)
		launched(t, l, two)
		if a, b := given(t, e, one), given(t, e, two); !strings.Contains(a, `["nvidia.com/gpu=0"]`) || !strings.Contains(b, `["nvidia.com/gpu=1","nvidia.com/gpu=2"]`) || !strings.Contains(a, `"Driver":"cdi"`) {
			t.Errorf("%s and %s", a, b)
		}
		if _, err := l.Launch(t.Context(), three); fault.Of(err) != fault.Transient || !strings.Contains(err.Error(), "of 3, 0 are free") {
			t.Errorf("with none free: %v", err)
		}
		if _, err := l.Launch(t.Context(), four); unfitCause(err) != port.Unschedulable {
			t.Errorf("more than there are: %v", err)
		}
		if err := l.Remove(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		launched(t, l, three)
	})
	t.Run("which an image says that it has", func(t *testing.T) {
		e := dockertest.New(t)
		e.Devices = []string{"nvidia.com/gpu=0"}
		e.ImageConfig = dockertest.Object{"Labels": dockertest.Object{labelGPUs: "nvidia.com/gpu=0"}}
		l := launcherOn(t, e.Socket)
		launched(t, l, ask(0))
		launched(t, l, ask(1))
	})
	t.Run("which it does not", func(t *testing.T) {
		e := dockertest.New(t)
		l := launcherOn(t, e.Socket)
		tasks := []port.Task{ask(1), ask(1), ask(1), ask(1)}
		var wg sync.WaitGroup
		for _, task := range tasks {
			wg.Go(func() {
				if _, err := l.Launch(t.Context(), task); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		seen := map[string]bool{}
		for _, task := range tasks {
			seen[given(t, e, task)] = true
		}
		if len(seen) != len(tasks) {
			t.Errorf("%d tasks have %v", len(tasks), seen)
		}
		e.StartError = "could not select device driver \"\" with capabilities: [[gpu]]"
		last := ask(1)
		if _, err := l.Launch(t.Context(), last); unfitCause(err) != port.Unschedulable {
			t.Errorf("an engine without GPUs: %v", err)
		}
		if names := e.Names(); len(names) != len(tasks) {
			t.Errorf("what cannot start is left: %v", names)
		}
	})
}

// TestAnotherEngineInItsPlaceIsAConflict, although it answers at the same address.
func TestAnotherEngineInItsPlaceIsAConflict(t *testing.T) {
	e := dockertest.New(t)
	var later atomic.Int64
	l := launcherOn(t, e.Socket, func(o *Options) {
		o.Env.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	})
	id := launched(t, l, someTask(dockertest.Image, "forever"))
	e.Mu.Lock()
	e.ID = "another"
	e.Mu.Unlock()
	later.Store(int64(engineAge))
	_, err := l.Observe(t.Context(), id)
	for what, err := range map[string]error{"Observe": err, "Remove": l.Remove(t.Context(), id)} {
		if fault.Of(err) != fault.Conflict || fault.HintOf(err) == "" {
			t.Errorf("%s: %v, want Conflict and what to do", what, err)
		}
	}
	if len(e.Names()) != 1 {
		t.Error("the other engine's container was taken away")
	}
}

// TestPodmanIsOneEngine although it calls itself by another ID each time.
func TestPodmanIsOneEngine(t *testing.T) {
	e := dockertest.New(t)
	e.Podman = true
	id := launched(t, launcherOn(t, e.Socket), someTask(dockertest.Image, "forever"))
	e.Mu.Lock()
	e.ID = "another"
	e.Mu.Unlock()
	if s, err := launcherOn(t, e.Socket).Observe(t.Context(), id); err != nil || s.Phase != port.TaskRunning {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestAnImageIsFetchedOnceWithItsUsersCredentials(t *testing.T) {
	e := dockertest.New(t)
	dir := t.TempDir()
	auth := base64.StdEncoding.EncodeToString([]byte("alice:hush-hush"))
	if err := os.WriteFile(filepath.Join(dir, "config.json"), fmt.Appendf(nil, `{"auths": {"registry.example.com": {"auth": %q}, "other.example.com": {"auth": "b3RoZXI6b3RoZXI="}}}`, auth), 0o600); err != nil {
		t.Fatal(err)
	}
	l := launcherOn(t, e.Socket, func(o *Options) {
		o.Env.Lookup = func(name string) (string, bool) { return dir, name == "DOCKER_CONFIG" }
	})
	e.Pulled = make(chan struct{})
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := l.Launch(short, someTask(dockertest.Away, "well")); fault.Of(err) != fault.Cancelled {
		t.Errorf("who gives up while an image is fetched: %v", err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { launched(t, l, someTask(dockertest.Away, "well")) })
	}
	for e.Asked.Load() < 8 { // most of them have come as far as the image; who comes later finds it there
		time.Sleep(time.Millisecond)
	}
	close(e.Pulled)
	wg.Wait()
	raw, err := base64.URLEncoding.DecodeString(e.Auths[0])
	if len(e.Auths) != 1 || err != nil || !bytes.Contains(raw, []byte(`"hush-hush"`)) || bytes.Contains(raw, []byte("other")) {
		t.Errorf("fetched %d times, with %s", len(e.Auths), raw)
	}
	for text, want := range map[string]fault.Kind{
		"manifest unknown: manifest unknown": fault.Invalid, "unauthorized: authentication required": fault.Invalid, "no matching manifest for linux/amd64 in the manifest list entries": fault.Invalid,
		"Get https://registry.example.com/v2/: dial tcp: connect: connection refused": fault.Transient, "toomanyrequests: slow down": fault.Transient, "write /var/lib/docker/tmp: no space left on device": fault.Transient,
	} {
		e.Mu.Lock()
		e.PullError = text
		delete(e.Images, dockertest.Away)
		e.Mu.Unlock()
		_, err := l.Launch(t.Context(), someTask(dockertest.Away, "well"))
		if fault.Of(err) != want || (unfitCause(err) == port.BadImage) != (want == fault.Invalid) || strings.Contains(err.Error(), "hush-hush") || strings.Contains(err.Error(), auth) {
			t.Errorf("%q is %s: %v", text, fault.Of(err), err)
		}
	}
}
