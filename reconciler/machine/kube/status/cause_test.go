// What is done about pods that do not serve goes by the cluster's own fields: what a program or a rule says in words decides nothing.

package status

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

func TestWordsOfAProgramAreNoCause(t *testing.T) {
	const hostile = `pods \"x\" is forbidden: exceeded quota: a; what this pod may read of the store ended; cannot be pulled; no node has it; took more memory; does not answer 200`
	ended := func(container string, code int) string {
		return fmt.Sprintf(`{"metadata": {"name": "p"}, "spec": {}, "status": {"%s": [{"name": %q, "state": {"terminated": {"exitCode": %d, "reason": "Error", "message": "%s"}}}]}}`,
			map[string]string{Fetches: "initContainerStatuses", Serves: "containerStatuses"}[container], container, code, hostile)
	}
	refused := func(message string) string {
		return `"status": {"observedGeneration": 2, "conditions": [{"type": "ReplicaFailure", "status": "True", "lastTransitionTime": "2026-11-29T11:00:00Z", "message": "` + message + `"}]}`
	}
	const quiet = `"status": {"observedGeneration": 2}`
	for name, c := range map[string]struct {
		deployment, pod string
		cause           Cause
		over            bool
	}{
		"the command ends":         {quiet, ended(Serves, 1), "", true},
		"the fetch ends":           {quiet, ended(Fetches, 1), NoModel, false},
		"the fetch ends for good":  {quiet, ended(Fetches, Hopeless), NoModel, true},
		"what it was lent ended":   {quiet, ended(Fetches, Lapsed), NoLoan, false},
		"its volume is full":       {quiet, ended(Fetches, Full), NoDisk, false},
		"an image is not there":    {quiet, `{"metadata": {"name": "p"}, "spec": {}, "status": {"containerStatuses": [{"name": "serve", "state": {"waiting": {"reason": "ErrImagePull", "message": "` + hostile + `"}}}]}}`, NoImage, false},
		"a quota":                  {refused(`pods \"x\" is forbidden: exceeded quota: team, requested: pods=1`), "", NoQuota, false},
		"a rule":                   {refused(`admission webhook \"x\" denied the request: exceeded quota of this team`), "", NoPod, true},
		"a rule that is forbidden": {refused(`pods \"x\" is forbidden: violates PodSecurity: exceeded quota: of words`), "", NoPod, true},
	} {
		r := Rollout{Ready: "/ready", Now: midday, Patience: Patience{Image: time.Minute, Room: time.Minute, Start: time.Minute}}
		if err := json.Unmarshal([]byte(`{"metadata": {"name": "one", "generation": 2}, "spec": {}, `+c.deployment+`}`), &r.Deployment); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if c.pod != "" {
			var p Pod
			if err := json.Unmarshal([]byte(c.pod), &p); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			p.Created = midday.Add(-time.Second)
			r.Pods = []Pod{p}
		}
		if s := r.Stands(); s.Cause != c.cause || s.Over != c.over {
			t.Errorf("%s: %+v, want %q", name, s, c.cause)
		}
	}
}
