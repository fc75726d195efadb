// A Gateway of the cluster: the kinds of the Gateway API, and Traefik that carries what they say.

package enginetest

import (
	"testing"
	"time"
)

// Gateways of a cluster, both in the namespace Gateways: one takes routes of every namespace, the other of its own alone.
const (
	Gateways      = "gateways"
	OpenGateway   = "public"
	ClosedGateway = "private"
)

const gateways = `apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: traefik}
spec: {controllerName: traefik.io/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: ` + OpenGateway + `, namespace: ` + Gateways + `}
spec:
  gatewayClassName: traefik
  listeners: [{name: http, protocol: HTTP, port: ` + entryPort + `, allowedRoutes: {namespaces: {from: All}}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: ` + ClosedGateway + `, namespace: ` + Gateways + `}
spec:
  gatewayClassName: traefik
  listeners: [{name: http, protocol: HTTP, port: ` + entryPort + `, hostname: private.example.com, allowedRoutes: {namespaces: {from: Same}}}]
`

// Gateway has the cluster know the Gateway API and has Traefik carry its routes, until the test ends: before and after, the cluster has
// none of it.
func (k *Kubernetes) Gateway(t testing.TB) {
	t.Helper()
	program, err := tool("traefik")
	if err != nil {
		t.Fatal(err)
	}
	k.kinds(t, "gateway-api.yaml")
	k.Kubectl(t, `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "`+Gateways+`"}}`, "create", "-f", "-")
	t.Cleanup(func() { k.Kubectl(t, "", "delete", "namespace", Gateways) })
	if err := k.apply(gateways); err != nil {
		t.Fatal(err)
	}
	if err := k.startTraefik(program); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		k.procs["traefik"].kill()
		if t.Failed() {
			t.Logf("Traefik said:\n%s", k.procs["traefik"].tail())
		}
	})
	k.Await(t, time.Minute, "True", "get", "gateway", OpenGateway, "-n", Gateways, "-o", `jsonpath={.status.conditions[?(@.type=="Programmed")].status}`)
}

// startTraefik begins it beside the cluster's other programs, as their administrator.
func (k *Kubernetes) startTraefik(program string) (err error) {
	k.procs["traefik"], err = k.node.traefik("/usr/bin/env", "KUBECONFIG="+k.Kubeconfig, program, "--providers.kubernetesgateway=true")
	return err
}

// StopGateway has Traefik run no more, until what it returns is called.
func (k *Kubernetes) StopGateway(t testing.TB) (again func()) {
	t.Helper()
	k.procs["traefik"].kill()
	return func() {
		program, err := tool("traefik")
		if err == nil {
			err = k.startTraefik(program)
		}
		if err != nil {
			t.Error(err)
		}
	}
}
