// What runs on several machines finds the others by the tools that it is made with, whatever began it.

package launcher

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/machine/dispatch"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// TestSeveralNodesFindEachOther: torchrun reads its options from PET_*, PyTorch's env:// MASTER_*, RANK
// and WORLD_SIZE, TensorFlow's strategies TF_CONFIG, and a worker of XGBoost's tracker DMLC_*. They are
// those that the worker makes of the variables that each pod really has.
func TestSeveralNodesFindEachOther(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		open func(*testing.T, *kubetest.Cluster) port.Launcher
		host func(t *testing.T, c *kubetest.Cluster, id port.TaskID, rank int) string
	}{
		"a Job": {
			func(t *testing.T, c *kubetest.Cluster) port.Launcher { return on(t, c, schemas.KubernetesRunner{}) },
			func(t *testing.T, c *kubetest.Cluster, id port.TaskID, rank int) string {
				for service := range c.Objects("services") {
					return fmt.Sprintf("%s-%d.%s", id.Name, rank, service)
				}
				t.Fatal("nodes have no names")
				return ""
			},
		},
		"a TrainJob": {trains, func(_ *testing.T, _ *kubetest.Cluster, id port.TaskID, rank int) string {
			return fmt.Sprintf("%s-node-0-%d.%s", id.Name, rank, id.Name) // as JobSet names the pods of its Job "node"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster, out := kubetest.New(t, kubetest.Options{Images: []string{image}}), t.TempDir()
			l := c.open(t, cluster)
			task := aTask("several", fmt.Sprintf(`env > %s/$VISHWA_NODE_RANK`, out))
			task.Nodes = 2
			id := launch(t, l, task)
			if s := until(t, l, id, over); s.Cause != "" {
				t.Fatalf("it ended as %+v", s)
			}
			first, second := c.host(t, cluster, id, 0), c.host(t, cluster, id, 1)
			for rank := range 2 {
				r := fmt.Sprint(rank)
				given := variables(t, filepath.Join(out, r))
				lookup := func(name string) (string, bool) { v, ok := given[name]; return v, ok }
				got, vars := dispatch.NodeVars(lookup, task.Nodes)
				var tf any
				if err := json.Unmarshal([]byte(vars["TF_CONFIG"]), &tf); err != nil {
					t.Errorf("node %d: TF_CONFIG is %q, %v", rank, vars["TF_CONFIG"], err)
				}
				if want := map[string]any{
					"cluster": map[string]any{"worker": []any{first + ":29500", second + ":29500"}},
					"task":    map[string]any{"type": "worker", "index": float64(rank)},
				}; !reflect.DeepEqual(tf, want) {
					t.Errorf("node %d: TF_CONFIG says %v, want %v", rank, tf, want)
				}
				delete(vars, "TF_CONFIG")
				if want := map[string]string{
					"VISHWA_NODE_RANK": r, "VISHWA_NODES": "2", "VISHWA_NODE_ADDRESS": first, "VISHWA_NODE_ADDRESSES": first + "," + second,
					"PET_NNODES": "2", "PET_NODE_RANK": r, "PET_MASTER_ADDR": first, "PET_MASTER_PORT": "29500",
					"MASTER_ADDR": first, "MASTER_PORT": "29500", "RANK": r, "WORLD_SIZE": "2", "LOCAL_RANK": "0",
					"DMLC_TRACKER_URI": first, "DMLC_TRACKER_PORT": "29500", "DMLC_NUM_WORKER": "2", "DMLC_TASK_ID": r,
				}; got != rank || !maps.Equal(vars, want) {
					t.Errorf("node %d is told that it is %d: %v, want %v", rank, got, vars, want)
				}
			}
		})
	}
}

// variables are those of an `env` in file.
func variables(t *testing.T, file string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for line := range strings.SplitSeq(string(raw), "\n") {
		if name, value, ok := strings.Cut(line, "="); ok {
			out[name] = value
		}
	}
	return out
}
