// How long a task takes beside what kubectl does, in one run on one cluster.

package launcher

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

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
		job := jobKind{}.object(task(fmt.Sprint("theirs-", i)), newNames(fmt.Sprint("theirs-", i)))
		spec := job["spec"].(map[string]any)
		spec["suspend"] = false
		pod := spec["template"].(map[string]any)["spec"].(map[string]any)
		pod["volumes"] = pod["volumes"].([]any)[1:] // but for the Secret
		main := pod["containers"].([]any)[0].(map[string]any)
		main["volumeMounts"] = main["volumeMounts"].([]any)[1:]
		raw, err := json.Marshal(job)
		if err != nil {
			t.Fatal(err)
		}
		begun = time.Now()
		r.Kubectl(t, string(raw), "create", "-n", r.namespace, "-f", "-")
		r.Kubectl(t, "", "wait", "--for=condition=complete", fmt.Sprint("job/theirs-", i), "-n", r.namespace, "--timeout=2m")
		theirs += time.Since(begun)
	}
	ours, theirs = ours/rounds, theirs/rounds
	t.Logf("a task that does nothing: %s; by kubectl: %s", ours, theirs)
	if ours > theirs*12/10+500*time.Millisecond {
		t.Errorf("a task takes %s, and by kubectl %s", ours, theirs)
	}
}
