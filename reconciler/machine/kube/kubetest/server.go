// The API server: paths, verbs, rights, strict fields, preconditions, pages and watches.

package kubetest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
)

// groups are the resources that there are, and the API that each is of.
var groups = map[string]string{
	"jobs": "batch/v1", "pods": "v1", "secrets": "v1", "services": "v1", "events": "v1", "namespaces": "v1",
	"deployments": "apps/v1", "horizontalpodautoscalers": "autoscaling/v2", "poddisruptionbudgets": "policy/v1",
	"ingresses": "networking.k8s.io/v1", "httproutes": "gateway.networking.k8s.io/v1", "endpointslices": "discovery.k8s.io/v1",
	"inferenceservices": "serving.kserve.io/v1beta1",
	"models":            "mlops.seldon.io/v1alpha1", "experiments": "mlops.seldon.io/v1alpha1", "servers": "mlops.seldon.io/v1alpha1",
	"virtualservices":   "networking.istio.io/v1beta1",
	"seldondeployments": "machinelearning.seldon.io/v1",
	"workloads":         "kueue.x-k8s.io/v1beta1", "trainjobs": "trainer.kubeflow.org/v1alpha1",
}

// strict are the types that an object's fields have to be of.
var strict = map[string]func() any{
	"jobs": func() any { return &batchv1.Job{} }, "secrets": func() any { return &corev1.Secret{} }, "services": func() any { return &corev1.Service{} },
	"deployments": func() any { return &appsv1.Deployment{} }, "horizontalpodautoscalers": func() any { return &autoscalingv2.HorizontalPodAutoscaler{} },
	"poddisruptionbudgets": func() any { return &policyv1.PodDisruptionBudget{} }, "ingresses": func() any { return &networkingv1.Ingress{} },
	"models": func() any { return &seldonModel{} }, "experiments": func() any { return &seldonExperiment{} }, "servers": func() any { return &seldonServer{} },
	"inferenceservices": func() any { return &inferenceService{} },
	"seldondeployments": func() any { return &seldonDeployment{} },
}

var valid = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// request is what somebody asks for.
type request struct {
	resource, name, verb string
}

func (c *Cluster) serve(w http.ResponseWriter, r *http.Request) {
	if c.away.Load() {
		panic(http.ErrAbortHandler)
	}
	c.asked.Add(1)
	if c.unknown.Load() {
		deny(w, http.StatusUnauthorized, "Unauthorized", "Unauthorized")
		return
	}
	if group, version := strings.TrimPrefix(r.URL.Path, "/apis/"), ""; !strings.Contains(group, "/") {
		for _, g := range groups {
			if v, ok := strings.CutPrefix(g, group+"/"); ok {
				version = v
			}
		}
		if version != "" && (group != "kueue.x-k8s.io" || c.o.Queues != nil) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"kind":"APIGroup","preferredVersion":{"version":%q}}`, version)
			return
		}
	}
	if is := c.is.Load(); is != nil && r.URL.Path == "/version" {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"gitVersion":%q}`, *is)
		return
	}
	q, ok := parse(r)
	if !ok || slices.Contains(c.o.Lacks, q.resource) {
		deny(w, http.StatusNotFound, "", "the server could not find the requested resource")
		return
	}
	if !c.may(q) {
		deny(w, http.StatusForbidden, "Forbidden", fmt.Sprintf(`%s is forbidden: User "vishwa" cannot %s resource %q in API group %q in the namespace %q`,
			q.resource, q.verb, q.resource, strings.TrimSuffix(groups[q.resource], "/v1"), Namespace))
		return
	}
	if q.verb == "watch" {
		c.watch(w, r, q)
		return
	}
	code, answer := 0, any(nil)
	c.locked(func() { code, answer = c.answer(r, q) })
	if f := c.after.Load(); f != nil {
		(*f)(r)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(answer)
}

// parse reads a path: /api/v1/namespaces/NS/pods/NAME, /apis/batch/v1/namespaces/NS/jobs.
func parse(r *http.Request) (request, bool) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	group := ""
	switch {
	case len(parts) >= 2 && parts[0] == "api":
		group, parts = parts[1], parts[2:]
	case len(parts) >= 3 && parts[0] == "apis":
		group, parts = parts[1]+"/"+parts[2], parts[3:]
	default:
		return request{}, false
	}
	if len(parts) > 2 && parts[0] == "namespaces" {
		parts = parts[2:]
	}
	if len(parts) == 0 || groups[parts[0]] != group {
		return request{}, false
	}
	q := request{resource: parts[0]}
	if len(parts) > 1 {
		q.name = parts[1]
	}
	q.verb = map[string]string{"POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete", "GET": "get"}[r.Method]
	if q.verb == "get" && q.name == "" {
		q.verb = "list"
		if r.URL.Query().Get("watch") != "" {
			q.verb = "watch"
		}
	}
	return q, q.verb != ""
}

// may tells whether the rules let the client.
func (c *Cluster) may(q request) bool {
	group, _, grouped := strings.Cut(groups[q.resource], "/")
	if !grouped {
		group = ""
	}
	withheld := false
	c.locked(func() {
		c.used[q.verb+" "+strings.TrimSuffix(q.resource+"."+group, ".")] = true
		withheld = q.verb == "list" && c.withheld[q.resource]
	})
	if withheld {
		return false
	}
	if c.o.Rules == nil {
		return true
	}
	for _, rule := range c.o.Rules {
		if slices.Contains(rule.APIGroups, group) && slices.Contains(rule.Resources, q.resource) && slices.Contains(rule.Verbs, q.verb) &&
			(len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, q.name)) {
			return true
		}
	}
	return false
}

func deny(w http.ResponseWriter, code int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(refusal(code, reason, message))
}

func refusal(code int, reason, message string) object {
	return object{"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason, "code": code}
}

func (c *Cluster) answer(r *http.Request, q request) (int, any) {
	key := q.resource + "/" + q.name
	was, there := c.store.objects[key]
	applies := strings.HasPrefix(r.Header.Get("Content-Type"), "application/apply-patch")
	if q.name != "" && !there && !applies {
		return 404, refusal(404, "NotFound", fmt.Sprintf("%s %q not found", q.resource, q.name))
	}
	var body bytes.Buffer
	_, _ = body.ReadFrom(r.Body)
	switch q.verb {
	case "get":
		return 200, was
	case "list":
		return c.list(r, q)
	case "create":
		return c.create(q, body.Bytes())
	case "update":
		return c.replace(r, q, was, body.Bytes())
	case "patch":
		if applies {
			return c.applyPatch(r, q, was, body.Bytes())
		}
		return c.patch(q, was, body.Bytes())
	default:
		var o struct {
			Preconditions struct {
				UID string `json:"uid"`
			} `json:"preconditions"`
		}
		_ = json.Unmarshal(body.Bytes(), &o)
		if p := o.Preconditions.UID; p != "" && p != uid(was) {
			return 409, refusal(409, "Conflict", "Precondition failed: UID in precondition: "+p+", UID in object meta: "+uid(was))
		}
		c.remove(q.resource, q.name)
		return 200, object{"kind": "Status", "apiVersion": "v1", "status": "Success"}
	}
}

// knows refuses fields that the type does not have.
func knows(resource string, raw []byte) error {
	fresh := strict[resource]
	if fresh == nil {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return d.Decode(fresh())
}

func (c *Cluster) create(q request, raw []byte) (int, any) {
	if err := knows(q.resource, raw); err != nil {
		return 400, refusal(400, "BadRequest", "strict decoding error: "+err.Error())
	}
	var o object
	if err := json.Unmarshal(raw, &o); err != nil || o["apiVersion"] != groups[q.resource] {
		return 400, refusal(400, "BadRequest", "it is no object of "+groups[q.resource])
	}
	if !valid.MatchString(name(o)) {
		return 422, refusal(422, "Invalid", q.resource+" is invalid: metadata.name: must be a DNS label")
	}
	if _, there := c.store.objects[q.resource+"/"+name(o)]; there {
		return 409, refusal(409, "AlreadyExists", fmt.Sprintf("%s %q already exists", q.resource, name(o)))
	}
	if why := invalid(q.resource, o); why != "" {
		return 422, refusal(422, "Invalid", why)
	}
	return 201, c.store.putObject(q.resource, o)
}

func (c *Cluster) patch(q request, was object, raw []byte) (int, any) {
	var p object
	if err := json.Unmarshal(raw, &p); err != nil {
		return 400, refusal(400, "BadRequest", err.Error())
	}
	if u, ok := metadata(p)["uid"].(string); ok && u != uid(was) {
		return 409, refusal(409, "Conflict", "Precondition failed: UID in precondition: "+u+", UID in object meta: "+uid(was))
	}
	now := merged(plain(was), p)
	if q.resource == "deployments" {
		generations(was, now)
	}
	after, _ := json.Marshal(now)
	if err := knows(q.resource, after); err != nil {
		return 400, refusal(400, "BadRequest", "strict decoding error: "+err.Error())
	}
	if q.resource == "jobs" {
		a, b := as[batchv1.Job](was), as[batchv1.Job](now)
		if fmt.Sprint(a.Spec.Template.Spec.Volumes) != fmt.Sprint(b.Spec.Template.Spec.Volumes) {
			return 422, refusal(422, "Invalid", "spec.template: field is immutable")
		}
	}
	return 200, c.store.putObject(q.resource, now)
}

// merged is RFC 7386.
func merged(o, p object) object {
	for k, v := range p {
		inner, deeper := v.(object)
		switch {
		case v == nil:
			delete(o, k)
		case deeper:
			at, _ := o[k].(object)
			if at == nil {
				at = object{}
			}
			o[k] = merged(at, inner)
		default:
			o[k] = v
		}
	}
	return o
}

// list gives two pages wherever there are several objects: who asks must turn them.
func (c *Cluster) list(r *http.Request, q request) (int, any) {
	items := []any{}
	for _, key := range c.store.keys(q.resource) {
		if o := c.store.objects[key]; selects(r, labelsOf(o), o) {
			items = append(items, o)
		}
	}
	m := object{"resourceVersion": strconv.Itoa(c.store.version)}
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	items = items[min(from, len(items)):]
	if n := cmp.Or(c.o.Page, 3); r.URL.Query().Get("limit") != "" && len(items) > n {
		items = items[:n]
		m["continue"] = strconv.Itoa(from + n)
	}
	return 200, object{"kind": "List", "apiVersion": groups[q.resource], "metadata": m, "items": items}
}

// selects tells whether an object is among those that are asked for.
func selects(r *http.Request, labels map[string]string, o object) bool {
	for _, term := range strings.Split(r.URL.Query().Get("labelSelector"), ",") {
		key, want, equal := strings.Cut(term, "=")
		if got, there := labels[key]; term != "" && (!there || equal && got != want) {
			return false
		}
	}
	for _, term := range strings.Split(r.URL.Query().Get("fieldSelector"), ",") {
		if term == "" {
			continue
		}
		key, want, _ := strings.Cut(term, "=")
		at := any(o)
		for _, part := range strings.Split(key, ".") {
			m, _ := at.(object)
			at = m[part]
		}
		if at != want {
			return false
		}
	}
	return true
}
