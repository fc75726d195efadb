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

// trained lists what was trained, as the ledger says.
func (i *installation) trained(t *testing.T) (runs []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "-C", filepath.Join(i.dir, "forge", "acme", "homes.git"), "log", "--format=%s", "vishwa/ledger")
	out, _ := cmd.CombinedOutput() // before the first entry there is no such branch
	for line := range strings.Lines(string(out)) {
		if what, is := strings.CutPrefix(strings.TrimSpace(line), "train "); is {
			ref, _, _ := strings.Cut(what, ": ") // and why
			runs = append(runs, ref)
		}
	}
	slices.Sort(runs)
	return runs
}

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
