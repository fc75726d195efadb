// What holds on a cluster besides the suite: crashes, rights, queues, several nodes, and what
// the cluster's owner and others do to a task.

package launcher

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// aTask is a task with a command of a shell.
func aTask(name, script string) port.Task {
	return port.Task{
		Name: name, Owner: "owner", Launch: "first", Job: digest.Of([]byte(name)), Ref: schemas.Ref{Kind: "training", Name: name},
		Image: image, Command: shell(script), Ticket: []byte("the ticket of " + name), Deadline: time.Hour,
	}
}

func launch(t *testing.T, l port.Launcher, task port.Task) port.TaskID {
	t.Helper()
	id, err := l.Launch(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Remove(context.WithoutCancel(t.Context()), id); err != nil && fault.Of(err) != fault.Conflict {
			t.Error(err)
		}
	})
	return id
}

// until awaits what is wanted of a task.
func until(t *testing.T, l port.Launcher, id port.TaskID, want func(port.TaskStatus) bool) port.TaskStatus {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	s, err := l.Observe(ctx, id)
	for err == nil && !want(s) {
		s, err = l.Await(ctx, id, s)
	}
	if err != nil {
		t.Fatalf("%v; last %+v", err, s)
	}
	return s
}

func over(s port.TaskStatus) bool { return s.Phase == port.TaskEnded }

func running(s port.TaskStatus) bool { return s.Phase == port.TaskRunning }

// A launcher that dies after any of its requests leaves a task that is found and goes on, and
// no Secret that stays.
func TestACrashAtEveryStepLeavesOneTask(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		objects string
		open    func(c *kubetest.Cluster) port.Launcher
	}{
		"jobs":      {"jobs", func(c *kubetest.Cluster) port.Launcher { return on(t, c, schemas.KubernetesRunner{}) }},
		"a queue":   {"jobs", func(c *kubetest.Cluster) port.Launcher { return on(t, c, schemas.KubernetesRunner{Queue: "team-a"}) }},
		"trainjobs": {"trainjobs", func(c *kubetest.Cluster) port.Launcher { return trains(t, c) }},
	} {
		for step := 1; ; step++ {
			if crashed := crashAt(t, name, step, c.objects, c.open); !crashed {
				break
			}
		}
	}
}

// crashAt has a launcher die after a request, if it has that many, and another one go on.
func crashAt(t *testing.T, name string, step int, objects string, open func(*kubetest.Cluster) port.Launcher) (crashed bool) {
	c := kubetest.New(t, kubetest.Options{Images: []string{image}, Queues: map[string]string{"team-a": "8"}})
	l := open(c)
	ctx, die := context.WithCancel(t.Context())
	defer die()
	var asked atomic.Int64
	c.After(func(r *http.Request) {
		if r.Method == http.MethodGet && slices.Contains([]string{objects, "pods", "events", "workloads"}, path.Base(r.URL.Path)) {
			return // the board looks beside the launch, and also when that is done
		}
		if asked.Add(1) == int64(step) {
			die()
			panic(http.ErrAbortHandler)
		}
	})
	task := aTask("t", "exit 3")
	_, err := l.Launch(ctx, task)
	crashed = ctx.Err() != nil
	c.After(func(*http.Request) {}) // what the next one asks is its own
	if crashed && err == nil {
		t.Fatalf("%s, step %d: a launch that was cut off says that it is done", name, step)
	}
	id := launch(t, open(c), task)
	if n := len(c.Objects(objects)); n != 1 {
		t.Errorf("%s, step %d: there are %d %s", name, step, n, objects)
	}
	if s := until(t, l, id, over); s.ExitCode != 3 {
		t.Errorf("%s, step %d: it ended as %+v", name, step, s)
	}
	if err := l.Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nothing is left", func() bool { return len(c.Objects("secrets"))+len(c.Objects("services"))+len(c.Objects(objects)) == 0 })
	return crashed
}

// A pod that comes and ends between two questions is not taken for one that somebody deleted.
func TestAPodThatComesAndEndsBetweenTwoQuestionsIsSeen(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, kubetest.Options{Images: []string{image}})
	l := on(t, c, schemas.KubernetesRunner{})
	free := c.UseUp("pods")
	id := launch(t, l, aTask("t", "exit 3"))
	comeAndEnd := sync.OnceFunc(func() {
		free()
		eventually(t, "its Job has failed", func() bool { return strings.Contains(c.Objects("jobs")["t"], "BackoffLimitExceeded") })
	})
	c.After(func(r *http.Request) { // it has answered that there is no pod
		if strings.HasSuffix(r.URL.Path, "/pods") && r.Method == http.MethodGet && r.URL.Query().Get("watch") == "" {
			comeAndEnd()
		}
	})
	if s, err := l.Observe(t.Context(), id); err != nil || s.ExitCode != 3 {
		t.Errorf("it ended as %+v, %v", s, err)
	}
}

// What a launcher left a while ago, before it was let go, is made anew with a ticket that holds.
func TestWhatALaunchLeftLongAgoIsMadeAnew(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, kubetest.Options{Images: []string{image}})
	l := on(t, c, schemas.KubernetesRunner{})
	task := aTask("t", "exit 3")
	left := jobKind{}.object(task, newNames("t"))
	left["metadata"].(map[string]any)["creationTimestamp"] = time.Now().Add(-2 * time.Minute).UTC().Format(time.RFC3339)
	c.Put("jobs", left)
	was := c.Objects("jobs")["t"]
	id := launch(t, l, task)
	if strings.Contains(was, id.UID) {
		t.Error("it was let go as it was")
	}
	if s := until(t, l, id, over); s.ExitCode != 3 {
		t.Errorf("it ended as %+v", s)
	}
}

// eventually waits for what a controller does by itself.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(20 * time.Second); !ok(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not so after 20 seconds: %s", what)
		}
	}
}

// The rights that templates/kubernetes gives are those that are used: none is missing, and
// none is there for nothing.
func TestEveryRightIsUsed(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for name, open := range map[string]func(c *kubetest.Cluster) port.Launcher{
		"jobs":   func(c *kubetest.Cluster) port.Launcher { return on(t, c, schemas.KubernetesRunner{}) },
		"queued": func(c *kubetest.Cluster) port.Launcher { return on(t, c, schemas.KubernetesRunner{Queue: "team-a"}) },
		"trains": func(c *kubetest.Cluster) port.Launcher { return trains(t, c) },
	} {
		c := kubetest.New(t, kubetest.Options{Images: []string{image}, Queues: map[string]string{"team-a": "8"}, Rules: rights(t)})
		l := open(c)
		task := aTask(name, "true")
		task.Nodes = 2
		id := launch(t, l, task)
		until(t, l, id, over)
		if _, err := l.Launch(t.Context(), task); err != nil {
			t.Error(err)
		}
		end := c.UseUp("pods")
		waits := launch(t, l, aTask(name+"-waits", "true"))
		until(t, l, waits, func(s port.TaskStatus) bool { return strings.Contains(s.Reason, "quota: pods") })
		end()
		if err := l.Remove(t.Context(), id); err != nil {
			t.Error(err)
		}
		for right := range c.Used() {
			used[right] = true
		}
	}
	for _, rule := range rights(t) {
		for _, verb := range rule.Verbs {
			for _, resource := range rule.Resources {
				right := strings.TrimSuffix(verb+" "+resource+"."+rule.APIGroups[0], ".")
				if !used[right] {
					t.Errorf("nothing needs the right to %s", right)
				}
			}
		}
	}
}

func TestAQueueTellsThePositionAndWhatItTakesBack(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, kubetest.Options{Images: []string{image}, Queues: map[string]string{"team-a": "1"}})
	l := on(t, c, schemas.KubernetesRunner{Queue: "team-a"})
	var ids []port.TaskID
	for i := range 4 {
		task := aTask(fmt.Sprintf("t%d", i), "exec sleep 1000")
		task.Resources.CPU = "1"
		ids = append(ids, launch(t, l, task))
		if i == 0 {
			until(t, l, ids[0], running)
		}
		eventually(t, "its workload is there", func() bool { return len(c.Objects("workloads")) == i+1 })
	}
	eventually(t, "each has a place of its own", func() bool { // what is heard of workloads comes in no order
		seen := map[string]bool{}
		for _, id := range ids[1:] {
			s := until(t, l, id, func(s port.TaskStatus) bool { return strings.Contains(s.Reason, "position ") })
			where, _, _ := strings.Cut(s.Reason, ":")
			seen[where] = true
		}
		return seen["position 1 in queue team-a"] && seen["position 2 in queue team-a"] && seen["position 3 in queue team-a"]
	})
	c.Preempt(ids[0].Name)
	if s := until(t, l, ids[0], over); s.Cause != port.Preempted || !strings.Contains(s.Reason, "team-a") {
		t.Errorf("what its queue took back ended as %+v", s)
	}
	c.Requeue("team-a", "4")
	until(t, l, ids[0], running) // Kueue begins it again by itself
	never := aTask("never", "true")
	never.Resources.CPU = "7"
	if s := until(t, l, launch(t, l, never), over); s.Cause != port.Unschedulable {
		t.Errorf("what its queue never has room for ended as %+v", s)
	}
}

// Several nodes know their number and the first; one that fails ends all.
func TestSeveralNodesAreOneTask(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, kubetest.Options{Images: []string{image}})
	l := on(t, c, schemas.KubernetesRunner{})
	out := t.TempDir()
	task := aTask(strings.Repeat("long", 15), fmt.Sprintf(`echo $VISHWA_NODES $VISHWA_NODE_ADDRESS > %s/$VISHWA_NODE_RANK`, out))
	task.Nodes = 3
	id := launch(t, l, task)
	if again, err := l.Launch(t.Context(), task); err != nil || again != id {
		t.Errorf("launched again it is %+v, %v", again, err)
	}
	if s := until(t, l, id, over); s.Cause != "" {
		t.Fatalf("it ended as %+v", s)
	}
	var service string
	for service = range c.Objects("services") {
	}
	for rank := range 3 {
		raw, err := os.ReadFile(filepath.Join(out, fmt.Sprint(rank)))
		if want := fmt.Sprintf("3 %s-0.%s\n", id.Name, service); err != nil || string(raw) != want {
			t.Errorf("node %d was told %q, %v; want %q", rank, raw, err, want)
		}
	}
	task = aTask("fails", `[ $VISHWA_NODE_RANK = 1 ] && exit 9; exec sleep 1000`)
	task.Nodes = 3
	if s := until(t, l, launch(t, l, task), over); s.Cause != port.Exit || s.ExitCode != 9 {
		t.Errorf("one of three that failed ended as %+v", s)
	}
}

// What is launched says no more than it must, and asks for what the runner declares.
func TestTheJobIsAsDeclared(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, kubetest.Options{Images: []string{image}, Labels: map[string]string{"pool": "train", "gpu": "a100"}, GPUs: 2})
	l := on(t, c, schemas.KubernetesRunner{
		ServiceAccount: "trainer", NodeSelector: map[string]string{"pool": "train"}, GPULabel: "gpu", PullSecrets: []string{"pull"},
		Tolerations: []schemas.Toleration{{Key: "dedicated", Value: "train", Effect: "NoSchedule"}},
	})
	task := aTask("t", "true")
	task.Resources = schemas.Resources{CPU: "500m", Memory: "1Gi", EphemeralStorage: "2Gi", GPU: 2, GPUKind: "a100"}
	task.Priority, task.Spot = "high", true
	until(t, l, launch(t, l, task), over)
	var job batchv1.Job
	if err := json.Unmarshal([]byte(c.Objects("jobs")["t"]), &job); err != nil {
		t.Fatal(err)
	}
	pod := job.Spec.Template.Spec
	got := map[string]any{
		"account": pod.ServiceAccountName, "token": *pod.AutomountServiceAccountToken, "links": *pod.EnableServiceLinks,
		"selector": fmt.Sprint(pod.NodeSelector), "priority": pod.PriorityClassName, "pulls": pod.ImagePullSecrets[0].Name,
		"gpu": pod.Containers[0].Resources.Limits.Name("nvidia.com/gpu", "").String(), "memory": pod.Containers[0].Resources.Requests.Memory().String(),
		"tolerations": len(pod.Tolerations), "backoff": *job.Spec.BackoffLimit, "deadline": *job.Spec.ActiveDeadlineSeconds, "ttl": *job.Spec.TTLSecondsAfterFinished,
		"root": *pod.Containers[0].SecurityContext.ReadOnlyRootFilesystem,
	}
	want := map[string]any{
		"account": "trainer", "token": false, "links": false, "selector": "map[gpu:a100 pool:train]", "priority": "high", "pulls": "pull",
		"gpu": "2", "memory": "1Gi", "tolerations": 4, "backoff": int32(0), "deadline": int64(3600), "ttl": int32(86400), "root": true,
	}
	for field, w := range want {
		if got[field] != w {
			t.Errorf("%s is %v, want %v", field, got[field], w)
		}
	}
	if strings.Contains(fmt.Sprint(c.Objects("jobs"), c.Objects("pods")), "the ticket of") {
		t.Error("the Job shows its ticket")
	}
	task.Name, task.Resources.GPUKind = "u", "h100"
	without := on(t, c, schemas.KubernetesRunner{})
	if _, err := without.Launch(t.Context(), task); fault.Of(err) != fault.Invalid || !strings.Contains(fault.HintOf(err), "gpuLabel") {
		t.Errorf("a kind of GPU without a label: %v (%s)", err, fault.HintOf(err))
	}
}
