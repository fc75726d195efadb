// What a release is on a cluster: a Deployment of its own, and in front of it what keeps its name from
// release to release: a Service, and what was declared of ways in, of scaling and of drained nodes.

package kubernetes

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Labels and annotations of our objects.
const (
	labelUnit = "vishwa.dev/unit"
	noteKey   = "vishwa.dev/key"
	noteModel = "vishwa.dev/model"
	noteBytes = "vishwa.dev/bytes"
)

// parts are what an object is made of.
type parts struct {
	resource kube.Resource
	name     string
	labels   map[string]string
	notes    map[string]string
	spec     map[string]any
}

func (p parts) object() owned.Object {
	meta := map[string]any{"name": p.name, "labels": p.labels}
	if len(p.notes) > 0 {
		meta["annotations"] = p.notes
	}
	return owned.Object{Resource: p.resource, Name: p.name, Body: plain(map[string]any{
		"apiVersion": p.resource.APIVersion(), "kind": owned.Kinds[p.resource.Name], "metadata": meta, "spec": p.spec,
	})}
}

// plain is v as JSON has it, so that it compares with what a server says. It is never nil.
func plain(v map[string]any) map[string]any {
	if v == nil {
		return map[string]any{}
	}
	raw, err := json.Marshal(v)
	out := map[string]any{}
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		panic("kubernetes: an object of ours is no JSON: " + err.Error())
	}
	return out
}

func (s *server) labels(name string) map[string]string {
	return map[string]string{"app.kubernetes.io/managed-by": "vishwa", "app.kubernetes.io/name": name, owned.LabelOwner: s.owner, owned.LabelName: name}
}

// mostUnit is how long the name of a Deployment may be: of that, and a hyphen, the names of its pods keep 58
// bytes, and by their names it is known whose pods a Service has.
const mostUnit = 57

// unitOf names the Deployment of pods of that template: the same pods have the same name.
func unitOf(name string, template map[string]any) string { return marked(name, mostUnit, template) }

// marked is a name of at most so many bytes that is another for another template.
func marked(name string, most int, template map[string]any) string {
	raw, err := json.Marshal(template)
	if err != nil {
		panic("kubernetes: a pod of ours is no JSON: " + err.Error())
	}
	mark := digest.Of(raw).Hex()[:10]
	if most -= len(mark) + 1; len(name) > most {
		name = strings.TrimRight(name[:most], "-")
	}
	return name + "-" + mark
}

// secretOf names what the pods of a unit are brought by.
func (s *server) secretOf(unit string) string {
	return unit + "-" + s.o.Seal.Token("secret of " + unit)[:12]
}

// make fills in the objects of r.
func (w *work) make(r port.Release) {
	t := r.Kubernetes
	template := w.template(r)
	w.Unit = unitOf(r.Name, template)
	if len(w.Bring.Release) > 0 {
		w.Bring.Secret = w.server.secretOf(w.Unit)
	}
	of := w.server.labels(r.Name)
	unit := with(of, labelUnit, w.Unit)
	w.complete(template, unit)
	spec := map[string]any{
		"selector": map[string]any{"matchLabels": map[string]string{owned.LabelOwner: w.server.owner, labelUnit: w.Unit}},
		"template": template, "minReadySeconds": int(w.server.o.Steady.Seconds()), "revisionHistoryLimit": 0,
		"progressDeadlineSeconds": int(max(r.Timeout.Seconds(), 60)),
		"strategy":                map[string]any{"type": "RollingUpdate", "rollingUpdate": map[string]any{"maxUnavailable": 0, "maxSurge": 1}},
	}
	if t.Autoscale == nil {
		spec["replicas"] = max(1, t.Replicas)
	}
	w.unit = parts{kube.Deployments, w.Unit, unit, nil, spec}.object()
	w.units = []owned.Object{w.unit}
	if a := t.Autoscale; a != nil {
		w.least = max(1, t.Replicas)
		w.units = append(w.units, parts{kube.Autoscalers, w.Unit, unit, nil, scaled(w.Unit, *a, w.least)}.object())
	}
	notes := map[string]string{noteKey: string(r.Key), noteModel: string(r.Model.Digest), noteBytes: w.server.bytes(w.standing)}
	if t.MinAvailable != "" {
		w.fronts = append(w.fronts, parts{kube.Disruptions, r.Name, of, nil, map[string]any{
			"minAvailable": number(t.MinAvailable),
			"selector":     map[string]any{"matchLabels": map[string]string{owned.LabelOwner: w.server.owner, owned.LabelName: r.Name}},
		}}.object())
	}
	// Before the ways in, which find nothing to send to without it.
	w.fronts = append(w.fronts, parts{kube.Services, r.Name, of, notes, map[string]any{
		"type": "ClusterIP", "selector": map[string]string{owned.LabelOwner: w.server.owner, labelUnit: w.Unit},
		"ports": []any{map[string]any{"name": "http", "port": 80, "targetPort": containerPort(t), "protocol": "TCP"}},
	}}.object())
	w.URL = fmt.Sprintf("http://%s.%s.svc", r.Name, w.Place.At.Namespace)
	if in := t.Ingress; in != nil {
		w.URL = url(in.TLSSecret != "", in.Host, in.Path)
		w.fronts = append(w.fronts, parts{kube.Ingresses, r.Name, of, nil, ingress(r.Name, *in)}.object())
	}
	if in := t.Route; in != nil {
		w.URL = url(false, in.Host, in.Path)
		w.fronts = append(w.fronts, parts{kube.HTTPRoutes, r.Name, of, nil, route(r.Name, *in, w.Place.At.Namespace)}.object())
	}
	w.Objects = w.all()
}

// number is an amount or, with its sign, a part.
func number(s string) any {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	return s
}

func url(secure bool, host, path string) string {
	scheme := "http://"
	if secure {
		scheme = "https://"
	}
	return strings.TrimSuffix(scheme+host+path, "/")
}

func with(labels map[string]string, name, value string) map[string]string {
	out := maps.Clone(labels)
	out[name] = value
	return out
}

func scaled(unit string, a schemas.Autoscale, least int) map[string]any {
	cpu := a.CPU
	if cpu == 0 {
		cpu = 80
	}
	return map[string]any{
		"scaleTargetRef": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": unit},
		"minReplicas":    least, "maxReplicas": a.Max,
		"metrics": []any{map[string]any{"type": "Resource", "resource": map[string]any{"name": "cpu", "target": map[string]any{"type": "Utilization", "averageUtilization": cpu}}}},
	}
}

func ingress(name string, in schemas.Ingress) map[string]any {
	if in.Path == "" {
		in.Path = "/"
	}
	out := map[string]any{"rules": []any{map[string]any{"host": in.Host, "http": map[string]any{"paths": []any{map[string]any{
		"path": in.Path, "pathType": "Prefix", "backend": map[string]any{"service": map[string]any{"name": name, "port": map[string]any{"name": "http"}}},
	}}}}}}
	if in.Class != "" {
		out["ingressClassName"] = in.Class
	}
	if in.TLSSecret != "" {
		out["tls"] = []any{map[string]any{"hosts": []any{in.Host}, "secretName": in.TLSSecret}}
	}
	return out
}

func route(name string, in schemas.Route, namespace string) map[string]any {
	if in.Path == "" {
		in.Path = "/"
	}
	if in.Namespace != "" {
		namespace = in.Namespace
	}
	return map[string]any{
		"parentRefs": []any{map[string]any{"name": in.Gateway, "namespace": namespace}},
		"hostnames":  []any{in.Host},
		"rules": []any{map[string]any{
			"matches":     []any{map[string]any{"path": map[string]any{"type": "PathPrefix", "value": in.Path}}},
			"backendRefs": []any{map[string]any{"name": name, "port": 80}},
		}},
	}
}

// check refuses what cannot be served so, before anything is asked.
func check(r port.Release) error {
	t := r.Kubernetes
	switch {
	case !schemas.ByDigest(t.Image):
		return wrong("let vishwa image pin write its digest", "image %q is not named by digest", t.Image)
	case t.Worker != "" && !schemas.ByDigest(t.Worker):
		return wrong("write name@sha256:... as your registry tells it", "image %q of the worker is not named by digest", t.Worker)
	case len(t.Run) == 0:
		return wrong("name the serving command in spec.target.kubernetes.run", "it has no command")
	}
	return checkServed(r)
}

func wrong(way, format string, args ...any) error {
	return fault.WithHint(fault.New(fault.Invalid, format, args...), "%s", way)
}

// checkServed refuses what no target of a cluster can serve.
func checkServed(r port.Release) error {
	switch {
	case r.Model.Digest != "" && r.Signature == "":
		return wrong("release the model again: vishwa apply signs it", "its model has no signature, and what a cluster serves is verified there")
	case r.Log != nil:
		return wrong("remove spec.log, or serve from local or docker", "predictions are logged by the serving host of a machine, which a cluster's traffic does not pass")
	case !isolation().Reaches(r.Isolation):
		return fault.WithHint(fault.New(fault.Refused, "isolation %s is asked for, and pods are apart by %s", r.Isolation, isolation().Level), "ask for less, or serve elsewhere")
	}
	return nil
}
