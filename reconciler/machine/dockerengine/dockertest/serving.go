// What the double's containers answer: those that serve, at a port of 127.0.0.1, and those who wait for
// one to end or read what it writes.

package dockertest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// publish opens the port that the container publishes, where it does. Unless it answers, connections
// stay open and nothing is said on them; else the answer at /version is its second word.
func (e *Engine) publish(b *Box, answers bool) error {
	if bindings, _ := b.Host["PortBindings"].(Object); len(bindings) == 0 {
		return nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	b.serving = l
	words, _ := b.Config["Cmd"].([]any)
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			e.Mu.Lock()
			paused := b.State["Status"] == "paused"
			e.Mu.Unlock()
			if !answers {
				<-r.Context().Done()
			}
			if paused {
				panic(http.ErrAbortHandler)
			}
			if r.URL.Path == "/version" && len(words) > 0 {
				fmt.Fprint(w, words[0])
			}
		}))
	}()
	return nil
}

// ports are what the engine says is published of the container.
func (e *Engine) ports(b *Box) Object {
	out := Object{}
	bindings, _ := b.Host["PortBindings"].(Object)
	for port := range bindings {
		if b.serving != nil {
			out[port] = []Object{{"HostIp": "127.0.0.1", "HostPort": fmt.Sprint(b.serving.Addr().(*net.TCPAddr).Port)}}
		}
	}
	if e.Claims != nil && b.serving != nil {
		return e.Claims(out)
	}
	return out
}

// labelled tells whether the container has each of these, as a label or a label=value.
func (b *Box) labelled(want map[string]bool) bool {
	labels, _ := b.Config["Labels"].(Object)
	for l := range want {
		name, value, valued := strings.Cut(l, "=")
		if got, ok := labels[name]; !ok || valued && got != value {
			return false
		}
	}
	return true
}

// stay answers who waits for a container: until it ends, or with its output.
func (e *Engine) stay(w http.ResponseWriter, r *http.Request, id, what string) {
	e.Mu.Lock()
	b := e.find(id)
	var gone chan struct{}
	log := ""
	if b != nil {
		gone, log = e.gone[b.ID], b.Log
	}
	e.Mu.Unlock()
	if b == nil {
		answer(w, 404, Object{"message": "No such container: " + id})
		return
	}
	if what == "logs" {
		write := func(text string) {
			for line := range strings.Lines(text) {
				head := []byte{2, 0, 0, 0, 0, 0, 0, 0}
				binary.BigEndian.PutUint32(head[4:], uint32(len(line)))
				_, _ = w.Write(append(head, line...))
			}
		}
		write(log)
		if r.URL.Query().Get("follow") == "" {
			return
		}
	}
	w.(http.Flusher).Flush()
	if gone != nil {
		select {
		case <-gone:
		case <-r.Context().Done():
			return
		}
	}
	if what == "wait" {
		e.Mu.Lock()
		defer e.Mu.Unlock()
		_, _ = io.WriteString(w, fmt.Sprintf("{\"StatusCode\": %v}\n", b.State["ExitCode"]))
	}
}

// Pause stops a container where it is, as docker pause does.
func (e *Engine) Pause(b *Box) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	b.Set("paused", 0)
}

// Again ends a container that serves and begins it again, at another port, as docker restart does; the caller holds Mu.
func (e *Engine) Again(b *Box) error {
	old := b.serving
	b.serving = nil
	e.Exit(b, 137)
	e.begun(b)
	err := e.publish(b, true)
	if old != nil { // not before, so that the port is another
		err = errors.Join(err, old.Close())
	}
	return err
}
