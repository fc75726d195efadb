// Whatever a cluster says, a task stands somehow, and what is shown of it is harmless.

package status

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func FuzzHowATaskStands(f *testing.F) {
	f.Add(going, `[{"status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available: 1 Insufficient cpu. preemption: x"}]}}]`, `{}`, "")
	f.Add(failedWith, `[{"status": {"containerStatuses": [{"state": {"terminated": {"exitCode": 1}}}]}}]`, `{}`, "")
	f.Add(held, `[]`, `{"spec": {"queueName": "q"}}`, "pods \"x\" is forbidden: \x1b[2J")
	f.Fuzz(func(t *testing.T, object, pods, load, refused string) {
		facts := Facts{Refused: refused, Queue: "q", Now: time.Unix(1e9, 0)}
		var w Workload
		if json.Unmarshal([]byte(object), &facts.Unit) != nil || json.Unmarshal([]byte(pods), &facts.Pods) != nil || json.Unmarshal([]byte(load), &w) != nil {
			return
		}
		facts.Load, facts.Past = &w, facts.Pods
		facts.Ahead = Ahead(w, maps.Values(map[string]Workload{"w": w, "v": {}}))
		s := facts.Task()
		if !slices.Contains([]port.TaskPhase{port.TaskWaiting, port.TaskRunning, port.TaskEnded}, s.Phase) {
			t.Errorf("it stands nowhere: %+v", s)
		}
		if s.Reason != harmless.Line(s.Reason) || strings.Contains(s.Reason, "\n") || len(s.Reason) > 4<<10 {
			t.Errorf("its reason is not fit to be shown: %q", s.Reason)
		}
		if again := facts.Task(); again != s {
			t.Errorf("asked twice it stands as %+v and %+v", s, again)
		}
	})
}
