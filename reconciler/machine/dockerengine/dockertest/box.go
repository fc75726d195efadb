// Containers of the engine, and the processes that stand for them.

package dockertest

import (
	"archive/tar"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"time"
)

// Box is a container.
type Box struct {
	ID, Name string
	Config   Object
	Host     Object
	State    Object
	Files    map[string]*tar.Header
	texts    map[string]string
	Log      string
	Made     time.Time
	Starts   int
	serving  net.Listener
}

func (e *Engine) create(w http.ResponseWriter, r *http.Request) {
	var asked Object
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		answer(w, 400, Object{"message": err.Error()})
		return
	}
	name, image := r.URL.Query().Get("name"), fmt.Sprint(asked["Image"])
	if e.find(name) != nil {
		answer(w, 409, Object{"message": "Conflict. The container name is already in use"})
		return
	}
	if e.Images[image] == "" {
		answer(w, 404, Object{"message": "No such image: " + image})
		return
	}
	if of, _ := e.ImageConfig["Labels"].(Object); len(of) > 0 { // its own count where they are the same
		labels := maps.Clone(of)
		own, _ := asked["Labels"].(Object)
		maps.Copy(labels, own)
		asked["Labels"] = labels
	}
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	host, _ := asked["HostConfig"].(Object)
	delete(asked, "HostConfig")
	delete(asked, "NetworkingConfig")
	b := &Box{ID: hex.EncodeToString(raw), Name: name, Config: asked, Host: host, Files: map[string]*tar.Header{}, texts: map[string]string{}, Made: time.Now()}
	b.Set("created", 0)
	e.Boxes[b.ID] = b
	answer(w, 201, Object{"Id": b.ID, "Warnings": []string{}})
}

// Set has the container stand so.
func (b *Box) Set(status string, code int) {
	if b.State == nil {
		b.State = Object{"StartedAt": "0001-01-01T00:00:00Z", "FinishedAt": "0001-01-01T00:00:00Z"}
	}
	b.State["Status"], b.State["Running"], b.State["ExitCode"] = status, status == "running", code
	switch now := time.Now().Format(time.RFC3339Nano); status {
	case "running":
		b.State["StartedAt"] = now
	case "exited":
		b.State["FinishedAt"] = now
	}
}

func (e *Engine) list(w http.ResponseWriter, r *http.Request) {
	var filters struct{ Label map[string]bool }
	_ = json.Unmarshal([]byte(r.URL.Query().Get("filters")), &filters)
	out := []Object{}
	for _, b := range e.Boxes {
		if r.URL.Query().Get("all") != "1" && b.State["Status"] != "running" || !b.labelled(filters.Label) {
			continue
		}
		out = append(out, Object{"Id": b.ID, "Names": []string{"/" + b.Name}, "State": b.State["Status"], "Labels": b.Config["Labels"], "Created": b.Made.Unix()})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}

func (e *Engine) container(w http.ResponseWriter, r *http.Request, b *Box, what string) {
	switch what {
	case "json":
		answer(w, 200, Object{"Id": b.ID, "Name": "/" + b.Name, "State": b.State, "Config": b.Config, "HostConfig": b.Host, "NetworkSettings": Object{"Ports": e.ports(b)}})
	case "archive":
		if r.URL.Query().Get("path") != "/vishwa" {
			answer(w, 403, Object{"message": "container rootfs is marked read-only"})
			return
		}
		for tr := tar.NewReader(r.Body); !e.Careless; {
			h, err := tr.Next()
			if err != nil {
				return
			}
			text, _ := io.ReadAll(tr)
			b.Files[h.Name], b.texts[h.Name] = h, string(text)
		}
	case "start":
		e.start(w, b)
	case "kill":
		if b.State["Status"] != "running" {
			answer(w, 409, Object{"message": "Container " + b.ID + " is not running"})
			return
		}
		e.Exit(b, 137)
		w.WriteHeader(204)
	case "stop":
		if b.State["Status"] == "running" || b.State["Status"] == "paused" {
			e.Exit(b, 143)
		}
		w.WriteHeader(204)
	case "":
		if b.State["Status"] == "running" || b.State["Status"] == "paused" {
			e.Exit(b, 137)
		}
		delete(e.Boxes, b.ID)
		e.announce(b, "destroy")
		w.WriteHeader(204)
	default:
		answer(w, 404, Object{"message": "page not found: " + what})
	}
}

func (e *Engine) start(w http.ResponseWriter, b *Box) {
	if e.StartError != "" {
		b.State["ExitCode"], b.State["Error"] = 128, e.StartError
		answer(w, 400, Object{"message": e.StartError})
		return
	}
	if b.State["Status"] != "created" {
		w.WriteHeader(304)
		return
	}
	e.begun(b)
	switch command := fmt.Sprint(b.Config["Entrypoint"].([]any)[0]); command {
	case "well":
		e.Exit(b, 0)
	case "badly":
		b.Log = "it did not go\nwell\n"
		e.Exit(b, 7)
	case "hog":
		b.State["OOMKilled"] = true
		e.Exit(b, 137)
	case "foreign":
		b.Log = "exec /foreign: exec format error\n"
		e.Exit(b, 1)
	case "forever", "serves":
		if err := e.publish(b, command == "serves"); err != nil {
			answer(w, 500, Object{"message": err.Error()})
			return
		}
	default:
		b.Set("created", 127)
		answer(w, 400, Object{"message": "exec: \"" + command + "\": executable file not found in $PATH"})
		return
	}
	w.WriteHeader(204)
}

func (e *Engine) begun(b *Box) {
	b.Set("running", 0)
	e.gone[b.ID] = make(chan struct{})
	b.Starts++
	e.announce(b, "start")
}

// Exit ends a container; the caller holds Mu.
func (e *Engine) Exit(b *Box, code int) {
	b.Set("exited", code)
	if b.serving != nil {
		b.serving.Close()
		b.serving = nil
	}
	if ch := e.gone[b.ID]; ch != nil {
		close(ch)
		delete(e.gone, b.ID)
	}
	e.announce(b, "die")
}

// Ticket is what a worker was given.
func (b *Box) Ticket() ([]byte, fs.FileMode) {
	h := b.Files["ticket/ticket"]
	if h == nil {
		return nil, 0
	}
	return []byte(b.texts["ticket/ticket"]), h.FileInfo().Mode()
}
