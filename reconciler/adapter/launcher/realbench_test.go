// How long a task takes beside what kubectl does, in one run on one cluster.

package launcher

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
	"github.com/vishwaops/vishwa/schemas"
)

// TestKubernetesIsAsFastAsKubectl: a task that does nothing, from its launch until it is told to
// have ended, takes at most 1.2 times as long as kubectl create and wait of the same Job, and half a second.
func TestKubernetesIsAsFastAsKubectl(t *testing.T) {
	r := realNamespace(t, "speed")
	l := r.launcher(t, schemas.KubernetesRunner{Cluster: "c"})
	task := func(name string) port.Task {
		o := aTask(name, "true")
		o.Image = enginetest.Python(t)
		return o
	}
	until(t, l, launch(t, l, task("warm")), over) // the image is there from now on
	const rounds = 5
	var ours, theirs time.Duration
	for i := range rounds {
		begun := time.Now()
		id := launch(t, l, task(fmt.Sprint("ours-", i)))
		if s := until(t, l, id, over); s.Cause != "" {
			t.Fatalf("%+v", s)
		}
		ours += time.Since(begun)
		raw := byHand(t, task(fmt.Sprint("theirs-", i)), "")
		begun = time.Now()
		r.Kubectl(t, raw, "create", "-n", r.namespace, "-f", "-")
		r.Kubectl(t, "", "wait", "--for=condition=complete", fmt.Sprint("job/theirs-", i), "-n", r.namespace, "--timeout=2m")
		theirs += time.Since(begun)
	}
	ours, theirs = ours/rounds, theirs/rounds
	t.Logf("a task that does nothing: %s; by kubectl: %s", ours, theirs)
	if ours > theirs*12/10+500*time.Millisecond {
		t.Errorf("a task takes %s, and by kubectl %s", ours, theirs)
	}
}

// byHand is the Job of a task as kubectl would create it: without its Secret, and in a queue
// where one is named.
func byHand(t testing.TB, task port.Task, queue string) string {
	t.Helper()
	job := jobKind{}.object(task, newNames(task.Name))
	spec := job["spec"].(map[string]any)
	spec["suspend"] = queue != ""
	delete(spec, "ttlSecondsAfterFinished") // what has ended stays until it was waited for
	if queue != "" {
		job["metadata"].(map[string]any)["labels"].(map[string]string)[queueLabel] = queue
	}
	pod := spec["template"].(map[string]any)["spec"].(map[string]any)
	pod["volumes"] = pod["volumes"].([]any)[1:]
	main := pod["containers"].([]any)[0].(map[string]any)
	main["volumeMounts"] = main["volumeMounts"].([]any)[1:]
	raw, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// queuedTasks is how many tasks wait in one queue that has room for few.
const queuedTasks = 200

// BenchmarkKubernetesQueue has 200 tasks go through one quota of Kueue, launched and awaited side by side; and the same 200
// created and awaited by kubectl.
func BenchmarkKubernetesQueue(b *testing.B) {
	r := realNamespace(b, "many")
	r.queues(b, "1")
	l, err := Kubernetes(KubernetesOptions{Runner: schemas.KubernetesRunner{Cluster: "c", Queue: "team-a"}, Cluster: schemas.Cluster{Namespace: r.namespace}, Env: env(r.kubeconfig)})
	if err != nil {
		b.Fatal(err)
	}
	task := func(name string) port.Task {
		o := aTask(name, "true")
		o.Image, o.Resources = enginetest.Python(b), schemas.Resources{CPU: "250m", Memory: "32Mi"}
		return o
	}
	for b.Loop() {
		begun := time.Now()
		var all errgroup.Group
		all.SetLimit(16) // as many runs as one pass begins side by side
		ids := make([]port.TaskID, queuedTasks)
		for i := range ids {
			all.Go(func() (err error) {
				ids[i], err = l.Launch(b.Context(), task(fmt.Sprint("ours-", i)))
				return err
			})
		}
		if err := all.Wait(); err != nil {
			b.Fatal(err)
		}
		var ends errgroup.Group
		for _, id := range ids {
			ends.Go(func() error {
				s, err := l.Observe(b.Context(), id)
				for err == nil && !over(s) {
					s, err = l.Await(b.Context(), id, s)
				}
				if err == nil && s.Cause != "" {
					err = fmt.Errorf("%s: %+v", id.Name, s)
				}
				return err
			})
		}
		if err := ends.Wait(); err != nil {
			b.Fatal(err)
		}
		ours := time.Since(begun)
		b.Logf("%d tasks went through in %s", queuedTasks, ours)
		for _, id := range ids {
			if err := l.Remove(b.Context(), id); err != nil {
				b.Fatal(err)
			}
		}
		jobs := make([]string, queuedTasks)
		for i := range jobs {
			jobs[i] = byHand(b, task(fmt.Sprint("theirs-", i)), "team-a")
		}
		begun = time.Now()
		r.Kubectl(b, strings.Join(jobs, "\n---\n"), "create", "-n", r.namespace, "-f", "-")
		r.Kubectl(b, "", "wait", "--for=condition=complete", "job", "--all", "-n", r.namespace, "--timeout=20m")
		theirs := time.Since(begun)
		r.Kubectl(b, "", "delete", "job", "--all", "-n", r.namespace)
		b.ReportMetric(ours.Seconds(), "s/200tasks")
		b.ReportMetric(theirs.Seconds(), "s/200kubectl")
		if float64(ours) > 1.15*float64(theirs) {
			b.Errorf("200 queued tasks take %s, and by kubectl %s", ours, theirs)
		}
	}
}
