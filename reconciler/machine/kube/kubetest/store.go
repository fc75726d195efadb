// What the server keeps: objects by name, and every change of them, for those who watch.

package kubetest

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

type object = map[string]any

// change is a line of a watch.
type change struct {
	version  int
	resource string
	kind     string // ADDED, MODIFIED, DELETED
	object   []byte
	labels   map[string]string
}

type store struct {
	version int
	objects map[string]object // by resource/name: there is one namespace
	log     []change
	news    chan struct{} // closed at the next change
	closed  bool
}

func (s *store) init() { s.objects, s.news = map[string]object{}, make(chan struct{}) }

func (s *store) close() {
	s.closed = true
	close(s.news)
}

// keys are those of a resource's objects, or of all, in order.
func (s *store) keys(resource string) []string {
	var out []string
	for k := range s.objects {
		if r, _, _ := strings.Cut(k, "/"); resource == "" || r == resource {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

func metadata(o object) object {
	m, _ := o["metadata"].(object)
	return m
}

func name(o object) string { n, _ := metadata(o)["name"].(string); return n }
func uid(o object) string  { n, _ := metadata(o)["uid"].(string); return n }

// labelsOf are an object's labels.
func labelsOf(o object) map[string]string {
	out := map[string]string{}
	m, _ := metadata(o)["labels"].(object)
	for k, v := range m {
		out[k], _ = v.(string)
	}
	return out
}

// plain is v as JSON has it.
func plain(v any) object {
	if o, is := v.(object); is {
		if out, is := copied(o); is {
			return out.(object)
		}
	}
	raw, err := json.Marshal(v)
	if err == nil {
		var out object
		if err = json.Unmarshal(raw, &out); err == nil {
			return out
		}
	}
	panic(fmt.Sprintf("kubetest: %v", err))
}

// copied is a copy of what is as JSON has it already.
func copied(v any) (out any, is bool) {
	switch v := v.(type) {
	case nil, string, bool, float64:
		return v, true
	case object:
		out := make(object, len(v))
		for k, x := range v {
			if out[k], is = copied(x); !is {
				return nil, false
			}
		}
		return out, true
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			if out[i], is = copied(x); !is {
				return nil, false
			}
		}
		return out, true
	}
	return nil, false
}

// as is an object as its type.
func as[T any](o object) T {
	var out T
	raw, err := json.Marshal(o)
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		panic(fmt.Sprintf("kubetest: %s: %v", name(o), err))
	}
	return out
}

// reading is what an object was read as.
type reading struct {
	of, version string
	is          any
}

// known is one of the objects that are kept as its type, not to be changed: it is looked at far more often than it changes.
func known[T any](c *Cluster, key string) *T {
	o := c.store.objects[key]
	version, _ := metadata(o)["resourceVersion"].(string)
	if k := c.known[key]; k.is != nil && k.version == version && k.of == uid(o) {
		return k.is.(*T)
	}
	is := as[T](o)
	c.known[key] = reading{of: uid(o), version: version, is: &is}
	return &is
}

// pod is one of those that are kept, for whoever asks to do with as they like.
func (c *Cluster) pod(key string) corev1.Pod { return *known[corev1.Pod](c, key).DeepCopy() }

// putStatus keeps what a controller says of an object.
func (s *store) putStatus(key string, status any) {
	now := plain(status)
	if is := s.objects[key]; !reflect.DeepEqual(is["status"], any(now)) {
		resource, _, _ := strings.Cut(key, "/")
		o := maps.Clone(is)
		o["status"] = now
		s.putObject(resource, o)
	}
}

// put keeps an object, which is made where it is not there yet.
func (s *store) putObject(resource string, v any) object {
	o := plain(v)
	m := metadata(o)
	key := resource + "/" + name(o)
	kind := "MODIFIED"
	if was, there := s.objects[key]; !there {
		kind = "ADDED"
		m["uid"] = newUID()
		if m["creationTimestamp"] == nil {
			m["creationTimestamp"] = time.Now().UTC().Format(time.RFC3339)
		}
		if resource != "namespaces" {
			m["namespace"] = Namespace
		}
	} else {
		delete(m, "resourceVersion")
		old := maps.Clone(metadata(was))
		delete(old, "resourceVersion")
		if same(o, was, m, old) {
			m["resourceVersion"] = metadata(was)["resourceVersion"]
			return was
		}
	}
	s.version++
	m["resourceVersion"] = strconv.Itoa(s.version)
	s.objects[key] = o
	s.sendEvent(resource, kind, o)
	return o
}

// same tells whether two objects differ in their version alone.
func same(a, b, am, bm object) bool {
	x, y := maps.Clone(a), maps.Clone(b)
	x["metadata"], y["metadata"] = am, bm
	return reflect.DeepEqual(x, y)
}

// drop forgets an object.
func (s *store) drop(key string) {
	o, there := s.objects[key]
	if !there {
		return
	}
	delete(s.objects, key)
	s.version++
	resource, _, _ := strings.Cut(key, "/")
	m := maps.Clone(metadata(o))
	m["resourceVersion"] = strconv.Itoa(s.version)
	o = maps.Clone(o)
	o["metadata"] = m
	s.sendEvent(resource, "DELETED", o)
}

func (s *store) sendEvent(resource, kind string, o object) {
	raw, _ := json.Marshal(o)
	s.log = append(s.log, change{version: s.version, resource: resource, kind: kind, object: raw, labels: labelsOf(o)})
	if s.closed {
		return
	}
	close(s.news)
	s.news = make(chan struct{})
}

func newUID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
