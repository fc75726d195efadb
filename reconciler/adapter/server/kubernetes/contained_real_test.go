// Pods of a package's own image, as it is packed, pulled and begun: nothing but the image is brought to them.

package kubernetes

import (
	"os"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/adapter/packager"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
)

func TestKubernetesServesByAPackagesOwnImage(t *testing.T) {
	s := onCluster(t)
	env := port.Env{Lookup: os.LookupEnv}
	packs := packager.OCI(packager.Options{Env: env, Store: s.o.Store, Envs: sandbox.Environments{Dir: t.TempDir(), Env: env}})
	contained := func(version string) port.Release {
		t.Helper()
		r := s.release("one", version)
		packed, err := packs.Push(t.Context(), port.Package{
			At: port.Registry{Repository: enginetest.Registry(t) + "/team/one"}, Name: "one", Model: r.Model,
			Image: &port.ServingImage{Base: s.image, Platform: "linux/amd64", Run: r.Kubernetes.Run, Code: r.Kubernetes.Code, Params: map[string]any{"limit": 3}, Port: 8080},
		})
		if err != nil {
			t.Fatal(err, fault.HintOf(err))
		}
		r.Package, r.Contained = packed.Reference(), true
		r.Kubernetes.Image, r.Kubernetes.Worker, r.Kubernetes.Code = packed.Repository+"@"+string(packed.Serving.Digest), "", nil
		return r
	}
	l := s.apply(contained("1"))
	said := s.ask(l, "/inside")
	for _, want := range []string{"model weights of 1\n", "\"limit\": 3", "write model cannot", "change model cannot", "chmod model cannot", "write root cannot", "write tmp can",
		"ticket False", "token False", "user 65532\n", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"} {
		if !strings.Contains(said, want) {
			t.Errorf("not %q", want)
		}
	}
	if t.Failed() {
		t.Fatalf("inside:\n%s", said)
	}
	if l.Bytes != port.BytesByDigest {
		t.Errorf("its bytes are %q", l.Bytes)
	}
	of := strings.Fields(s.Kubectl(t, "", "get", "pods", "-n", s.namespace, "-o", "jsonpath={range .items[*]}{.spec.containers[*].image} {.spec.initContainers[*].name}{end}"))
	if len(of) != 1 {
		t.Errorf("the pods have %q", of)
	}

	// Another model is another image, and one that is not there takes nothing over.
	second := contained("2")
	if l = s.apply(second); s.ask(l, "/") != "2" {
		t.Errorf("the second release answers %q", s.ask(l, "/"))
	}
	lost := contained("3")
	lost.Kubernetes.Image = strings.Split(lost.Kubernetes.Image, "@")[0] + "@" + string(digest.Of([]byte("nothing")))
	if _, err := s.server.Apply(t.Context(), lost); err == nil || !strings.Contains(err.Error(), "image") || fault.HintOf(err) == "" {
		t.Errorf("an image that is not there: %v", err)
	}
	if now := s.observe("one"); now.Key != second.Key || s.ask(now, "/") != "2" {
		t.Errorf("what served before is %+v", now)
	}
}
