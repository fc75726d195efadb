// One question to the API server, and its answer.

package kube

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
)

// Resource is a kind of object as its API names it.
type Resource struct {
	Group   string // empty for the core's
	Version string
	Name    string // plural, as jobs
	Wide    bool   // of the cluster and not of a namespace
}

// The resources that several ask for.
var (
	Jobs       = Resource{Group: "batch", Version: "v1", Name: "jobs"}
	Pods       = Resource{Version: "v1", Name: "pods"}
	Secrets    = Resource{Version: "v1", Name: "secrets"}
	Services   = Resource{Version: "v1", Name: "services"}
	Events     = Resource{Version: "v1", Name: "events"}
	Namespaces = Resource{Version: "v1", Name: "namespaces", Wide: true}

	Deployments       = Resource{Group: "apps", Version: "v1", Name: "deployments"}
	Autoscalers       = Resource{Group: "autoscaling", Version: "v2", Name: "horizontalpodautoscalers"}
	Disruptions       = Resource{Group: "policy", Version: "v1", Name: "poddisruptionbudgets"}
	Ingresses         = Resource{Group: "networking.k8s.io", Version: "v1", Name: "ingresses"}
	Endpoints         = Resource{Group: "discovery.k8s.io", Version: "v1", Name: "endpointslices"}
	SeldonModels      = Resource{Group: "mlops.seldon.io", Version: "v1alpha1", Name: "models"}
	SeldonExperiments = Resource{Group: "mlops.seldon.io", Version: "v1alpha1", Name: "experiments"}
	SeldonServers     = Resource{Group: "mlops.seldon.io", Version: "v1alpha1", Name: "servers"}
	InferenceServices = Resource{Group: "serving.kserve.io", Version: "v1beta1", Name: "inferenceservices"}
	VirtualServices   = Resource{Group: "networking.istio.io", Version: "v1beta1", Name: "virtualservices"}
	SeldonDeployments = Resource{Group: "machinelearning.seldon.io", Version: "v1", Name: "seldondeployments"}

	HTTPRoutes = Resource{Group: "gateway.networking.k8s.io", Version: "v1", Name: "httproutes"}
)

// Manager is who the server notes as having set what we set.
const Manager = "vishwa"

// String is the resource as rules of RBAC name it: jobs.batch.
func (r Resource) String() string {
	if r.Group == "" {
		return r.Name
	}
	return r.Name + "." + r.Group
}

// APIVersion is what objects of it say.
func (r Resource) APIVersion() string { return strings.TrimPrefix(r.Group+"/"+r.Version, "/") }

func (c *Client) path(r Resource, name string) string {
	root := path.Join("apis", r.Group, r.Version)
	if r.Group == "" {
		root = path.Join("api", r.Version)
	}
	if !r.Wide {
		root = path.Join(root, "namespaces", c.Namespace)
	}
	return "/" + path.Join(root, r.Name, url.PathEscape(name))
}

// maxAnswer bounds an answer that is read as a whole: a page of a list is 500 objects.
const maxAnswer = 256 << 20

// question is one request, and what it is called in messages.
type question struct {
	verb     string // as rules of RBAC name it
	resource Resource
	name     string
	method   string
	path     string // where it is not the resource's
	query    url.Values
	kind     string // of the body
	body     any
	most     int64 // bytes of the answer; 0 is maxAnswer
}

// Get reads an object; one that is not there is Missing.
func (c *Client) Get(ctx context.Context, r Resource, name string, into any) error {
	if c.known(ctx, r, name, into) {
		return nil
	}
	return c.ask(ctx, question{verb: "get", resource: r, name: name, method: http.MethodGet}, into)
}

// Create makes an object; one of its name is a Conflict. The server refuses fields that it does not know.
func (c *Client) Create(ctx context.Context, r Resource, object, into any) error {
	return c.ask(ctx, question{
		verb: "create", resource: r, method: http.MethodPost, kind: "application/json", body: object,
		query: url.Values{"fieldValidation": {"Strict"}, "fieldManager": {Manager}},
	}, into)
}

// Merge changes what patch says of an object. A resourceVersion or uid in it has to be the object's, else it is a Conflict.
func (c *Client) Merge(ctx context.Context, r Resource, name string, patch, into any) error {
	return c.ask(ctx, question{
		verb: "patch", resource: r, name: name, method: http.MethodPatch, kind: "application/merge-patch+json", body: patch,
		query: url.Values{"fieldValidation": {"Strict"}, "fieldManager": {Manager}},
	}, into)
}

// Apply makes an object what object says, and leaves what it does not speak of (server-side apply): what
// somebody else set of that is ours again. Where dry, nothing is changed, and into is what would be.
func (c *Client) Apply(ctx context.Context, r Resource, name string, object any, dry bool, into any) error {
	q := url.Values{"fieldValidation": {"Strict"}, "fieldManager": {Manager}, "force": {"true"}}
	if dry {
		q.Set("dryRun", "All")
	}
	return c.ask(ctx, question{verb: "patch", resource: r, name: name, method: http.MethodPatch, kind: "application/apply-patch+yaml", body: object, query: q}, into)
}

// Replace makes an object what object says, and nothing besides. Its resourceVersion has to be the object's, else it is a Conflict.
func (c *Client) Replace(ctx context.Context, r Resource, name string, object, into any) error {
	return c.ask(ctx, question{
		verb: "update", resource: r, name: name, method: http.MethodPut, kind: "application/json", body: object,
		query: url.Values{"fieldValidation": {"Strict"}, "fieldManager": {Manager}},
	}, into)
}

// Delete takes an object away, where its uid is that: another is a Conflict, none is Missing.
// An empty uid is any. What belongs to it goes first, and it stays until that is gone.
func (c *Client) Delete(ctx context.Context, r Resource, name, uid string) error {
	options := map[string]any{"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground"}
	if uid != "" {
		options["preconditions"] = map[string]any{"uid": uid}
	}
	return c.ask(ctx, question{verb: "delete", resource: r, name: name, method: http.MethodDelete, kind: "application/json", body: options}, nil)
}

// Select says which objects; its zero value is all.
type Select struct{ Labels, Fields string }

func (s Select) values() url.Values {
	v := url.Values{}
	if s.Labels != "" {
		v.Set("labelSelector", s.Labels)
	}
	if s.Fields != "" {
		v.Set("fieldSelector", s.Fields)
	}
	return v
}

// page is a part of a list of objects.
type page[T any] struct {
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
		Continue        string `json:"continue"`
	} `json:"metadata"`
	Items []T `json:"items"`
}

// List reads objects, and which version of the world it read.
func List[T any](ctx context.Context, c *Client, r Resource, s Select) ([]T, string, error) {
	if all, version, ok := among[T](ctx, c, r, s); ok {
		return all, version, nil
	}
	return list[T](ctx, c, r, s)
}

func list[T any](ctx context.Context, c *Client, r Resource, s Select) (all []T, version string, err error) {
	version, err = pages(ctx, c, r, s, maxAnswer, func(items []T) bool {
		all = append(all, items...)
		return true
	})
	return all, version, err
}

// pages reads objects, some at a time and at most that many bytes of them, for as long as more are wanted.
func pages[T any](ctx context.Context, c *Client, r Resource, s Select, most int64, more func(items []T) bool) (version string, err error) {
	q := s.values()
	q.Set("limit", "500")
	for {
		var p page[T]
		if err := c.ask(ctx, question{verb: "list", resource: r, method: http.MethodGet, query: q, most: most}, &p); err != nil {
			return "", err
		}
		if !more(p.Items) || p.Metadata.Continue == "" {
			return p.Metadata.ResourceVersion, nil
		}
		q.Set("continue", p.Metadata.Continue)
	}
}

// version is which one of the world the server has now.
func (c *Client) version(ctx context.Context, r Resource) (string, error) {
	var p page[struct{}]
	err := c.ask(ctx, question{verb: "list", resource: r, method: http.MethodGet, query: url.Values{"limit": {"1"}}}, &p)
	return p.Metadata.ResourceVersion, err
}

// ask puts one question within the client's patience.
func (c *Client) ask(ctx context.Context, q question, into any) error {
	within, stop := context.WithTimeout(ctx, c.patience)
	defer stop()
	resp, err := c.later(within, q)
	if err != nil {
		return c.unheard(ctx, q, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return c.refused(q, resp)
	}
	if into == nil {
		into = &struct{}{}
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, cmp.Or(q.most, maxAnswer))).Decode(into); err != nil {
		var syntax *json.SyntaxError
		var kind *json.UnmarshalTypeError
		if errors.As(err, &syntax) || errors.As(err, &kind) {
			return fault.WithHint(fault.New(fault.Corrupt, "%s: %s answers what is no object of Kubernetes", q, c.at), "see that the context of the kubeconfig leads to the API server of a cluster")
		}
		return c.unheard(ctx, q, err)
	}
	return nil
}

// Bounds of how often, and after which time, it is asked again what a server did nothing about.
const (
	mostAgain = 10
	longWait  = 10 // seconds
)

// later is send, and once more after the time that a server names which has too much to do, or makes ready what was just declared: it did nothing
// about the question (429 with Retry-After; API Priority and Fairness answers so).
func (c *Client) later(ctx context.Context, q question) (*http.Response, error) {
	for again := 0; ; again++ {
		resp, err := c.send(ctx, q)
		if err != nil || resp.StatusCode != http.StatusTooManyRequests || again == mostAgain {
			return resp, err
		}
		seconds, wrong := strconv.Atoi(resp.Header.Get("Retry-After"))
		wait := time.Duration(seconds) * time.Second
		if until, ends := ctx.Deadline(); wrong != nil || seconds < 0 || seconds > longWait || ends && time.Until(until) <= wait {
			return resp, nil
		}
		_ = resp.Body.Close()
		if err := httpx.Sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

func (c *Client) send(ctx context.Context, q question) (*http.Response, error) {
	u := *c.base
	if q.path == "" {
		q.path = c.path(q.resource, q.name)
	}
	u.Path += q.path
	u.RawQuery = q.query.Encode()
	var body io.Reader
	if q.body != nil {
		raw, err := json.Marshal(q.body)
		if err != nil {
			return nil, fault.New(fault.Internal, "%s: %w", q, err)
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, q.method, u.String(), body)
	if err != nil {
		return nil, fault.New(fault.Internal, "%s: %w", q, err)
	}
	req.Header.Set("Accept", "application/json")
	if q.kind != "" {
		req.Header.Set("Content-Type", q.kind)
	}
	resp, err := c.http.Do(req)
	if err == nil {
		if at, wrong := http.ParseTime(resp.Header.Get("Date")); wrong == nil {
			c.ahead.Store(int64(at.Sub(c.env.Now())))
		}
	}
	return resp, err
}

// Now is the time as the server has it, to a second: what it stamps is compared with that.
func (c *Client) Now() time.Time { return c.env.Now().Add(time.Duration(c.ahead.Load())) }

func (q question) String() string {
	if q.name == "" {
		return fmt.Sprintf("%s %s", q.verb, q.resource)
	}
	return fmt.Sprintf("%s %s %s", q.verb, q.resource, q.name)
}
