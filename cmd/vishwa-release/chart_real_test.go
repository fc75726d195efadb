// What is asked of the chart on a real cluster: it reconciles a repository of a forge, with runs as Jobs of another namespace, and of
// two replicas one takes over what the other leaves.

package main

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
)

// did lists what an action was done to, as the ledger says.
func (i *installation) did(t *testing.T, action string) (refs []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "-C", filepath.Join(i.dir, "forge", "acme", "homes.git"), "log", "--format=%s", "vishwa/ledger")
	out, _ := cmd.CombinedOutput() // before the first entry there is no such branch
	for line := range strings.Lines(string(out)) {
		if what, is := strings.CutPrefix(strings.TrimSpace(line), action+" "); is {
			ref, _, _ := strings.Cut(what, ": ") // and why
			refs = append(refs, ref)
		}
	}
	slices.Sort(refs)
	return refs
}

func (i *installation) trained(t *testing.T) []string { return i.did(t, "train") }

// within waits until something is so, and tells how the controllers see it where that takes too long.
func (i *installation) within(t *testing.T, limit time.Duration, what string, is func() bool) {
	t.Helper()
	for late := time.Now().Add(limit); !is(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("%s: not within %s\n%s", what, limit, i.logs(t))
		}
	}
}

// keeper is the pod that works on the repository, as the pods themselves say; "" where they do not agree.
func (i *installation) keeper(t *testing.T) (keeper string) {
	t.Helper()
	for _, pod := range strings.Fields(i.Kubectl(t, "", "get", "pods", "-n", "controllers", "-o", "jsonpath={.items[?(@.status.phase==\"Running\")].metadata.name}")) {
		cmd := exec.Command(must(t, "kubeone"), "kubectl", "--kubeconfig", i.Kubeconfig, "get", "--raw", "/api/v1/namespaces/controllers/pods/"+pod+":8701/proxy/readyz")
		out, err := cmd.Output()
		var said struct {
			Repositories []struct{ Looked, Elsewhere bool }
		}
		if err != nil || json.Unmarshal(out, &said) != nil || len(said.Repositories) != 1 {
			return ""
		}
		if said.Repositories[0].Elsewhere {
			continue
		}
		if keeper != "" || !said.Repositories[0].Looked {
			return ""
		}
		keeper = pod
	}
	return keeper
}

func TestKubernetesAChartReconcilesAForgeAndReplicasTakeOver(t *testing.T) {
	enginetest.Cluster(t) // or it is skipped
	i := install(t)
	if said := i.page(t, "rollout status"); !strings.Contains(said, `"ready":true`) {
		t.Errorf("it is not ready: %s", said)
	}
	both := []string{"training/price:curve", "training/price:line"}
	i.within(t, 4*time.Minute, "what is declared is trained", func() bool { return len(i.trained(t)) >= len(both) })
	if got := i.trained(t); !slices.Equal(got, both) {
		t.Errorf("trained are %v", got)
	}
	i.do(t, "git", "fetch", "-q", "origin", "+vishwa/ledger:vishwa/ledger")
	i.do(t, i.vishwa, "ledger", "verify")
	if said := i.do(t, i.vishwa, "log", "--format", "json"); strings.Count(said, `"runner":"pods"`) == 0 || !strings.Contains(said, `"level":"landlock"`) {
		t.Errorf("nothing says that it ran in pods, kept apart by Landlock:\n%s", said)
	}

	i.page(t, "scale.yaml")
	i.page(t, "rollout status")
	i.within(t, 2*time.Minute, "one of two works on the repository", func() bool { return i.keeper(t) != "" })

	// Its webhook meets either replica, and the one that works on it hears of it.
	at := strings.TrimSpace(i.Kubectl(t, "", "get", "service", "-n", "controllers", "prod-vishwa", "-o", "jsonpath={.spec.clusterIP}"))
	if _, err := i.forge.Hook("acme/homes", "http://"+at+"/webhooks/github", "a secret of hooks"); err != nil {
		t.Fatal(err)
	}

	// The replica that works on it is deleted without a grace: the other takes over.
	gone := i.keeper(t)
	i.Kubectl(t, "", "delete", "pod", "-n", "controllers", gone, "--force", "--grace-period=0")
	died := time.Now()
	i.within(t, 2*time.Minute, "the other takes over", func() bool { k := i.keeper(t); return k != "" && k != gone })
	t.Logf("taken over, as seen from outside, after %s", time.Since(died).Round(time.Second))
	i.edit(t, "vishwa/model.yaml", "params: {degree: 2}", "params: {degree: 3}")
	i.do(t, "git", "commit", "-qam", "Three")
	i.do(t, "git", "push", "-q", "origin", "main")
	i.within(t, 4*time.Minute, "what changed is trained", func() bool { return len(i.trained(t)) > len(both) })
	if got := i.trained(t); !slices.Equal(got, append([]string{"training/price:curve"}, both...)) {
		t.Errorf("trained are %v", got)
	}
	jobs := strings.Fields(i.Kubectl(t, "", "get", "jobs", "-n", "models", "-o", "jsonpath={.items[*].metadata.name}"))
	if len(jobs) > 3 {
		t.Errorf("%d Jobs were begun for three runs: %v", len(jobs), jobs)
	}
	i.page(t, "--replicas=0")
	i.page(t, "rollout status")
	i.page(t, "helm uninstall")
	if left := i.Kubectl(t, "", "get", "role,rolebinding", "-n", "kube-system", "-l", "app.kubernetes.io/instance=prod", "-o", "name"); strings.TrimSpace(left) != "" {
		t.Errorf("rights are left: %s", left)
	}
}

// predicted is what the deployment of the controller's own pod answers, asked from inside; "" where nothing answers.
func (i *installation) predicted(t *testing.T) string {
	t.Helper()
	const ask = `
import json, urllib.request
body = json.dumps({"inputs": [{"name": "size", "datatype": "FP64", "shape": [1], "data": [100]}]}).encode()
print(json.load(urllib.request.urlopen("http://127.0.0.1:8090/v2/models/price/infer", body, 5))["outputs"][0]["data"][0])
`
	cmd := exec.Command(must(t, "kubeone"), "kubectl", "--kubeconfig", i.Kubeconfig, "exec", "-n", "controllers", "deployment/prod-vishwa", "--", "python3", "-c", ask)
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// TestKubernetesAChartKeepsItsStateOnAVolume: artifacts and what is served are those of the volume, whichever pod has it; and it stays.
func TestKubernetesAChartKeepsItsStateOnAVolume(t *testing.T) {
	enginetest.Cluster(t) // or it is skipped
	i := onVolume(t)
	both := []string{"training/price:curve", "training/price:line"}
	i.within(t, 4*time.Minute, "what is declared is served", func() bool { return len(i.did(t, "deploy")) > 0 && i.predicted(t) != "" })
	if got := i.trained(t); !slices.Equal(got, both) {
		t.Errorf("trained are %v", got)
	}
	first := i.predicted(t)

	// Another pod has what the first one had, and serves it as it was: nothing is trained or deployed again.
	i.Kubectl(t, "", "delete", "pod", "-n", "controllers", "-l", "app.kubernetes.io/name=vishwa", "--timeout=2m")
	i.page(t, "rollout status")
	i.within(t, 2*time.Minute, "what was served is served again", func() bool { return i.predicted(t) == first })

	i.edit(t, "vishwa/model.yaml", "params: {degree: 2}", "params: {degree: 3}")
	i.do(t, "git", "commit", "-qam", "Three")
	i.do(t, "git", "push", "-q", "origin", "main")
	i.within(t, 4*time.Minute, "what changed is served", func() bool { p := i.predicted(t); return p != "" && p != first })
	i.do(t, "git", "revert", "--no-edit", "HEAD")
	i.do(t, "git", "push", "-q", "origin", "main")
	i.within(t, 4*time.Minute, "the model of before serves", func() bool { return i.predicted(t) == first })
	if got := i.trained(t); !slices.Equal(got, append([]string{"training/price:curve"}, both...)) {
		t.Errorf("trained are %v", got)
	}
	i.do(t, "git", "fetch", "-q", "origin", "+vishwa/ledger:vishwa/ledger")
	i.do(t, i.vishwa, "ledger", "verify")

	i.page(t, "helm uninstall")
	if claim := i.Kubectl(t, "", "get", "persistentvolumeclaim", "-n", "controllers", "prod-vishwa", "-o", "jsonpath={.status.phase}"); claim != "Bound" {
		t.Errorf("the volume's claim is %q after uninstalling, and was to stay", claim)
	}
}
