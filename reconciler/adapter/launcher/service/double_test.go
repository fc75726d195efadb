// What the doubles of all tools have in common: commands that are processes of this machine, an
// outage, a count of questions, room that may be taken.

package service

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/machine/dispatch"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

// TestMain is this test program as a worker.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "work" {
		os.Exit(dispatch.Main(context.Background(), "test"))
	}
	if len(os.Args) == 7 && os.Args[1] == "apply" {
		os.Exit(apply(os.Args[2], os.Args[3], os.Args[4], os.Args[5], os.Args[6]))
	}
	os.Exit(m.Run())
}

type object = map[string]any

// double is a tool's server, whose tasks are processes.
type double struct {
	URL     string
	asked   atomic.Int64
	away    atomic.Bool
	headers atomic.Pointer[http.Header] // of the last request

	mu    sync.Mutex
	busy  bool // what comes has to wait
	tasks map[string]*process
	all   []*process // that were begun, those that were removed too
	tmp   string     // the machine's temporary folder
}

// process is a task's process, and what the tool notes of it.
type process struct {
	name    string
	note    object // what it was given, by the tool's own names
	command []string
	env     []string
	runs    *porttest.Process // nil: it was not begun
	phase   string            // waiting, running, ended
	stopped bool
	code    int
	start   time.Time
	end     time.Time
	done    chan struct{}
	gentle  bool // it is asked to end, and ends what it began itself
}

// newDouble serves handle.
func newDouble(t *testing.T, handle func(d *double, w http.ResponseWriter, r *http.Request)) *double {
	t.Helper()
	d := idleDouble(t)
	d.serveBy(t, handle)
	return d
}

// idleDouble serves nothing yet: who has it in a struct of its own, which handles, has it there first.
func idleDouble(t *testing.T) *double { return &double{tasks: map[string]*process{}, tmp: t.TempDir()} }

// serveBy begins to serve handle, which is called with the double's lock held.
func (d *double) serveBy(t *testing.T, handle func(d *double, w http.ResponseWriter, r *http.Request)) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.away.Load() {
			if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
				conn.Close()
			}
			return
		}
		d.asked.Add(1)
		h := r.Header.Clone()
		d.headers.Store(&h)
		d.mu.Lock()
		defer d.mu.Unlock()
		handle(d, w, r)
	}))
	d.URL = "http://" + server.Listener.Addr().String() // before anybody asks
	server.Start()
	t.Cleanup(func() {
		server.Close()
		d.mu.Lock()
		all := d.all
		for _, p := range all {
			p.kill()
		}
		d.mu.Unlock()
		for _, p := range all {
			<-p.done
		}
	})
}

// begin starts p, unless it has to wait. The lock is held.
func (d *double) begin(p *process) {
	d.tasks[p.name] = p
	p.start, p.phase, p.done = time.Now(), "waiting", make(chan struct{})
	if d.busy {
		return
	}
	p.phase = "running"
	runs, err := porttest.StartProcess(append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + d.tmp, "HOME=" + d.tmp}, p.env...), true, p.command...)
	if err != nil {
		p.phase, p.code, p.end = "ended", 127, time.Now()
		close(p.done)
		return
	}
	p.runs = runs
	d.all = append(d.all, p)
	go func() {
		<-runs.Done()
		d.mu.Lock()
		defer d.mu.Unlock()
		p.phase, p.code, p.end = "ended", runs.Code(), time.Now()
		close(p.done)
	}()
}

// kill ends a process; the lock is held.
func (p *process) kill() {
	switch {
	case p.phase == "running" && p.gentle:
		p.runs.End()
	case p.phase == "running":
		p.runs.Kill()
	case p.phase == "waiting":
		p.phase, p.end = "ended", time.Now()
	}
}

// stop is what the tool's users may do.
func (p *process) stop() {
	if p.phase != "ended" {
		p.stopped = true
		p.kill()
	}
}

func (d *double) full(*testing.T) (free func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy = true
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.busy = false
		for _, p := range d.tasks {
			if p.phase == "waiting" {
				d.begin(p)
			}
		}
	}
}

func (d *double) outage(*testing.T) (end func()) {
	d.away.Store(true)
	return func() { d.away.Store(false) }
}

// alive counts the processes of a task's group, whatever the tool says of it.
func (d *double) alive() func(t *testing.T, id port.TaskID) int {
	groups := map[string]int{}
	return func(_ *testing.T, id port.TaskID) (n int) {
		d.mu.Lock()
		if p := d.tasks[id.Name]; p != nil && p.runs != nil {
			groups[id.Name] = p.runs.PID()
		}
		d.mu.Unlock()
		all, _ := filepath.Glob("/proc/[0-9]*") // with a name behind it, Glob would list what is in each
		for _, p := range all {
			raw, _ := os.ReadFile(filepath.Join(p, "stat"))
			_, rest, _ := strings.Cut(string(raw), ") ")
			if f := strings.Fields(rest); len(f) > 2 && f[0] != "Z" && f[2] == strconv.Itoa(groups[id.Name]) {
				n++
			}
		}
		return n
	}
}

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if text, is := body.(string); is {
		_, _ = w.Write([]byte(text))
		return
	}
	_ = json.NewEncoder(w).Encode(body)
}

// testOptions are in a hurry.
func testOptions(vars map[string]string) Options {
	return Options{pace: 20 * time.Millisecond, Env: port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Lookup: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }}}
}

func words(s ...string) []string { return s }
