// What it costs to look whether a thousand objects of a cluster are as they are declared.

package kubernetes

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
	"github.com/vishwaops/vishwa/schemas"
)

const (
	looked = 1000 // objects: half of them Services, and half Deployments without pods
	each   = 4    // of a deployment
	slots  = 4    // deployments that a pass looks at at once
)

// thousand has the objects on a cluster, as what serves there, and says whose they are.
func thousand(b *testing.B, kubeconfig, namespace string) (o Options, all []owned.Object) {
	b.Helper()
	sealed, err := seal.KeyOf([]byte("a secret of the tests, long enough to be one"))
	if err != nil {
		b.Fatal(err)
	}
	at := schemas.Cluster{Namespace: namespace}
	o = Options{Clusters: map[string]schemas.Cluster{"prod": at}, Dir: b.TempDir(), Seal: sealed}
	o.Env = port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Lookup: func(name string) (string, bool) {
		if name == "KUBECONFIG" {
			return kubeconfig, true
		}
		return os.LookupEnv(name)
	}}
	s := New(o).(*server)
	c, err := s.open(place{At: at})
	if err != nil {
		b.Fatal(err)
	}
	uid, err := c.UID(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for i := range looked / each {
		name := deployment(i)
		var of []owned.Object
		for k := range each {
			object := fmt.Sprintf("%s-%d", name, k/2)
			chosen := map[string]any{"app": object}
			p := parts{kube.Services, object, s.labels(name), nil, map[string]any{
				"clusterIP": "None", "selector": chosen, "ports": []any{map[string]any{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}},
			}}
			if k%2 == 1 {
				p.resource, p.spec = kube.Deployments, map[string]any{
					"replicas": 0, "selector": map[string]any{"matchLabels": chosen}, "template": map[string]any{
						"metadata": map[string]any{"labels": chosen}, "spec": map[string]any{"containers": []any{map[string]any{"name": "serve", "image": image}}},
					}}
			}
			of = append(of, p.object())
		}
		for _, o := range of {
			if err := c.Apply(b.Context(), o.Resource, o.Name, o.Body, false, nil); err != nil {
				b.Fatal(err)
			}
		}
		at := standing{Place: place{Name: "prod", At: at, UID: uid}, Unit: name + "-0", Key: digest.Of([]byte(name)), Objects: of}
		if err := s.writeRecord(name, record{Places: []place{at.Place}, Served: &at}); err != nil {
			b.Fatal(err)
		}
		all = append(all, of...)
	}
	return o, all
}

func deployment(i int) string { return fmt.Sprintf("looked-%d", i) }

// look is how long a look at all of them takes in a new process, as a pass looks; it tells what was changed by hand.
func look(b *testing.B, o Options) (took time.Duration, changed []string) {
	b.Helper()
	begun := time.Now()
	view := New(o).(port.Surveyor).Survey()
	names := make(chan string)
	var mu sync.Mutex
	var done sync.WaitGroup
	for range slots {
		done.Go(func() {
			for name := range names {
				l, err := view.Observe(b.Context(), name)
				if err != nil || l.Health != port.Failing || l.Message == "" { // it has no pods
					b.Errorf("observed %+v, %v", l, err)
				}
				if strings.Contains(l.Message, "somebody") {
					mu.Lock()
					changed = append(changed, name)
					mu.Unlock()
				}
			}
		})
	}
	for i := range looked / each {
		names <- deployment(i)
	}
	close(names)
	done.Wait()
	return time.Since(begun), changed
}

// looks are how long a look takes that has to ask the cluster what it would make of each, as the first of all has, and one after
// it; nothing was changed by hand.
func looks(b *testing.B, o Options) (first, again time.Duration) {
	b.Helper()
	seen, err := filepath.Glob(filepath.Join(o.Dir, "*.seen"))
	for _, file := range seen {
		err = errors.Join(err, os.Remove(file))
	}
	if err != nil {
		b.Fatal(err)
	}
	for _, took := range []*time.Duration{&first, &again} {
		var changed []string
		if *took, changed = look(b, o); len(changed) > 0 {
			b.Fatalf("changed by hand: %v", changed)
		}
	}
	return first, again
}

// BenchmarkLook looks at a cluster that a double plays in this process.
func BenchmarkLook(b *testing.B) {
	c := kubetest.New(b, kubetest.Options{Images: []string{image}, Page: 500})
	o, _ := thousand(b, c.Kubeconfig(), kubetest.Namespace)
	for b.Loop() {
		first, again := looks(b, o)
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
	o, all := thousand(b, k.Kubeconfig, namespace)
	var docs strings.Builder
	for _, o := range all {
		raw, err := json.Marshal(o.Body)
		if err != nil {
			b.Fatal(err)
		}
		docs.Write(append(raw, '\n'))
	}
	for b.Loop() {
		first, again := looks(b, o)
		begun := time.Now()
		k.Kubectl(b, docs.String(), "-n", namespace, "diff", "--server-side", "--force-conflicts", "--field-manager="+kube.Manager, "-f", "-") // one that finds something fails
		theirs := time.Since(begun)
		b.ReportMetric(first.Seconds(), "first-s")
		b.ReportMetric(again.Seconds(), "again-s")
		b.ReportMetric(theirs.Seconds(), "kubectl-diff-s")
		b.ReportMetric(theirs.Seconds()/first.Seconds(), "first-ratio")
		b.ReportMetric(theirs.Seconds()/again.Seconds(), "again-ratio")
		b.ReportMetric(10, "again-ratio-goal")
	}
	k.Kubectl(b, "", "-n", namespace, "patch", "service", "looked-7-1", "-p", `{"spec":{"sessionAffinity":"ClientIP"}}`)
	if _, changed := look(b, o); !slices.Equal(changed, []string{deployment(7)}) {
		b.Fatalf("a look finds changed by hand: %v", changed)
	}
}
