// A Docker Engine in this process, as far as the launcher asks one: what its containers do is
// named by their command.

package docker

import (
	"archive/tar"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
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

// doubleImage is what the double has; doubleForeign is for another machine.
const (
	doubleImage   = "registry.example.com/base@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	doubleAway    = "registry.example.com/away@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	doubleForeign = "registry.example.com/arm@sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
)

type object = map[string]any

// engineDouble is a map of containers.
type engineDouble struct {
	Socket string
	asked  atomic.Int64
	away   atomic.Bool
	cutAt  atomic.Int64 // the request whose answer does not arrive; then the engine is away. 0: none

	mu         sync.Mutex
	id         string
	podman     bool
	devices    []string // by CDI
	images     map[string]string
	pullable   map[string]string // and their architecture
	pullError  string
	config     object        // of images
	pulled     chan struct{} // nil, or what a pull waits for
	auths      []string
	containers map[string]*boxDouble
	watchers   map[chan object]bool
	streams    int // that were begun
	startError string
	server     *httptest.Server
}

type boxDouble struct {
	id, name string
	config   object
	host     object
	state    object
	files    map[string]*tar.Header
	texts    map[string]string
	log      string
	made     time.Time
	starts   int
}

func newEngineDouble(t *testing.T) *engineDouble {
	t.Helper()
	e := &engineDouble{
		Socket: filepath.Join(t.TempDir(), "e.sock"), id: "ABCD:EFGH", images: map[string]string{doubleImage: "amd64"},
		pullable: map[string]string{doubleAway: "amd64", doubleForeign: "arm64"}, containers: map[string]*boxDouble{}, watchers: map[chan object]bool{},
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

func (e *engineDouble) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if e.away.Load() {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			conn.Close()
		}
		return
	}
	if n := e.asked.Add(1); n == e.cutAt.Load() {
		e.away.Store(true)
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
	e.mu.Lock()
	defer e.mu.Unlock()
	switch part := strings.Split(strings.Trim(p, "/"), "/"); {
	case p == "/_ping":
	case p == "/info":
		devices := []object{}
		for _, d := range e.devices {
			devices = append(devices, object{"Source": "cdi", "ID": d})
		}
		answer(w, 200, object{"ID": e.id, "NCPU": 4, "MemTotal": 8 << 30, "OSType": "linux", "Architecture": "x86_64", "DockerRootDir": "/var/lib/docker", "Name": "here",
			"CpuCfsQuota": true, "MemoryLimit": true, "SystemTime": time.Now().Format(time.RFC3339Nano), "DiscoveredDevices": devices})
	case p == "/version":
		component := "Engine"
		if e.podman {
			component = "Podman Engine"
		}
		answer(w, 200, object{"Version": "20.10", "ApiVersion": "1.41", "Components": []object{{"Name": component}}})
	case p == "/containers/create":
		e.create(w, r)
	case p == "/containers/json":
		e.list(w)
	case part[0] == "images" && r.Method == http.MethodGet:
		name := strings.TrimSuffix(strings.Join(part[1:], "/"), "/json")
		if arch := e.images[name]; arch != "" {
			answer(w, 200, object{"Id": name, "Os": "linux", "Architecture": arch, "Config": e.config})
			return
		}
		answer(w, 404, object{"message": "No such image: " + name})
	case part[0] == "containers" && len(part) > 1:
		box := e.find(part[1])
		if box == nil {
			answer(w, 404, object{"message": "No such container: " + part[1]})
			return
		}
		e.container(w, r, box, path.Join(part[2:]...))
	default:
		answer(w, 404, object{"message": "page not found: " + r.Method + " " + p})
	}
}

func answer(w http.ResponseWriter, code int, v object) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

// find takes an ID, a name, or the beginning of an ID, as the engine does.
func (e *engineDouble) find(id string) *boxDouble {
	if b := e.containers[id]; b != nil {
		return b
	}
	for _, b := range e.containers {
		if b.name == id {
			return b
		}
	}
	for _, b := range e.containers {
		if strings.HasPrefix(b.id, id) {
			return b
		}
	}
	return nil
}

func (e *engineDouble) create(w http.ResponseWriter, r *http.Request) {
	var asked object
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		answer(w, 400, object{"message": err.Error()})
		return
	}
	name, image := r.URL.Query().Get("name"), fmt.Sprint(asked["Image"])
	if e.find(name) != nil {
		answer(w, 409, object{"message": "Conflict. The container name is already in use"})
		return
	}
	if e.images[image] == "" {
		answer(w, 404, object{"message": "No such image: " + image})
		return
	}
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	host, _ := asked["HostConfig"].(object)
	delete(asked, "HostConfig")
	delete(asked, "NetworkingConfig")
	b := &boxDouble{id: hex.EncodeToString(raw), name: name, config: asked, host: host, files: map[string]*tar.Header{}, texts: map[string]string{}, made: time.Now()}
	b.set("created", 0)
	e.containers[b.id] = b
	answer(w, 201, object{"Id": b.id, "Warnings": []string{}})
}

func (b *boxDouble) set(status string, code int) {
	if b.state == nil {
		b.state = object{"StartedAt": "0001-01-01T00:00:00Z", "FinishedAt": "0001-01-01T00:00:00Z"}
	}
	b.state["Status"], b.state["Running"], b.state["ExitCode"] = status, status == "running", code
	switch now := time.Now().Format(time.RFC3339Nano); status {
	case "running":
		b.state["StartedAt"] = now
	case "exited":
		b.state["FinishedAt"] = now
	}
}

func (e *engineDouble) list(w http.ResponseWriter) {
	out := []object{}
	for _, b := range e.containers {
		out = append(out, object{"Id": b.id, "Names": []string{"/" + b.name}, "State": b.state["Status"], "Labels": b.config["Labels"], "Created": b.made.Unix()})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}

func (e *engineDouble) container(w http.ResponseWriter, r *http.Request, b *boxDouble, what string) {
	switch what {
	case "json":
		answer(w, 200, object{"Id": b.id, "Name": "/" + b.name, "State": b.state, "Config": b.config, "HostConfig": b.host})
	case "archive":
		if r.URL.Query().Get("path") != "/vishwa" {
			answer(w, 403, object{"message": "container rootfs is marked read-only"})
			return
		}
		for tr := tar.NewReader(r.Body); ; {
			h, err := tr.Next()
			if err != nil {
				return
			}
			text, _ := io.ReadAll(tr)
			b.files[h.Name], b.texts[h.Name] = h, string(text)
		}
	case "start":
		e.start(w, b)
	case "kill":
		if b.state["Status"] != "running" {
			answer(w, 409, object{"message": "Container " + b.id + " is not running"})
			return
		}
		e.exit(b, 137)
		w.WriteHeader(204)
	case "logs":
		for line := range strings.Lines(b.log) {
			head := []byte{2, 0, 0, 0, 0, 0, 0, 0}
			binary.BigEndian.PutUint32(head[4:], uint32(len(line)))
			_, _ = w.Write(append(head, line...))
		}
	case "":
		if b.state["Status"] == "running" {
			e.exit(b, 137)
		}
		delete(e.containers, b.id)
		e.tell(b, "destroy")
		w.WriteHeader(204)
	default:
		answer(w, 404, object{"message": "page not found: " + what})
	}
}

func (e *engineDouble) start(w http.ResponseWriter, b *boxDouble) {
	if e.startError != "" {
		b.state["ExitCode"], b.state["Error"] = 128, e.startError
		answer(w, 400, object{"message": e.startError})
		return
	}
	if b.state["Status"] != "created" {
		w.WriteHeader(304)
		return
	}
	b.set("running", 0)
	b.starts++
	e.tell(b, "start")
	switch command := fmt.Sprint(b.config["Entrypoint"].([]any)[0]); command {
	case "well":
		e.exit(b, 0)
	case "badly":
		b.log = "it did not go\nwell\n"
		e.exit(b, 7)
	case "hog":
		b.state["OOMKilled"] = true
		e.exit(b, 137)
	case "foreign":
		b.log = "exec /foreign: exec format error\n"
		e.exit(b, 1)
	case "forever":
	default:
		b.set("created", 127)
		answer(w, 400, object{"message": "exec: \"" + command + "\": executable file not found in $PATH"})
		return
	}
	w.WriteHeader(204)
}

func (e *engineDouble) exit(b *boxDouble, code int) {
	b.set("exited", code)
	e.tell(b, "die")
}

func (e *engineDouble) tell(b *boxDouble, action string) {
	for w := range e.watchers {
		w <- object{"Type": "container", "Action": action, "Actor": object{"ID": b.id, "Attributes": b.config["Labels"]}}
	}
}

func (e *engineDouble) events(w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(r.URL.Query().Get("filters"), labelLaunch) {
		answer(w, 400, object{"message": "the watch is of every container"})
		return
	}
	ch := make(chan object, 1000)
	e.mu.Lock()
	e.watchers[ch] = true
	e.streams++
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
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

func (e *engineDouble) pull(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	image := q.Get("fromImage") + "@" + q.Get("tag")
	e.mu.Lock()
	wait := e.pulled
	e.auths = append(e.auths, r.Header.Get("X-Registry-Auth"))
	e.mu.Unlock()
	if wait != nil {
		<-wait
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	arch := e.pullable[image]
	if arch == "" && e.pullError == "" {
		answer(w, 404, object{"message": "manifest for " + image + " not found: manifest unknown"})
		return
	}
	_ = json.NewEncoder(w).Encode(object{"status": "Pulling from base"})
	if e.pullError != "" {
		_ = json.NewEncoder(w).Encode(object{"errorDetail": object{"message": e.pullError}, "error": e.pullError})
		return
	}
	e.images[image] = arch
}

// Outage is until end is called.
func (e *engineDouble) Outage() (end func()) {
	e.away.Store(true)
	e.server.CloseClientConnections()
	return func() { e.away.Store(false) }
}

// box is the one container of that name.
func (e *engineDouble) box(t *testing.T, name string) *boxDouble {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.find(name)
	if b == nil {
		t.Fatalf("there is no container %s", name)
	}
	return b
}

func (e *engineDouble) shown(b *boxDouble) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	raw, _ := json.Marshal(object{"State": b.state, "Config": b.config, "HostConfig": b.host, "Log": b.log})
	return string(raw)
}

func (e *engineDouble) names() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []string
	for _, b := range e.containers {
		out = append(out, b.name)
	}
	return slices.Sorted(slices.Values(out))
}

func (b *boxDouble) ticket() ([]byte, fs.FileMode) {
	h := b.files["ticket/ticket"]
	if h == nil {
		return nil, 0
	}
	return []byte(b.texts["ticket/ticket"]), h.FileInfo().Mode()
}
