// What a worker says that left no result comes with the end of its task, before its pod is gone.

package launcher

import (
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// unreached is a worker's own word.
const unreached = "vishwa-worker: read the job's document: the worker cannot reach the store at store.example.com:9000: dial tcp 10.0.0.7:9000: connect: connection refused: let what runs the job reach it"

func TestWhatAWorkerSaysComesWithItsEnd(t *testing.T) {
	t.Parallel()
	toFile := "echo \"" + unreached + "\" > \"$KUBETEST_ROOT/dev/termination-log\"; "
	for name, c := range map[string]struct {
		train  bool
		script string
		want   string
	}{
		"a Job prints it":            {script: "echo noise; echo \"" + unreached + "\" >&2; exit 1", want: "it ended with exit code 1: noise; " + unreached},
		"a Job writes it":            {script: "echo noise; " + toFile + "exit 1", want: "it ended with exit code 1: " + unreached},
		"a TrainJob writes it":       {train: true, script: "echo noise; " + toFile + "exit 1", want: "it ended with exit code 1: " + unreached},
		"a TrainJob has no field":    {train: true, script: "echo noise; exit 1", want: "it ended with exit code 1"},
		"nothing is said":            {script: "exit 1", want: "it ended with exit code 1"},
		"it ends well and is silent": {script: "echo noise; " + toFile + "exit 0", want: ""},
		"for another kind of machine": {script: "echo 'exec /usr/bin/python3: exec format error' >&2; exit 255",
			want: "its image " + image + " is for another kind of machine than its node: pin one that is for the machines of the cluster, too, or have the runner choose nodes that it is for (kubernetes.io/arch)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := kubetest.New(t, kubetest.Options{Images: []string{image}})
			var l port.Launcher
			if l = on(t, cluster, schemas.KubernetesRunner{}); c.train {
				l = trains(t, cluster)
			}
			id := launch(t, l, aTask("t", c.script))
			if s := until(t, l, id, over); s.Reason != c.want || (s.Cause == port.BadImage) != strings.Contains(name, "kind of machine") {
				t.Errorf("%+v, want %q", s, c.want)
			}
		})
	}
}
