// A repository and a log that tests have, and a controller that is begun for a test.

package controller

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"testing"
	"time"
)

// fake is a site in memory.
type fake struct {
	name string
	// What passes do; nil: nothing.
	onBranch func(ctx context.Context, branch string) error
	onPull   func(ctx context.Context, n int) error
	onRefs   func(ctx context.Context) error

	mu       sync.Mutex
	refs     Refs
	open     []int
	crons    []string
	looks    int
	passed   map[string]int    // item -> passes that began
	state    map[string]string // item -> head as of its last pass that went well
	triggers []string
	running  map[string]bool
	twice    bool
	most     int // passes at once
	closed   bool
}

func newFake(name string) *fake {
	return &fake{
		name: name, refs: Refs{Branches: map[string]string{"main": "1"}, Pulls: map[int]string{}},
		passed: map[string]int{}, state: map[string]string{}, running: map[string]bool{},
	}
}

func (f *fake) set(change func(*Refs)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.refs)
}

func (f *fake) Name() string { return f.name }

func (f *fake) Refs(ctx context.Context) (Refs, error) {
	if f.onRefs != nil {
		if err := f.onRefs(ctx); err != nil {
			return Refs{}, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looks++
	return Refs{Branches: maps.Clone(f.refs.Branches), Pulls: maps.Clone(f.refs.Pulls), Ledgers: maps.Clone(f.refs.Ledgers)}, nil
}

func (f *fake) pass(ctx context.Context, i item, head func() string, do func() error) error {
	f.mu.Lock()
	f.twice = f.twice || f.running[i.String()]
	f.running[i.String()] = true
	f.most = max(f.most, len(f.running))
	f.passed[i.String()]++
	f.triggers = append(f.triggers, Trigger(ctx))
	at := head()
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.running, i.String())
	}()
	err := do()
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		f.state[i.String()] = at
	}
	return err
}

func (f *fake) Branch(ctx context.Context, b string) error {
	return f.pass(ctx, item{branch: b}, func() string { return f.refs.Branches[b] + f.refs.Ledgers[b].Tip }, func() error {
		if f.onBranch == nil {
			return nil
		}
		return f.onBranch(ctx, b)
	})
}

func (f *fake) Pull(ctx context.Context, n int) error {
	return f.pass(ctx, item{pull: n}, func() string { return f.refs.Pulls[n] }, func() error {
		if f.onPull == nil {
			return nil
		}
		return f.onPull(ctx, n)
	})
}

func (f *fake) Sweep(context.Context) ([]int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open, nil
}

func (f *fake) Schedules(string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.crons
}

func (f *fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

// crowd is how many passes ran at once at most, and whether one item's ever overlapped.
func (f *fake) crowd() (most int, twice bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.most, f.twice
}

// count is how often i was passed.
func (f *fake) count(i string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.passed[i]
}

func (f *fake) is(i, head string) func() bool {
	return func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.state[i] == head
	}
}

func (f *fake) looked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.looks
}

// running is a controller at work.
type running struct {
	*Controller
	address string
	log     *logs
	stop    context.CancelFunc
	ended   chan error
}

type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// fast is a configuration whose intervals suit a test.
func fast() Config {
	return Config{Listen: "127.0.0.1:0", Poll: 10 * time.Millisecond, Sweep: time.Hour, Timeout: time.Second, Webhook: Webhook{Off: true}}
}

func start(t *testing.T, o Options) *running {
	t.Helper()
	r := &running{log: &logs{}, ended: make(chan error, 1)}
	o.Log = slog.New(Correlated(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	listening := make(chan string, 1)
	o.Listening = func(at string) { listening <- at }
	r.Controller = New(o)
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	go func() { r.ended <- r.Run(ctx) }()
	t.Cleanup(func() { r.end(t) })
	select {
	case r.address = <-listening:
	case err := <-r.ended:
		t.Fatalf("the controller did not begin: %v", err)
	}
	return r
}

// end stops the controller, once.
func (r *running) end(t *testing.T) {
	t.Helper()
	if r.stop == nil {
		return
	}
	r.stop()
	r.stop = nil
	select {
	case err := <-r.ended:
		if err != nil {
			t.Errorf("the controller ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the controller does not end")
	}
}

// until waits for something to come true.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
