// Servers that others use, that somebody named, or that are somebody else's.

package kubernetes

import (
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// A Server that somebody else's Model names is not taken away below it.
func TestAnOwnServerThatOthersUseStays(t *testing.T) {
	t.Parallel()
	s := onServers(t)
	s.apply(s.hosts("one", "1"))
	name := s.servers()[0]
	theirs := map[string]any{"apiVersion": "mlops.seldon.io/v1alpha1", "kind": "Model", "metadata": map[string]any{"name": "theirs"},
		"spec": map[string]any{"storageUri": "s3://theirs/model", "server": name, "requirements": []any{"json"}}}
	s.double.Put("models", theirs)
	s.refused(port.Release{Name: "one"}, fault.Conflict, "Model theirs, which is not this deployment's, names it", "name another Server")
	if all := s.servers(); !slices.Equal(all, []string{name}) {
		t.Errorf("there are %v", all)
	}
	s.double.Delete("models", "theirs")
	s.until("it is gone", func() bool { return len(s.double.Objects("models")) == 0 })
	s.apply(port.Release{Name: "one"})
	if all := s.servers(); len(all) != 0 {
		t.Errorf("there are %v", all)
	}
}

// A Server that is named is looked for before anything is made; one that is a deployment's own is not for others.
func TestANamedServerIsThereAndOffersWhatIsAsked(t *testing.T) {
	t.Parallel()
	s := onServers(t)
	named := func(server string) port.Release {
		r := s.loads("two", "1")
		r.Seldon.Server = server
		return r
	}
	s.refused(named("none"), fault.Invalid, "namespace "+kubetest.Namespace+" has no Server none, which is to load it; it has none", "spec.target.seldon.server")
	for name, offers := range map[string][]any{"shared": nil, "small": {"sklearn"}} {
		its := map[string]any{"serverConfig": "mlserver"}
		if offers != nil {
			its["capabilities"] = offers
		}
		s.double.Put("servers", map[string]any{"apiVersion": "mlops.seldon.io/v1alpha1", "kind": "Server", "metadata": map[string]any{"name": name}, "spec": its})
	}
	s.refused(named("none"), fault.Invalid, "it has shared (what its ServerConfig mlserver offers); small (sklearn)", "ownServer")
	s.refused(named("small"), fault.Invalid, "Server small of namespace "+kubetest.Namespace+" does not offer json", "spec.target.seldon.requirements")
	s.apply(s.hosts("one", "1"))
	own := slices.DeleteFunc(s.servers(), func(n string) bool { return !strings.HasPrefix(n, "one-") })[0]
	s.refused(named(own), fault.Conflict, "is the deployment one's own, and goes when that does", "declare ownServer")
	if n := len(s.double.Objects("models")); n != 1 {
		t.Errorf("there are %d Models", n)
	}
	l := s.apply(named("shared"))
	if s.ask(l, "/infer") != "1" || !strings.Contains(s.double.Objects("models")[s.unit("two")], `"server":"shared"`) {
		t.Errorf("it is %s", s.double.Objects("models")[s.unit("two")])
	}
	s.apply(port.Release{Name: "two"})
	if all := s.servers(); !slices.Contains(all, "shared") || !slices.Contains(all, "small") {
		t.Errorf("there are %v", all)
	}
}

// Somebody else's Server of its name is refused, and taken over only where that is declared; a cluster without the kind says so.
func TestAnOwnServerOfSomebodyElsesNameIsRefused(t *testing.T) {
	t.Parallel()
	s := onServers(t)
	s.apply(s.hosts("one", "1"))
	name := s.servers()[0]
	s.apply(port.Release{Name: "one"})
	s.double.Put("servers", map[string]any{"apiVersion": "mlops.seldon.io/v1alpha1", "kind": "Server", "metadata": map[string]any{"name": name}, "spec": map[string]any{"serverConfig": "triton"}})
	s.refused(s.hosts("one", "1"), fault.Conflict, "Server "+name+" of namespace "+kubetest.Namespace+" already exists, and is not Vishwa's", "spec.target.seldon.adopt: true")
	r := s.hosts("one", "1")
	r.Seldon.Adopt = true
	s.apply(r)
	if spec := s.ofServer("spec"); !strings.Contains(spec, `"serverConfig":"mlserver"`) {
		t.Errorf("it is %s", spec)
	}
	s = onServers(t, func(o *kubetest.Options) { o.Lacks = []string{"servers"} })
	s.refused(s.hosts("one", "1"), fault.Invalid, "has no servers.mlops.seldon.io", "of version v1alpha1")
	s.apply(s.loads("one", "1")) // what needs none is served there
	s.apply(port.Release{Name: "one"})
}

// Objects are those that Core 2's documentation has.
func TestAnOwnServerIsAsCore2sDocumentationHasIt(t *testing.T) {
	t.Parallel()
	s := onServers(t)
	schema, err := jsonschema.NewCompiler().Compile("testdata/seldonserver.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, own := range map[string]schemas.SeldonServer{
		"least": {Config: "mlserver"},
		"most": {Config: "triton", Container: "tritonserver", ExtraCapabilities: []string{"mine"}, MinReplicas: 2, MaxReplicas: 5, Image: image,
			Resources: schemas.PodResources{CPU: "1", Memory: "1Gi", GPU: 1}, ServiceAccount: "models", NodeSelector: map[string]string{"disk": "ssd"},
			Tolerations: []schemas.Toleration{{Key: "spot", Operator: "Exists", Effect: "NoSchedule"}}, PullSecrets: []string{"registry"}},
		"all that it offers": {Config: "mlserver", Capabilities: []string{"json"}, Replicas: 3, NodeSelector: map[string]string{"disk": "ssd"}},
	} {
		r := s.hosts(strings.Repeat("a-long-name", 5), "1")
		r.Seldon.OwnServer = &own
		server := s.server.(*server)
		p, _ := server.shapes[port.TargetSeldon].part(r)
		w, err := server.plan(t.Context(), r, p)
		if err != nil {
			t.Fatal(err)
		}
		o := w.hosts[0]
		if err := schema.Validate(o.Body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(o.Name) > mostServer {
			t.Errorf("%s: %s has %d letters", name, o.Name, len(o.Name))
		}
		o.Body["spec"].(map[string]any)["requirements"] = []any{"json"}
		if schema.Validate(o.Body) == nil {
			t.Errorf("%s: a field that the CRD does not have passes", name)
		}
	}
}
