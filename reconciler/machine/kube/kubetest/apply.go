// Server-side apply: who has set which field of an object, by the server's own library. What it knows of the
// types is as much as tells lists that are merged by a name from those that are replaced.

package kubetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/merge"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

const types = `types:
- name: object
  map: {elementType: {namedType: __untyped_deduced_}, fields: [{name: spec, type: {namedType: spec}}]}
- name: spec
  map:
    elementType: {namedType: __untyped_deduced_}
    fields:
    - {name: template, type: {namedType: template}}
    - {name: ports, type: {list: {elementType: {namedType: item}, elementRelationship: associative, keys: [port, protocol]}}}
- name: template
  map: {elementType: {namedType: __untyped_deduced_}, fields: [{name: spec, type: {namedType: pod}}]}
- name: pod
  map:
    elementType: {namedType: __untyped_deduced_}
    fields:
    - {name: containers, type: {list: {elementType: {namedType: container}, elementRelationship: associative, keys: [name]}}}
    - {name: initContainers, type: {list: {elementType: {namedType: container}, elementRelationship: associative, keys: [name]}}}
    - {name: volumes, type: {list: {elementType: {namedType: item}, elementRelationship: associative, keys: [name]}}}
- name: container
  map:
    elementType: {namedType: __untyped_deduced_}
    fields:
    - {name: env, type: {list: {elementType: {namedType: item}, elementRelationship: associative, keys: [name]}}}
    - {name: volumeMounts, type: {list: {elementType: {namedType: item}, elementRelationship: associative, keys: [mountPath]}}}
- name: item
  map: {elementType: {namedType: __untyped_deduced_}}
- name: __untyped_atomic_
  scalar: untyped
  list: {elementType: {namedType: __untyped_atomic_}, elementRelationship: atomic}
  map: {elementType: {namedType: __untyped_atomic_}, elementRelationship: atomic}
- name: __untyped_deduced_
  scalar: untyped
  list: {elementType: {namedType: __untyped_atomic_}, elementRelationship: atomic}
  map: {elementType: {namedType: __untyped_deduced_}, elementRelationship: separable}
`

// sameVersion is the converter of a world with one version.
type sameVersion struct{}

func (sameVersion) Convert(o *typed.TypedValue, _ fieldpath.APIVersion) (*typed.TypedValue, error) {
	return o, nil
}

func (sameVersion) IsMissingVersionError(error) bool { return false }

// content is what of an object has managers.
func content(o object) object {
	out := plain(o)
	m := object{}
	for _, field := range []string{"labels", "annotations"} {
		if v, there := metadata(o)[field]; there {
			m[field] = v
		}
	}
	for _, field := range []string{"status", "apiVersion", "kind"} {
		delete(out, field)
	}
	out["metadata"] = m
	return plain(out)
}

var parser = sync.OnceValue(func() *typed.Parser {
	p, err := typed.NewParser(types)
	if err != nil {
		panic("kubetest: " + err.Error())
	}
	return p
})

func typedOf(o object) (*typed.TypedValue, error) {
	return parser().Type("object").FromUnstructured(content(o))
}

// managersOf are who has set what, by manager and by the way.
func managersOf(o object) (fieldpath.ManagedFields, map[string]string) {
	out, subs := fieldpath.ManagedFields{}, map[string]string{}
	entries, _ := metadata(o)["managedFields"].([]any)
	for _, e := range entries {
		e := e.(object)
		raw, _ := json.Marshal(e["fieldsV1"])
		set := &fieldpath.Set{}
		if err := set.FromJSON(strings.NewReader(string(raw))); err != nil {
			panic("kubetest: " + err.Error())
		}
		key := fmt.Sprint(e["manager"], " ", e["operation"])
		out[key] = fieldpath.NewVersionedSet(set, "v1", e["operation"] == "Apply")
		subs[key], _ = e["subresource"].(string)
	}
	return out, subs
}

// withManagers is an object with new content, and who has set it.
func withManagers(was, wants object, made *typed.TypedValue, managers fieldpath.ManagedFields, subs map[string]string) object {
	out := object{"apiVersion": wants["apiVersion"], "kind": wants["kind"]}
	m := object{}
	for k, v := range metadata(wants) {
		m[k] = v
	}
	if was != nil {
		m = maps.Clone(metadata(was))
		delete(m, "labels")
		delete(m, "annotations")
		if v, there := metadata(wants)["ownerReferences"]; there {
			m["ownerReferences"] = v
		}
		out["status"] = was["status"]
	}
	for k, v := range made.AsValue().Unstructured().(object) {
		if k != "metadata" {
			out[k] = v
			continue
		}
		for field, v := range v.(object) {
			m[field] = v
		}
	}
	var entries []any
	for _, key := range slices.Sorted(maps.Keys(managers)) {
		raw, err := managers[key].Set().ToJSON()
		if err != nil {
			panic("kubetest: " + err.Error())
		}
		var fields any
		_ = json.Unmarshal(raw, &fields)
		who, how, _ := strings.Cut(key, " ")
		e := object{"manager": who, "operation": how, "fieldsType": "FieldsV1", "fieldsV1": fields}
		if subs[key] != "" {
			e["subresource"] = subs[key]
		}
		entries = append(entries, e)
	}
	m["managedFields"] = entries
	out["metadata"] = m
	if out["status"] == nil {
		delete(out, "status")
	}
	return plain(out)
}

// applied is what an object becomes that somebody applies.
func applied(was, wants object, who string) (object, error) {
	live := object{}
	if was != nil {
		live = was
	}
	l, err := typedOf(live)
	if err != nil {
		return nil, err
	}
	w, err := typedOf(wants)
	if err != nil {
		return nil, err
	}
	managers, subs := managersOf(live)
	if was != nil && len(managers) == 0 { // nobody was noted for what is there
		set, err := l.ToFieldSet()
		if err != nil {
			return nil, err
		}
		managers["before-first-apply Update"] = fieldpath.NewVersionedSet(set, "v1", false)
	}
	made, managers, err := (&merge.UpdaterBuilder{Converter: sameVersion{}, ReturnInputOnNoop: true}).BuildUpdater().Apply(l, w, "v1", managers, who+" Apply", true)
	if err != nil {
		return nil, err
	}
	return withManagers(was, wants, made, managers, subs), nil
}

// updated is an object that somebody wrote whole, with who set what; sub is the subresource by which.
func updated(was, now object, who, sub string) (object, error) {
	l, err := typedOf(was)
	if err != nil {
		return nil, err
	}
	n, err := typedOf(now)
	if err != nil {
		return nil, err
	}
	managers, subs := managersOf(was)
	made, managers, err := (&merge.UpdaterBuilder{Converter: sameVersion{}, ReturnInputOnNoop: true}).BuildUpdater().Update(l, n, "v1", managers, who+" Update")
	if err != nil {
		return nil, err
	}
	if sub != "" {
		subs[who+" Update"] = sub
	}
	out := withManagers(was, now, made, managers, subs)
	delete(metadata(out), "finalizers")
	if held, there := metadata(now)["finalizers"]; there {
		metadata(out)["finalizers"] = held
	}
	return out, nil
}

// generations counts the changes of an object's spec.
func generations(was, now object) {
	n := 1.0
	if was != nil {
		n, _ = metadata(was)["generation"].(float64)
		if !reflect.DeepEqual(was["spec"], now["spec"]) && !reflect.DeepEqual(was["spec"], plain(now)["spec"]) {
			n++
		}
	}
	metadata(now)["generation"] = n
}

// applyPatch answers a server-side apply.
func (c *Cluster) applyPatch(r *http.Request, q request, was object, raw []byte) (int, any) {
	if q.resource == "inferenceservices" && !c.o.Canaries && bytes.Contains(raw, []byte(`"trafficPercent"`)) {
		return undeclared(q, "canary")
	}
	if err := knows(q.resource, raw); err != nil {
		if _, field, unknown := strings.Cut(err.Error(), "unknown field "); unknown {
			return undeclared(q, strings.Trim(field, `"`))
		}
		return 400, refusal(400, "BadRequest", "strict decoding error: "+err.Error())
	}
	var wants object
	if err := json.Unmarshal(raw, &wants); err != nil || wants["apiVersion"] != groups[q.resource] || name(wants) != q.name {
		return 400, refusal(400, "BadRequest", "it is no object of "+groups[q.resource])
	}
	if u, ok := metadata(wants)["uid"].(string); ok && u != uid(was) {
		return 409, refusal(409, "Conflict", "Precondition failed: UID in precondition: "+u+", UID in object meta: "+uid(was))
	}
	now, err := applied(was, wants, r.URL.Query().Get("fieldManager"))
	if err != nil {
		return 500, refusal(500, "InternalError", err.Error())
	}
	return c.keep(r, q, was, now)
}

// undeclared is what a server-side apply is answered by that names a field which the kind does not have: as any fault of the server.
func undeclared(q request, field string) (int, any) {
	return 500, refusal(500, "", "failed to create typed patch object ("+Namespace+"/"+q.name+"; "+groups[q.resource]+", Resource="+q.resource+"): .spec."+field+": field not declared in schema")
}

// replace answers an update.
func (c *Cluster) replace(r *http.Request, q request, was object, raw []byte) (int, any) {
	if err := knows(q.resource, raw); err != nil {
		return 400, refusal(400, "BadRequest", "strict decoding error: "+err.Error())
	}
	var now object
	if err := json.Unmarshal(raw, &now); err != nil {
		return 400, refusal(400, "BadRequest", err.Error())
	}
	if metadata(now)["resourceVersion"] != metadata(was)["resourceVersion"] {
		return 409, refusal(409, "Conflict", "the object has been modified; please apply your changes to the latest version and try again")
	}
	now["status"] = was["status"]
	now, err := updated(was, now, r.URL.Query().Get("fieldManager"), "")
	if err != nil {
		return 500, refusal(500, "InternalError", err.Error())
	}
	return c.keep(r, q, was, now)
}

// keep has an object that was written, unless it is a dry run or a rule refuses it.
func (c *Cluster) keep(r *http.Request, q request, was, now object) (int, any) {
	if rule := c.rule.Load(); rule != nil {
		why := (*rule)(q.resource, now)
		if why == Terminating && was == nil {
			no := refusal(403, "Forbidden", fmt.Sprintf("%s %q is forbidden: %s", q.resource, name(now), why))
			no["details"] = object{"causes": []any{object{"reason": "NamespaceTerminating", "message": "namespace " + Namespace + " is being terminated"}}}
			return 403, no
		}
		if why != "" && why != Terminating { // which keeps nobody from changing what is there
			return 403, refusal(403, "Forbidden", why)
		}
	}
	if why := predictorsWrong(q.resource, now); why != "" {
		return 403, refusal(403, "Forbidden", `admission webhook "v1.vseldondeployment.kb.io" denied the request: `+why)
	}
	generations(was, now)
	if r.URL.Query().Get("dryRun") != "" {
		return 200, now
	}
	return 200, c.store.putObject(q.resource, now)
}

// Terminating is what the API server says of what would be made in a namespace that is being deleted.
const Terminating = "unable to create new content in namespace " + Namespace + " because it is being terminated"

// Rule has admission refuse what f gives a reason for, in the words of what refuses.
func (c *Cluster) Rule(f func(resource string, o map[string]any) string) { c.rule.Store(&f) }

// Edit changes an object as somebody does with kubectl; sub is the subresource by which, such as scale.
func (c *Cluster) Edit(resource, object, who, sub string, change func(o map[string]any)) {
	c.t.Helper()
	c.locked(func() {
		was, there := c.store.objects[resource+"/"+object]
		if !there {
			c.t.Fatalf("there is no %s %s", resource, object)
		}
		now := plain(was)
		change(now)
		made, err := updated(was, now, who, sub)
		if err != nil {
			c.t.Fatal(err)
		}
		generations(was, made)
		kept := c.store.putObject(resource, made)
		for field, v := range metadata(now) {
			if field != "managedFields" && field != "resourceVersion" && field != "generation" && !reflect.DeepEqual(metadata(kept)[field], v) {
				c.t.Fatalf("%s of %s %s are not kept here", field, resource, object)
			}
		}
	})
}

// labelsMatch tells whether all of want are among labels.
func labelsMatch(want map[string]any, labels map[string]string) bool {
	for k, v := range want {
		if labels[k] != fmt.Sprint(v) {
			return false
		}
	}
	return len(want) > 0
}

// under is a field below an object's.
func under(o object, path string) object {
	for _, p := range strings.Split(path, ".") {
		o, _ = o[p].(object)
	}
	return maps.Clone(o)
}
