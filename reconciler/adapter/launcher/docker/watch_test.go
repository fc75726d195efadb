// Many who wait are one watch, and what it knows is not asked for again.

package docker

import (
	"bytes"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dockerengine/dockertest"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// TestAThousandWhoWaitAreOneWatch, and each learns of its own.
func TestAThousandWhoWaitAreOneWatch(t *testing.T) {
	const many = 1000
	e := dockertest.New(t)
	l := launcherOn(t, e.Socket)
	first := launched(t, l, someTask(dockertest.Image, "forever"))
	ids := []port.TaskID{first}
	for i := 1; i < many; i++ { // as if they had been launched, and quicker
		b := *e.Boxes[first.UID]
		b.ID, b.State = fmt.Sprintf("%064x", i), maps.Clone(b.State)
		e.Boxes[b.ID] = &b
		ids = append(ids, port.TaskID{Name: first.Name, UID: b.ID, Tool: first.Tool})
	}
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	asked := e.Asked.Load()
	ended := make(chan error, many)
	for _, id := range ids {
		go func() {
			s, err := l.Await(t.Context(), id, port.TaskStatus{Phase: port.TaskRunning})
			if err == nil && (s.Phase != port.TaskEnded || s.Cause != port.Stopped) {
				err = fmt.Errorf("%+v", s)
			}
			ended <- err
		}()
	}
	for e.Asked.Load() < asked+many { // all of them have looked once
		time.Sleep(time.Millisecond)
	}
	runtime.GC()
	runtime.ReadMemStats(&during)
	held := int64(during.HeapInuse+during.StackInuse) - int64(before.HeapInuse+before.StackInuse)
	t.Logf("a thousand who wait hold %d KiB here, with the double's side of it", held>>10)
	if e.Streams != 1 || held > 160<<20 { // goroutines of the double and the race detector are in it
		t.Errorf("%d streams and %d MiB", e.Streams, held>>20)
	}
	e.Mu.Lock()
	for _, id := range ids {
		e.Exit(e.Boxes[id.UID], 143)
	}
	e.Mu.Unlock()
	for range ids {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
}

// TestWhatIsWatchedIsNotAskedForAgain: who asks ten times a second how a run stands costs an
// engine nothing, and still learns at once what becomes of it.
func TestWhatIsWatchedIsNotAskedForAgain(t *testing.T) {
	e := dockertest.New(t)
	l := launcherOn(t, e.Socket)
	id := launched(t, l, someTask(dockertest.Image, "forever"))
	running := port.TaskStatus{Phase: port.TaskRunning}
	came := make(chan port.TaskStatus, 1)
	go func() {
		s, err := l.Await(t.Context(), id, running)
		if err != nil {
			t.Error(err)
		}
		came <- s
	}()
	quiet := func() bool {
		before := e.Asked.Load()
		for range 100 {
			if s, err := l.Observe(t.Context(), id); err != nil || s != running {
				t.Fatalf("%+v, %v", s, err)
			}
		}
		return e.Asked.Load() == before
	}
	for deadline := time.Now().Add(10 * time.Second); !quiet(); { // until the stream stands
		if time.Now().After(deadline) {
			t.Fatal("the engine is asked each time")
		}
	}
	e.Mu.Lock()
	e.Exit(e.Boxes[id.UID], 143)
	e.Mu.Unlock()
	want := <-came
	if s, err := l.Observe(t.Context(), id); err != nil || s != want || s.Cause != port.Stopped {
		t.Errorf("%+v, %v; it was told %+v", s, err, want)
	}
	if err := l.Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Observe(t.Context(), id); fault.Of(err) != fault.Missing {
		t.Errorf("what was removed: %v", err)
	}
}

// TestWhatNobodyAwaitsIsHeldToItsDeadline as soon as anybody awaits anything.
func TestWhatNobodyAwaitsIsHeldToItsDeadline(t *testing.T) {
	e := dockertest.New(t)
	forgotten := someTask(dockertest.Image, "forever")
	forgotten.Deadline = time.Minute
	launched(t, launcherOn(t, e.Socket), forgotten)
	b := e.Box(t, forgotten.Name)
	e.Mu.Lock()
	b.Made = b.Made.Add(-time.Hour)
	b.State["StartedAt"] = time.Now().Add(-time.Hour).Format(time.RFC3339Nano)
	e.Mu.Unlock()
	l := launcherOn(t, e.Socket)
	ended := launched(t, l, someTask(dockertest.Image, "well"))
	if _, err := l.Await(t.Context(), ended, port.TaskStatus{}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		e.Mu.Lock()
		status := b.State["Status"]
		e.Mu.Unlock()
		if status == "exited" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is still %v", status)
		}
	}
}

func TestTheOwnWordsOfAContainerSteerNothing(t *testing.T) {
	frame := func(text string) string {
		n := len(text)
		return string([]byte{1, 0, 0, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + text
	}
	for name, c := range map[string]struct{ in, want string }{
		"nothing":         {"", ""},
		"a line":          {frame("it broke\n"), "it broke"},
		"the last five":   {frame("1\n2\n3\n4\n") + frame("5\n6\n"), "2; 3; 4; 5; 6"},
		"a cut frame":     {frame("it broke\n")[:12], "it b"},
		"no frames":       {"plain", ""},
		"escapes":         {frame("\x1b[31mred\x1b[0m\n"), "\ufffd[31mred\ufffd[0m"},
		"no characters":   {frame("a\xffb\n"), "ab"},
		"a line too long": {frame(strings.Repeat("x", 2000)), "..." + strings.Repeat("x", 500)},
	} {
		if got := ownTail(strings.NewReader(c.in)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func FuzzOwnTail(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x00\x03abc"))
	f.Add([]byte("\x01\x00\x00\x00\xff\xff\xff\xffabc"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if got := ownTail(bytes.NewReader(raw)); len(got) > 2000 || strings.ContainsAny(got, "\x1b\n") {
			t.Errorf("%q", got)
		}
	})
}
