// What is kept of tasks is little, however many there are.

package launcher

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// A thousand tasks with large objects take up no more than 2 kB each, and nothing when they are gone.
func TestTheBoardIsSmall(t *testing.T) {
	const tasks, most = 1000, 2 << 10
	c := kubetest.New(t, kubetest.Options{})
	l := on(t, c, schemas.KubernetesRunner{}).(*cluster)
	leave := l.board.join(kube.Resource{})
	defer leave()
	if err := l.heard(t.Context()); err != nil {
		t.Fatal(err)
	}
	padding := strings.Repeat("x", 20<<10)
	used := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	tell := func(i int, gone bool) {
		name := fmt.Sprintf("task-%d", i)
		u := status.Unit{Meta: status.Meta{Name: name, UID: name, Annotations: map[string]string{status.Begun: "true", "padding": padding + name}, Labels: map[string]string{"padding": padding + name}}}
		p := status.Pod{Meta: status.Meta{Name: name + "-x", UID: name + "-x", Labels: map[string]string{taskLabel: name, controllerUID: name, "padding": padding + name}}}
		p.Status.Phase = "Running"
		l.board.mu.Lock()
		defer l.board.mu.Unlock()
		if gone {
			l.board.setPod(p, true)
			l.board.setUnit(u, true)
			return
		}
		l.board.setUnit(u, false)
		l.board.setPod(p, false)
	}
	before := used()
	for i := range tasks {
		tell(i, false)
	}
	if each := (used() - before) / tasks; each > most {
		t.Errorf("a task takes %d bytes, want %d at most", each, most)
	}
	if s, known := l.board.status(port.TaskID{Name: "task-7", UID: "task-7"}); !known || s.Phase != port.TaskRunning {
		t.Errorf("a task that runs stands as %+v, %t", s, known)
	}
	for i := range tasks {
		tell(i, true)
	}
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	if n := len(l.board.units) + len(l.board.pods) + len(l.board.past) + len(l.board.refused); n != 0 {
		t.Errorf("%d things are kept of tasks that are gone", n)
	}
}

// A pod that is not there any more is kept once, and how it ended takes the place of how it was, when that is told late.
func TestHowAPodEndedIsKeptOnce(t *testing.T) {
	l := on(t, kubetest.New(t, kubetest.Options{}), schemas.KubernetesRunner{}).(*cluster)
	b := l.board
	b.mu.Lock()
	defer b.mu.Unlock()
	b.units, b.pods, b.past = map[string]status.Unit{}, map[string]map[string]status.Pod{}, map[string][]status.Pod{}
	b.setUnits([]status.Unit{{Meta: status.Meta{Name: "t", UID: "u"}}})
	p := status.Pod{Meta: status.Meta{Name: "p", UID: "p", Labels: map[string]string{taskLabel: "t"}}}
	p.Status.Phase = "Running"
	b.setPods([]status.Pod{p})
	b.setPods(nil)
	if past := b.past["t"]; len(past) != 1 || past[0].Status.Phase != "Running" {
		t.Fatalf("whose end was missed is kept as %+v", past)
	}
	p.Status.Phase = "Failed"
	b.setPod(p, false)
	b.setPod(p, true)
	if past := b.past["t"]; len(past) != 1 || past[0].Status.Phase != "Failed" {
		t.Errorf("it is kept as %+v", past)
	}
}

// TestWhatRunsIsKnownWithoutAQuestion: while it is watched, and only then: not while the cluster
// is away, nor of a task that somebody deleted, nor of another's uid.
func TestWhatRunsIsKnownWithoutAQuestion(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, kubetest.Options{Images: []string{image}})
	l := on(t, c, schemas.KubernetesRunner{})
	task := aTask("known", "exec sleep 1000")
	id := launch(t, l, task)
	until(t, l, id, func(s port.TaskStatus) bool { return s.Phase == port.TaskRunning })
	known := func() bool {
		s, known := l.(port.Watcher).Known(t.Context(), id)
		return known && s.Phase == port.TaskRunning
	}
	becomes := func(want bool, when string) {
		t.Helper()
		for late := time.Now().Add(time.Minute); known() != want; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(late) {
				t.Fatalf("%s: known is %t", when, !want)
			}
		}
	}
	becomes(true, "it runs")
	before := c.Asked()
	for range 100 {
		becomes(true, "it goes on")
	}
	if n := c.Asked() - before; n > 20 {
		t.Errorf("a hundred looks are %d questions", n)
	}
	if _, known := l.(port.Watcher).Known(t.Context(), port.TaskID{Name: id.Name, UID: "another", Tool: id.Tool}); known {
		t.Error("another of its name is known")
	}
	end := c.Outage()
	becomes(false, "the cluster is away")
	end()
	until(t, l, id, func(s port.TaskStatus) bool { return s.Phase == port.TaskRunning })
	becomes(true, "it is back")
	c.Delete("jobs", id.Name)
	becomes(false, "somebody deleted it")
}
