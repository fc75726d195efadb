// What becomes of tasks that somebody deletes, or whose cluster was made anew or restored.

package launcher

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func TestAClusterMadeAnewIsAConflict(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, kubetest.Options{Images: []string{image}})
	l := on(t, c, schemas.KubernetesRunner{})
	id := launch(t, l, aTask("t", "exec sleep 1000"))
	until(t, l, id, running)
	c.Anew()
	for what, call := range map[string]func() error{
		"Observe": func() error { _, err := l.Observe(t.Context(), id); return err },
		"Await":   func() error { _, err := l.Await(t.Context(), id, port.TaskStatus{Phase: port.TaskRunning}); return err },
		"Remove":  func() error { return l.Remove(t.Context(), id) },
	} {
		if err := call(); fault.Of(err) != fault.Conflict || fault.HintOf(err) == "" {
			t.Errorf("%s: %v, want a Conflict and what to do", what, err)
		}
	}
	declared, err := Kubernetes(KubernetesOptions{Cluster: schemas.Cluster{Namespace: kubetest.Namespace, UID: id.Tool}, Env: env(c.Kubeconfig())})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := declared.Launch(t.Context(), aTask("u", "true")); fault.Of(err) != fault.Conflict {
		t.Errorf("launch on another cluster than the declared one: %v, want a Conflict", err)
	}
	if jobs := c.Objects("jobs"); len(jobs) != 0 {
		t.Errorf("something was made there: %v", jobs)
	}
}

func TestWhatSomebodyDeletesIsMissing(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, kubetest.Options{Images: []string{image}})
	l := on(t, c, schemas.KubernetesRunner{})
	id := launch(t, l, aTask("t", "exec sleep 1000"))
	seen := until(t, l, id, running)
	c.Delete("jobs", id.Name)
	var err error
	for err == nil {
		_, err = l.Await(t.Context(), id, seen)
	}
	if fault.Of(err) != fault.Missing {
		t.Errorf("%v, want Missing", err)
	}
}

// A cluster that was restored to before a run began has forgotten it, and says nothing of that to whoever
// watches: not at once, and not when it has gone through more since than it forgot.
func TestWhatARestoredClusterForgotIsMissing(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T, c *kubetest.Cluster) port.Launcher{
		"jobs":      func(t *testing.T, c *kubetest.Cluster) port.Launcher { return on(t, c, schemas.KubernetesRunner{}) },
		"trainjobs": trains,
	} {
		for _, later := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%t", name, later), func(t *testing.T) {
				t.Parallel()
				c := kubetest.New(t, kubetest.Options{Images: []string{image}})
				restore := c.Snapshot()
				l := open(t, c)
				id := launch(t, l, aTask("t", "exec sleep 1000"))
				seen := until(t, l, id, running)
				back := c.Outage()
				was := c.Version()
				restore()
				for i := 0; later && c.Version() <= was; i++ {
					c.Put("secrets", map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": fmt.Sprint("s", i)}})
				}
				back()
				ctx, stop := context.WithTimeout(t.Context(), time.Minute)
				defer stop()
				var err error
				for err == nil {
					_, err = l.Await(ctx, id, seen)
				}
				if fault.Of(err) != fault.Missing {
					t.Errorf("%v, want Missing", err)
				}
				eventually(t, "it is known no more", func() bool { // what is watched is told of it after who asked
					_, known := l.(port.Watcher).Known(t.Context(), id)
					return !known
				})
			})
		}
	}
}

// Every way in which the owner of the machines takes them back is told as that.
func TestTakenBackIsPreempted(t *testing.T) {
	t.Parallel()
	for i, reason := range []string{"PreemptionByScheduler", "DeletionByTaintManager", "EvictionByEvictionAPI", "DeletionByPodGC", "TerminationByKubelet"} {
		c := kubetest.New(t, kubetest.Options{Images: []string{image}})
		l := on(t, c, schemas.KubernetesRunner{})
		if i%2 == 1 {
			l = trains(t, c)
		}
		id := launch(t, l, aTask("t", "exec sleep 1000"))
		until(t, l, id, running)
		c.Evict(cmp.Or(c.JobOf(id.Name), id.UID), reason)
		if s := until(t, l, id, over); s.Cause != port.Preempted || s.Reason == "" {
			t.Errorf("%s: %+v", reason, s)
		}
	}
}

// A full quota is waited for, and a rule of the cluster's is not.
func TestWhyThereIsNoPodIsTold(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, kubetest.Options{Images: []string{image}})
	l := on(t, c, schemas.KubernetesRunner{})
	end := c.UseUp("team-quota")
	id := launch(t, l, aTask("t", "true"))
	until(t, l, id, func(s port.TaskStatus) bool {
		return s.Phase == port.TaskWaiting && strings.Contains(s.Reason, "exceeded quota: team-quota")
	})
	end()
	if s := until(t, l, id, over); s.Cause != "" {
		t.Errorf("once there is room it ended as %+v", s)
	}
}
