// Package dockertest is a Docker Engine in the test's own process, as far as Vishwa asks one: what its
// containers do is named by their command.
package dockertest

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Image is what the double has; Away it can pull, and Foreign, which is for another machine.
const (
	Image   = "registry.example.com/base@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	Away    = "registry.example.com/away@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	Foreign = "registry.example.com/arm@sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
)

// Object is JSON.
type Object = map[string]any

// Engine is a map of containers. Mu guards what may change while it runs.
type Engine struct {
	Socket string
	Asked  atomic.Int64
	Absent atomic.Bool  // it answers nobody
	CutAt  atomic.Int64 // the request whose answer does not arrive; then the engine is absent. 0: none

	Mu          sync.Mutex
	ID          string
	Podman      bool
	Devices     []string          // by CDI
	Images      map[string]string // by name, their architecture
	Pullable    map[string]string // and their architecture
	PullError   string
	ImageConfig Object        // of images
	Pulled      chan struct{} // nil, or what a pull waits for
	Auths       []string      // that came with pulls
	Boxes       map[string]*Box
	watchers    map[chan Object]bool
	gone        map[string]chan struct{} // by container, closed when it ends
	Streams     int                      // of events that were begun
	StartError  string
	Careless    bool                          // it says that it has unpacked an archive that it did not read
	Claims      func(published Object) Object // nil, or what it says instead of where ports are published
	server      *httptest.Server
}

// New is an engine that has Image, and can pull Away and Foreign.
func New(t testing.TB) *Engine {
	t.Helper()
	dir, err := os.MkdirTemp("", "docker") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	e := &Engine{
		Socket: filepath.Join(dir, "e.sock"), ID: "ABCD:EFGH", Images: map[string]string{Image: "amd64"},
		Pullable: map[string]string{Away: "amd64", Foreign: "arm64"}, Boxes: map[string]*Box{}, gone: map[string]chan struct{}{}, watchers: map[chan Object]bool{},
	}
	l, err := net.Listen("unix", e.Socket)
	if err != nil {
		t.Fatal(err)
	}
	e.server = httptest.NewUnstartedServer(e)
	e.server.Listener.Close()
	e.server.Listener = l
	e.server.Start()
	t.Cleanup(func() { e.server.CloseClientConnections(); e.server.Close() })
	return e
}

var apiVersion = regexp.MustCompile(`^/v1\.[0-9]+`)

func (e *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if e.Absent.Load() {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			conn.Close()
		}
		return
	}
	if n := e.Asked.Add(1); n == e.CutAt.Load() {
		e.Absent.Store(true)
		defer func() { panic(http.ErrAbortHandler) }() // it was done, and nobody learns of it
	}
	w.Header().Set("Api-Version", "1.41")
	p := apiVersion.ReplaceAllString(r.URL.Path, "")
	if p == "/events" {
		e.events(w, r)
		return
	}
	if p == "/images/create" {
		e.pull(w, r)
		return
	}
	part := strings.Split(strings.Trim(p, "/"), "/")
	if len(part) == 3 && (part[2] == "wait" || part[2] == "logs") {
		e.stay(w, r, part[1], part[2])
		return
	}
	e.route(w, r, p, part)
}

// route answers what needs no waiting.
func (e *Engine) route(w http.ResponseWriter, r *http.Request, p string, part []string) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	switch {
	case p == "/_ping":
	case p == "/info":
		devices := []Object{}
		for _, d := range e.Devices {
			devices = append(devices, Object{"Source": "cdi", "ID": d})
		}
		answer(w, 200, Object{"ID": e.ID, "NCPU": 4, "MemTotal": 8 << 30, "OSType": "linux", "Architecture": "x86_64", "DockerRootDir": "/var/lib/docker", "Name": "here",
			"CpuCfsQuota": true, "MemoryLimit": true, "SystemTime": time.Now().Format(time.RFC3339Nano), "DiscoveredDevices": devices})
	case p == "/version":
		component := "Engine"
		if e.Podman {
			component = "Podman Engine"
		}
		answer(w, 200, Object{"Version": "20.10", "ApiVersion": "1.41", "Components": []Object{{"Name": component}}})
	case p == "/containers/create":
		e.create(w, r)
	case p == "/containers/json":
		e.list(w, r)
	case part[0] == "images" && r.Method == http.MethodGet:
		name := strings.TrimSuffix(strings.Join(part[1:], "/"), "/json")
		if arch := e.Images[name]; arch != "" {
			answer(w, 200, Object{"Id": name, "Os": "linux", "Architecture": arch, "Config": e.ImageConfig})
			return
		}
		answer(w, 404, Object{"message": "No such image: " + name})
	case part[0] == "containers" && len(part) > 1:
		box := e.find(part[1])
		if box == nil {
			answer(w, 404, Object{"message": "No such container: " + part[1]})
			return
		}
		e.container(w, r, box, path.Join(part[2:]...))
	default:
		answer(w, 404, Object{"message": "page not found: " + r.Method + " " + p})
	}
}

func answer(w http.ResponseWriter, code int, v Object) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

// find takes an ID, a name, or the beginning of an ID, as the engine does.
func (e *Engine) find(id string) *Box {
	if b := e.Boxes[id]; b != nil {
		return b
	}
	for _, b := range e.Boxes {
		if b.Name == id {
			return b
		}
	}
	for _, b := range e.Boxes {
		if strings.HasPrefix(b.ID, id) {
			return b
		}
	}
	return nil
}

func (e *Engine) announce(b *Box, action string) {
	for w := range e.watchers {
		w <- Object{"Type": "container", "Action": action, "Actor": Object{"ID": b.ID, "Attributes": b.Config["Labels"]}}
	}
}

func (e *Engine) events(w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(r.URL.Query().Get("filters"), `"vishwa.dev/`) {
		answer(w, 400, Object{"message": "the watch is of every container"})
		return
	}
	ch := make(chan Object, 1000)
	e.Mu.Lock()
	e.watchers[ch] = true
	e.Streams++
	e.Mu.Unlock()
	defer func() {
		e.Mu.Lock()
		defer e.Mu.Unlock()
		delete(e.watchers, ch)
	}()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(200)
	w.(http.Flusher).Flush()
	for {
		select {
		case m := <-ch:
			if json.NewEncoder(w).Encode(m) != nil {
				return
			}
			w.(http.Flusher).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

func (e *Engine) pull(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	image := q.Get("fromImage") + "@" + q.Get("tag")
	e.Mu.Lock()
	wait := e.Pulled
	e.Auths = append(e.Auths, r.Header.Get("X-Registry-Auth"))
	e.Mu.Unlock()
	if wait != nil {
		<-wait
	}
	e.Mu.Lock()
	defer e.Mu.Unlock()
	arch := e.Pullable[image]
	if arch == "" && e.PullError == "" {
		answer(w, 404, Object{"message": "manifest for " + image + " not found: manifest unknown"})
		return
	}
	_ = json.NewEncoder(w).Encode(Object{"status": "Pulling from base"})
	if e.PullError != "" {
		_ = json.NewEncoder(w).Encode(Object{"errorDetail": Object{"message": e.PullError}, "error": e.PullError})
		return
	}
	e.Images[image] = arch
}

// Outage is until end is called.
func (e *Engine) Outage() (end func()) {
	e.Absent.Store(true)
	e.server.CloseClientConnections()
	return func() { e.Absent.Store(false) }
}

// Box is the one container of that name.
func (e *Engine) Box(t *testing.T, name string) *Box {
	t.Helper()
	e.Mu.Lock()
	defer e.Mu.Unlock()
	b := e.find(name)
	if b == nil {
		t.Fatalf("there is no container %s", name)
	}
	return b
}

// Shown is all that the engine shows of a container.
func (e *Engine) Shown(b *Box) string {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	raw, _ := json.Marshal(Object{"State": b.State, "Config": b.Config, "HostConfig": b.Host, "Log": b.Log})
	return string(raw)
}

// Names are the containers' names.
func (e *Engine) Names() []string {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	var out []string
	for _, b := range e.Boxes {
		out = append(out, b.Name)
	}
	return slices.Sorted(slices.Values(out))
}
