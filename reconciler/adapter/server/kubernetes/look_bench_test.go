// What it costs to look whether a thousand objects of a cluster are as they are declared.

package kubernetes

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
	"github.com/vishwaops/vishwa/schemas"
)

const (
	looked = 1000 // objects: half of them Services, and half Deployments without pods
	each   = 4    // of a release
	slots  = 4    // releases that a pass looks at at once
)

// thousand has the objects on a cluster, as ours, and leads to it.
func thousand(b *testing.B, kubeconfig, namespace string) (owned.Hand, []owned.Object) {
	b.Helper()
	env := port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Lookup: func(name string) (string, bool) {
		if name == "KUBECONFIG" {
			return kubeconfig, true
		}
		return os.LookupEnv(name)
	}}
	c, err := kube.Open(kube.Options{Cluster: schemas.Cluster{Namespace: namespace}, Env: env, Rights: Rights})
	if err != nil {
		b.Fatal(err)
	}
	h := owned.Hand{Kube: c, Owner: "looked", Name: "all", Now: time.Now}
	labels := map[string]any{owned.LabelOwner: h.Owner, owned.LabelName: h.Name}
	var all []owned.Object
	for i := range looked {
		o := owned.Object{Resource: kube.Services, Name: fmt.Sprintf("looked-%d", i)}
		meta := map[string]any{"name": o.Name, "namespace": namespace, "labels": labels}
		chosen := map[string]any{"app": o.Name}
		o.Body = map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": map[string]any{
			"clusterIP": "None", "selector": chosen, "ports": []any{map[string]any{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}},
		}}
		if i%2 == 1 {
			o.Resource = kube.Deployments
			o.Body = map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": map[string]any{
				"replicas": 0, "selector": map[string]any{"matchLabels": chosen}, "template": map[string]any{
					"metadata": map[string]any{"labels": chosen}, "spec": map[string]any{"containers": []any{map[string]any{"name": "serve", "image": image}}},
				}}}
		}
		o.Body = plain(o.Body)
		all = append(all, o)
	}
	for _, o := range all {
		if err := c.Apply(b.Context(), o.Resource, o.Name, o.Body, false, nil); err != nil {
			b.Fatal(err)
		}
	}
	return h, all
}

// look is how long a first look takes, which compares each with what the cluster would make of it, and how long one after it,
// which asks for each whether it is another by now.
func look(b *testing.B, h owned.Hand, all []owned.Object) (first, again time.Duration) {
	b.Helper()
	seen := &owned.Settled{}
	for _, took := range []*time.Duration{&first, &again} {
		begun := time.Now()
		releases := make(chan []owned.Object)
		var done sync.WaitGroup
		for range slots {
			done.Go(func() {
				for objects := range releases {
					if drift, err := seen.Drift(b.Context(), h, objects); err != nil || drift != "" {
						b.Errorf("it has drifted: %q, %v", drift, err)
					}
				}
			})
		}
		for objects := range slices.Chunk(all, each) {
			releases <- objects
		}
		close(releases)
		done.Wait()
		*took = time.Since(begun)
	}
	return first, again
}

// BenchmarkLook looks at a cluster that a double plays in this process.
func BenchmarkLook(b *testing.B) {
	c := kubetest.New(b, kubetest.Options{Images: []string{image}})
	h, all := thousand(b, c.Kubeconfig(), kubetest.Namespace)
	for b.Loop() {
		first, again := look(b, h, all)
		b.ReportMetric(first.Seconds(), "first-s")
		b.ReportMetric(again.Seconds(), "again-s")
	}
}

// BenchmarkKubernetesLook looks at a real cluster, in turns with kubectl diff of the same objects.
func BenchmarkKubernetesLook(b *testing.B) {
	k := enginetest.Cluster(b)
	const namespace = "looked"
	k.Kubectl(b, "", "create", "namespace", namespace)
	b.Cleanup(func() { k.Kubectl(b, "", "delete", "namespace", namespace, "--wait=false") })
	h, all := thousand(b, k.Kubeconfig, namespace)
	var docs strings.Builder
	for _, o := range all {
		raw, err := json.Marshal(o.Body)
		if err != nil {
			b.Fatal(err)
		}
		docs.Write(append(raw, '\n'))
	}
	for b.Loop() {
		first, again := look(b, h, all)
		begun := time.Now()
		k.Kubectl(b, docs.String(), "diff", "--server-side", "--force-conflicts", "--field-manager="+kube.Manager, "-f", "-") // one that finds something fails
		theirs := time.Since(begun)
		b.ReportMetric(first.Seconds(), "first-s")
		b.ReportMetric(again.Seconds(), "again-s")
		b.ReportMetric(theirs.Seconds(), "kubectl-diff-s")
		b.ReportMetric(theirs.Seconds()/first.Seconds(), "first-ratio")
		b.ReportMetric(theirs.Seconds()/again.Seconds(), "again-ratio")
		b.ReportMetric(10, "again-ratio-goal")
	}
}
