// The laws of a running controller, with sites that are maps.

package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// TestUnchangedRepositoriesAreOnlyLookedAt: after the first pass, poll after poll is one look each.
func TestUnchangedRepositoriesAreOnlyLookedAt(t *testing.T) {
	f := newFake("example.org/a/b")
	start(t, Options{Config: fast(), Sites: []Repository{f}})
	until(t, "many looks", func() bool { return f.looked() > 20 })
	if n := f.count("branch main"); n != 1 {
		t.Errorf("%d passes", n)
	}
	f.set(func(r *Refs) { r.Branches["main"] = "2" })
	until(t, "a pass of the change", f.is("branch main", "2"))
	looks := f.looked()
	until(t, "more looks", func() bool { return f.looked() > looks+10 })
	if n := f.count("branch main"); n != 2 {
		t.Errorf("%d passes", n)
	}
}

// TestABadRepositoryStallsNoOther: whatever its fault is.
func TestABadRepositoryStallsNoOther(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	bad := map[string]func(*fake){
		"refs hang":   func(f *fake) { f.onRefs = hang },
		"refs panic":  func(f *fake) { f.onRefs = func(context.Context) error { panic("refs") } },
		"refs denied": func(f *fake) { f.onRefs = func(context.Context) error { return fault.New(fault.Denied, "no") } },
		"branch hangs": func(f *fake) {
			f.onBranch = func(ctx context.Context, _ string) error { return hang(ctx) }
			for n := range 50 {
				f.refs.Branches[fmt.Sprint("b", n)] = "1"
			}
		},
		"pulls hang": func(f *fake) {
			f.onPull = func(ctx context.Context, _ int) error { return hang(ctx) }
			for n := range 50 {
				f.refs.Pulls[n+1] = "1"
				f.open = append(f.open, n+1)
			}
		},
		"branch panics": func(f *fake) { f.onBranch = func(context.Context, string) error { panic("branch") } },
		"branch fails":  func(f *fake) { f.onBranch = func(context.Context, string) error { return errors.New("broken") } },
	}
	var sites []Repository
	good := newFake("example.org/good")
	config := fast()
	config.Parallel = 8
	for name, spoil := range bad {
		f := newFake("example.org/" + name)
		spoil(f)
		sites = append(sites, f)
	}
	r := start(t, Options{Config: config, Sites: append(sites, good)})
	for n := range 5 {
		head := fmt.Sprint("h", n)
		good.set(func(r *Refs) { r.Branches["main"] = head })
		until(t, "the good one is passed", good.is("branch main", head))
	}
	until(t, "all are looked at, or known not to answer", func() bool { _, ready := r.Statuses(); return ready })
	metrics := get(t, "http://"+r.address+"/metrics")
	for _, want := range []string{`vishwa_reconcile_errors_total{kind="branch",reason="internal"}`, `vishwa_reconcile_errors_total{kind="look",reason="denied"} 1`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	if !strings.Contains(r.log.String(), `"msg":"panic"`) {
		t.Error("a panic is not logged")
	}
}

// TestARepositoryThatCannotBeOpenedIsTriedAgain: and the others are there meanwhile.
func TestARepositoryThatCannotBeOpenedIsTriedAgain(t *testing.T) {
	config := fast()
	config.Repositories = []ConfigRepository{{URL: "https://example.org/a/bad"}, {URL: "https://example.org/a/good"}}
	f := newFake("good")
	tries := 0
	r := start(t, Options{Config: config, Open: func(_ context.Context, repo ConfigRepository) (Repository, error) {
		if repo.Identity() == "example.org/a/good" {
			return f, nil
		}
		if tries++; tries == 1 {
			return nil, fault.WithHint(fault.New(fault.Conflict, "clone: not yet"), "wait")
		}
		panic("bad")
	}})
	until(t, "the good one is passed", f.is("branch main", "1"))
	until(t, "the bad one was tried again", func() bool { return strings.Contains(r.log.String(), "panic: bad") })
	var ready struct {
		Ready        bool
		Repositories []Status
	}
	if err := json.Unmarshal([]byte(get(t, "http://"+r.address+"/readyz")), &ready); err != nil {
		t.Fatal(err)
	}
	if !ready.Ready || len(ready.Repositories) != 2 || ready.Repositories[0].Kind != "internal" || !ready.Repositories[1].Looked {
		t.Errorf("readyz says %+v", ready)
	}
	if got := get(t, "http://"+r.address+"/healthz"); got != "ok\n" {
		t.Errorf("healthz says %q", got)
	}
}

// TestPassesAreBounded: over all repositories, and the pull requests of one.
func TestPassesAreBounded(t *testing.T) {
	var mu sync.Mutex
	now, most := 0, 0
	slow := func() error {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		time.Sleep(5 * time.Millisecond)
		mu.Lock()
		now--
		mu.Unlock()
		return nil
	}
	config := fast()
	config.Parallel, config.Pulls = 6, 2
	var sites []Repository
	var fakes []*fake
	for n := range 10 {
		f := newFake(fmt.Sprint("example.org/", n))
		f.onBranch = func(context.Context, string) error { return slow() }
		f.onPull = func(context.Context, int) error { return slow() }
		for p := 1; p <= 10; p++ {
			f.refs.Pulls[p] = "1"
			f.open = append(f.open, p)
		}
		sites, fakes = append(sites, f), append(fakes, f)
	}
	start(t, Options{Config: config, Sites: sites})
	for _, f := range fakes {
		for p := 1; p <= 10; p++ {
			until(t, "all are passed", f.is(fmt.Sprint("pull ", p), "1"))
		}
		if most, twice := f.crowd(); twice || most > 3 {
			t.Errorf("%s: %d at once, the same one twice: %v", f.name, most, twice)
		}
	}
	if most > 6 {
		t.Errorf("%d passes at once", most)
	}
}

// TestShutdownFinishesOrHandsBack: as the configuration says, and no pass begins any more.
func TestShutdownFinishesOrHandsBack(t *testing.T) {
	for name, c := range map[string]struct {
		shutdown Shutdown
		finished bool
	}{
		"finish":                    {Shutdown{Runs: Finish, Grace: 10 * time.Second}, true},
		"finish, longer than grace": {Shutdown{Runs: Finish, Grace: 20 * time.Millisecond}, false},
		"hand back":                 {Shutdown{Runs: HandBack, Grace: 10 * time.Second}, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake("example.org/a")
			began, finish := make(chan bool), make(chan bool)
			handed := false
			f.onBranch = func(ctx context.Context, _ string) error {
				began <- true
				select {
				case <-finish:
					return nil
				case <-ctx.Done():
					handed = true
					return ctx.Err()
				}
			}
			config := fast()
			config.Shutdown = c.shutdown
			config.State = t.TempDir()
			r := start(t, Options{Config: config, Sites: []Repository{f}})
			<-began
			f.set(func(r *Refs) { r.Branches["next"] = "1" })
			r.stop()
			if c.finished {
				until(t, "the end has begun", func() bool { return strings.Contains(r.log.String(), "controller ends") })
				close(finish)
			}
			r.end(t)
			if handed == c.finished || f.count("branch main") != 1 || f.count("branch next") != 0 || !f.closed {
				t.Errorf("handed back: %v, passes: %v, closed: %v", handed, f.passed, f.closed)
			}
			// What was handed back is passed again at the next start; what was finished is not.
			again := newFake("example.org/a")
			start(t, Options{Config: config, Sites: []Repository{again}})
			until(t, "looks", func() bool { return again.looked() > 5 })
			if got := again.count("branch main") == 0; got != c.finished {
				t.Errorf("after a restart: %d passes", again.count("branch main"))
			}
		})
	}
}

// TestASiteThatIgnoresTheEndIsLeft: the controller ends nevertheless, and says so.
func TestASiteThatIgnoresTheEndIsLeft(t *testing.T) {
	f := newFake("example.org/a")
	began, stuck := make(chan bool), make(chan bool)
	defer close(stuck)
	f.onBranch = func(context.Context, string) error { began <- true; <-stuck; return nil }
	config := fast()
	config.Shutdown = Shutdown{Runs: HandBack, Grace: 20 * time.Millisecond}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	c := New(Options{Config: config, Sites: []Repository{f}})
	go func() { ended <- c.Run(ctx) }()
	<-began
	stop()
	if err := <-ended; fault.Of(err) != fault.Internal || !strings.Contains(fault.HintOf(err), "shutdown.grace") {
		t.Errorf("ended with %v", err)
	}
}

// TestRestartPassesOnlyWhatIsNotSettled: what a file remembers saves passes; one
// that is broken, or of another version, saves none and does no harm.
func TestRestartPassesOnlyWhatIsNotSettled(t *testing.T) {
	config := fast()
	config.State = t.TempDir()
	run := func(version, head string) int {
		f := newFake("example.org/a")
		f.refs.Branches["main"] = head
		f.onBranch = func(_ context.Context, b string) error {
			if b == "broken" {
				return errors.New("broken")
			}
			return nil
		}
		f.refs.Branches["broken"] = "1"
		r := start(t, Options{Config: config, Sites: []Repository{f}, Version: version})
		until(t, "looks", func() bool { return f.looked() > 5 && f.count("branch broken") > 0 })
		if f.count("branch main") > 0 {
			until(t, "a pass", f.is("branch main", head))
		}
		r.end(t)
		return f.count("branch main")
	}
	for _, step := range []struct {
		what, version, head string
		want                int
	}{
		{"first", "1", "a", 1}, {"restart", "1", "a", 0}, {"a change meanwhile", "1", "b", 1},
		{"another version", "2", "b", 1}, {"restart again", "2", "b", 0},
	} {
		if got := run(step.version, step.head); got != step.want {
			t.Errorf("%s: %d passes, want %d", step.what, got, step.want)
		}
	}
	files, err := filepath.Glob(filepath.Join(config.State, "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	for name, text := range map[string]string{"cut": `{"of":`, "other": `[]`, "null": `null`, "empty": ``} {
		write(t, files[0], text)
		if got := run("2", "b"); got != 1 {
			t.Errorf("%s: %d passes, want 1", name, got)
		}
	}
}

// TestEveryPassHasItsTrigger: in its context, and in every line that is logged with it.
func TestEveryPassHasItsTrigger(t *testing.T) {
	f := newFake("example.org/a")
	var log atomic.Pointer[slog.Logger] // the controller's, as soon as there is one
	log.Store(slog.New(Correlated(slog.NewJSONHandler(io.Discard, nil))))
	f.onBranch = func(ctx context.Context, _ string) error {
		log.Load().InfoContext(ctx, "at work")
		return nil
	}
	r := start(t, Options{Config: fast(), Sites: []Repository{f}, Rand: func() uint64 { return 0xabcd1234 }})
	log.Store(r.Controller.log)
	until(t, "a pass", f.is("branch main", "1"))
	f.set(func(r *Refs) { r.Branches["main"] = "2" })
	until(t, "a pass", f.is("branch main", "2"))
	until(t, "its line", func() bool { return strings.Count(r.log.String(), "pass done") == 2 })
	if f.triggers[0] != "abcd1234" {
		t.Errorf("triggers %q", f.triggers)
	}
	for line := range strings.Lines(r.log.String()) {
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if s := l["msg"].(string); (strings.Contains(s, "pass") || s == "at work") && l["trigger"] != "abcd1234" {
			t.Errorf("no trigger in %s", line)
		}
	}
}

// TestTransientFaultsArePassedAgain: though nothing changed.
func TestTransientFaultsArePassedAgain(t *testing.T) {
	f := newFake("example.org/a")
	tries := 0
	f.onBranch = func(context.Context, string) error {
		if tries++; tries < 3 {
			return fault.New(fault.Conflict, "somebody was faster")
		}
		return nil
	}
	start(t, Options{Config: fast(), Sites: []Repository{f}})
	until(t, "a pass that goes well", f.is("branch main", "1"))
}

// TestWhoIsHeldIsNotAskedAgain: a person is waited for, until something changes.
func TestWhoIsHeldIsNotAskedAgain(t *testing.T) {
	f := newFake("example.org/a")
	f.onBranch = func(context.Context, string) error { return fault.New(fault.Held, "approval") }
	start(t, Options{Config: fast(), Sites: []Repository{f}})
	until(t, "looks", func() bool { return f.looked() > 20 })
	if n := f.count("branch main"); n != 1 {
		t.Errorf("%d passes", n)
	}
	f.set(func(r *Refs) { r.Ledgers = map[string]Ledger{"main": {Tip: "approved"}} })
	until(t, "another pass", func() bool { return f.count("branch main") == 2 })
}
