// Routes of a real cluster that a real Gateway carries: Traefik. It says that it takes a route before it does, and sends to pods by their
// addresses, which it follows some seconds late.

package kubernetes

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
	"github.com/vishwaops/vishwa/schemas"
)

// routedStage is one whose releases are behind a Gateway.
type routedStage struct {
	*realStage
	changed atomic.Pointer[func()] // called after each change of the cluster
}

func onGateway(t *testing.T) *routedStage {
	t.Helper()
	s := &routedStage{realStage: onCluster(t)}
	s.stage.route = schemas.Route{Gateway: enginetest.OpenGateway, Namespace: enginetest.Gateways, Host: s.namespace + ".example.com"}
	s.watch()
	return s
}

// watch puts somebody between the server and its cluster, who tells of each change.
func (s *routedStage) watch() {
	s.t.Helper()
	file, _ := s.o.Env.Lookup("KUBECONFIG")
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		s.t.Fatal(err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		s.t.Fatal(err)
	}
	to, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		s.t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Transport: transport, FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxy.ServeHTTP(w, r)
		if each := s.changed.Load(); each != nil && r.Method != http.MethodGet {
			(*each)()
		}
	}))
	s.t.Cleanup(between.Close)
	raw, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "real",
		"clusters": []any{map[string]any{"name": "real", "cluster": map[string]any{"server": between.URL}}},
		"contexts": []any{map[string]any{"name": "real", "context": map[string]any{"cluster": "real", "user": "vishwa"}}},
		"users":    []any{map[string]any{"name": "vishwa", "user": map[string]any{}}},
	})
	if err == nil {
		err = os.WriteFile(file, raw, 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// request is what one request by the route is answered by.
func (s *routedStage) request() (version string, err error) {
	return porttest.ByHost(s.t, enginetest.Entry, s.stage.route.Host)()
}

func (s *routedStage) answers(n int) map[string]int {
	s.t.Helper()
	out := map[string]int{}
	for range n {
		version, err := s.request()
		if err != nil {
			from := time.Now()
			for again := err; again != nil && time.Since(from) < 30*time.Second; time.Sleep(50 * time.Millisecond) {
				_, again = s.request()
			}
			s.t.Fatalf("after %v: %v; from %s to %s", out, err, from.UTC().Format(time.TimeOnly), time.Now().UTC().Format(time.TimeOnly))
		}
		out[version]++
	}
	return out
}

// deployments are those that stand.
func (s *routedStage) deployments() int {
	return len(strings.Fields(s.Kubectl(s.t, "", "get", "deployments", "-n", s.namespace, "-o", "name")))
}

func (s *routedStage) splitting() porttest.Splitting {
	out := s.stage.splitting(func(_, version string, how ...string) port.Release { return s.routed(version, how...) }, s.answers, s.deployments)
	out.Off, out.Every = 1, 5
	out.Changes = func(each func()) (end func()) {
		s.changed.Store(&each)
		return func() { s.changed.Store(nil) }
	}
	return out
}

func TestKubernetesRoutesAreCarriedByTraefik(t *testing.T) {
	enginetest.Cluster(t).Gateway(t)
	t.Run("Splits", func(t *testing.T) {
		porttest.Splitter(t, func(t *testing.T) porttest.Splitting { return onGateway(t).splitting() })
	})
	t.Run("NoRequestIsLost", func(t *testing.T) {
		s := onGateway(t)
		losesNoRequest(t, s.stage, s.request, (drain+3)*time.Second)
	})
	t.Run("ARouteThatNobodyTakesIsSaidSo", func(t *testing.T) { saysWhoTakesNoRoute(t, onGateway(t)) })
}

// saysWhoTakesNoRoute: a Gateway that takes no routes of this namespace, one that is not there, and one whose controller is away.
func saysWhoTakesNoRoute(t *testing.T, s *routedStage) {
	s.o.Reach = 5 * time.Second
	s.server = New(s.o)
	open := s.stage.route
	for gateway, words := range map[string]string{
		enginetest.ClosedGateway: "Accepted is False: NotAllowedByListeners",
		"none":                   "no Gateway says anything of it",
	} {
		s.stage.route.Gateway = gateway
		s.refused(s.routed("1"), fault.Transient, words, "kubectl describe httproute")
	}
	s.stage.route = open
	s.apply(s.routed("1"))
	two := s.routed("2")
	again := s.StopGateway(t)
	if _, err := s.server.(port.Splitter).Split(t.Context(), two, port.Part{Weight: 30}); err == nil || !strings.Contains(err.Error(), "its Gateway has not seen it yet") || fault.Of(err) != fault.Transient {
		t.Errorf("nobody carries the route: %v", err)
	}
	again()
	s.split(two, 30)
	if got := s.answers(100); !slices.Equal(slices.Sorted(maps.Keys(got)), []string{"1", "2"}) {
		t.Errorf("the Gateway is back: %v", got)
	}
}
