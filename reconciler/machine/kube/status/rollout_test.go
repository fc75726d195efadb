// How pods that serve stand, in each way in which a cluster may say it.

package status

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

var midday = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func TestARolloutIsToldInPlainWords(t *testing.T) {
	const whole = `"status": {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}`
	const half = `"status": {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1}`
	pod := func(conditions, containers string) string {
		return `{"metadata": {"creationTimestamp": "2026-11-29T11:00:00Z"}, "spec": {"containers": [{"name": "serve", "image": "img", "resources": {"limits": {"memory": "1Gi"}}}]},
			"status": {"phase": "Running", "conditions": [` + conditions + `], ` + containers + `}}`
	}
	const evicted = `{"metadata": {"creationTimestamp": "2026-11-29T11:50:00Z"}, "status": {"phase": "Failed", "reason": "Evicted", "message": "Usage of EmptyDir volume \"vishwa-release\" exceeds the limit \"2Gi\". "}}`
	const placed = `{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-11-29T11:00:00Z"}`
	for name, c := range map[string]struct {
		deployment string
		pods       []string
		settled    bool
		over       bool
		words      string
	}{
		"all serve":                 {`"spec": {"replicas": 2}, ` + whole, nil, true, false, ""},
		"none was asked about":      {`"spec": {"replicas": 2}, "status": {}`, nil, false, false, "has not taken notice"},
		"it is another by now":      {`"spec": {"replicas": 2}, "status": {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}`, nil, false, false, "has not taken notice"},
		"an old one is left":        {`"spec": {"replicas": 2}, "status": {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 3}`, nil, false, false, ""},
		"none is wanted":            {`"spec": {"replicas": 0}, "status": {"observedGeneration": 2}`, nil, false, false, "it is to have no pods"},
		"somebody paused it":        {`"spec": {"replicas": 2, "paused": true}, ` + half, nil, false, false, "1 of 2 pods serves: somebody paused it"},
		"a rule":                    {`"spec": {}, "status": {"observedGeneration": 2, "conditions": [{"type": "ReplicaFailure", "status": "True", "lastTransitionTime": "2026-11-29T11:00:00Z", "message": "pods \"x\" is forbidden: violates PodSecurity"}]}`, nil, false, true, "makes no pod for it: violates PodSecurity"},
		"a quota":                   {`"spec": {}, "status": {"observedGeneration": 2, "conditions": [{"type": "ReplicaFailure", "status": "True", "lastTransitionTime": "2026-11-29T11:00:00Z", "message": "pods \"x\" is forbidden: exceeded quota: team"}]}`, nil, false, false, "exceeded quota: team"},
		"it runs and says nothing":  {`"spec": {}, "status": {"observedGeneration": 2}`, []string{pod(placed, `"containerStatuses": [{"name": "serve", "state": {"running": {}}}]`)}, false, false, "its pod runs, and does not answer 200 at /ready"},
		"it has to go on":           {`"spec": {}, "status": {"observedGeneration": 2}`, []string{pod(placed+`, {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-29T11:59:58Z"}`, `"containerStatuses": [{"name": "serve", "state": {"running": {}}}]`)}, false, false, "answers since 2s"},
		"it was killed for memory":  {`"spec": {}, "status": {"observedGeneration": 2}`, []string{pod(placed, `"containerStatuses": [{"name": "serve", "restartCount": 1, "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]`)}, false, true, "it took more memory, of which it is given 1Gi"},
		"it ends":                   {`"spec": {}, "status": {"observedGeneration": 2}`, []string{pod(placed, `"containerStatuses": [{"name": "serve", "restartCount": 1, "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 3, "reason": "Error", "message": "no such\u001b[2J column\n"}}}]`)}, false, true, "with exit code 3: no such"},
		"the store is away":         {`"spec": {}, "status": {"observedGeneration": 2}`, []string{pod(placed, `"initContainerStatuses": [{"name": "fetch", "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "message": "no route"}}}]`)}, false, false, "it cannot bring the model: with exit code 1: no route"},
		"the model is gone":         {`"spec": {}, "status": {"observedGeneration": 2}`, []string{pod(placed, `"initContainerStatuses": [{"name": "fetch", "state": {"terminated": {"exitCode": 3, "reason": "Error", "message": "404"}}}]`)}, false, true, "it cannot bring the model"},
		"it is tried again":         {`"spec": {}, "status": {"observedGeneration": 2}`, []string{pod(placed, `"initContainerStatuses": [{"name": "fetch", "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 3, "reason": "Error", "message": "404"}}}], "containerStatuses": [{"name": "serve", "state": {"waiting": {"reason": "PodInitializing"}}}]`)}, false, false, "the model is being brought"},
		"more than its volume":      {`"spec": {}, "status": {"observedGeneration": 2}`, []string{evicted}, false, false, "its node ended its pod, which took more disk than there is for it: Usage of EmptyDir volume"},
		"and again and again":       {`"spec": {}, "status": {"observedGeneration": 2}`, []string{evicted, evicted, evicted}, false, true, "its node ended its pod, which took more disk"},
		"once each, as on one node": {`"spec": {"replicas": 3}, "status": {"observedGeneration": 2}`, []string{evicted, evicted, evicted}, false, false, "its node ended its pod, which took more disk"},
		"before another obstacle":   {`"spec": {}, "status": {"observedGeneration": 2}`, []string{pod(placed, `"containerStatuses": [{"name": "serve", "state": {"running": {}}}]`), evicted}, false, false, "its pod runs, and does not answer 200"},
		"long ago":                  {`"spec": {}, "status": {"observedGeneration": 2}`, []string{strings.Replace(evicted, "29T11:50", "28T11:50", 1)}, false, false, "its pods are being made"},
		"a node that ran full":      {`"spec": {}, "status": {"observedGeneration": 2}`, []string{pod(placed, `"initContainerStatuses": [{"name": "fetch", "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 5, "reason": "Error", "message": "no space left on device"}}}]`)}, false, false, "it cannot bring the model: with exit code 5: no space left on device"},
		"no such image":             {`"spec": {}, "status": {"observedGeneration": 2}`, []string{pod(placed, `"containerStatuses": [{"name": "serve", "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}]`)}, false, true, "its image img cannot be pulled: not found"},
		"no such node":              {`"spec": {}, "status": {"observedGeneration": 2}`, []string{pod(`{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."}`, `"containerStatuses": []`)}, false, true, "no node has enough cpu"},
	} {
		r := Rollout{Ready: "/ready", Now: midday, Patience: Patience{Image: time.Minute, Room: time.Minute, Start: time.Minute}}
		if err := json.Unmarshal([]byte(`{"metadata": {"name": "one", "generation": 2}, `+c.deployment+`}`), &r.Deployment); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, text := range c.pods {
			var p Pod
			if err := json.Unmarshal([]byte(text), &p); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			r.Pods = append(r.Pods, p)
		}
		s := r.Stands()
		if s.Settled != c.settled || s.Over != c.over || !strings.Contains(s.Reason, c.words) || s.Settled != (s.Reason == "") || strings.ContainsRune(s.Reason, '\x1b') {
			t.Errorf("%s: %+v, want %q", name, s, c.words)
		}
	}
}
