// Credentials that end while a run is under way: who waits is told, and the run is none the worse.

package launcher

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func TestWhoWaitsIsToldThatCredentialsEnded(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, kubetest.Options{Images: []string{image}})
	var later atomic.Int64 // minutes
	on := env(c.Kubeconfig())
	on.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load()) * time.Minute) }
	l, err := Kubernetes(KubernetesOptions{Cluster: schemas.Cluster{Namespace: kubetest.Namespace}, Env: on, ClusterOptions: hasty})
	if err != nil {
		t.Fatal(err)
	}
	id := launch(t, l, aTask("t", "exec sleep 1000"))
	seen := until(t, l, id, running)

	renew := c.Expire()
	c.Outage()() // whoever watches is cut off
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for ctx.Err() == nil && fault.Of(err) != fault.Denied {
		short, stop := context.WithTimeout(ctx, time.Second)
		_, err = l.Await(short, id, seen)
		stop()
		later.Add(1) // for half a minute it is taken for a server that has just come back
	}
	if fault.Of(err) != fault.Denied || !strings.Contains(fault.HintOf(err), "log in") {
		t.Errorf("who waits is told %v (%s)", err, fault.HintOf(err))
	}
	if _, known := l.(port.Watcher).Known(t.Context(), id); known {
		t.Error("it is known without a question")
	}
	if jobs := c.Objects("jobs"); len(jobs) != 1 || !strings.Contains(jobs[id.Name], id.UID) || c.Alive(id.UID) != 1 {
		t.Errorf("the run was touched: %d processes, %v", c.Alive(id.UID), jobs)
	}

	renew()
	stands, err := l.Await(ctx, id, port.TaskStatus{})
	for err != nil && ctx.Err() == nil && (fault.Of(err) == fault.Denied || fault.Of(err) == fault.Transient) { // until it is asked again
		stands, err = l.Await(ctx, id, port.TaskStatus{})
	}
	if err != nil || stands != seen || c.Alive(id.UID) != 1 {
		t.Errorf("it is found again as %+v, %v", stands, err)
	}
}
