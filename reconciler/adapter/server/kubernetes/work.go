// One release on its way to a cluster: what it is made of, made in the order in which a crash at any step
// leaves what serves as it is, and is gone on with the next time.

package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/attest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/served"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// work is a release being made on a cluster.
type work struct {
	standing
	server *server
	kube   *kube.Client
	name   string
	unit   object   // the Deployment
	units  []object // it, and what is as long there
	fronts []object // what keeps its name from release to release
	size   int64    // bytes that its pods are brought
	served bool     // it has the traffic already
	least  int      // pods to begin with, where something scales them; else zero
}

func (w *work) all() []object { return slices.Concat(w.units, w.fronts) }

// plan works out what r is on its cluster. Nothing is asked of it.
func (s *server) plan(ctx context.Context, r port.Release) (*work, error) {
	if err := check(r); err != nil {
		return nil, err
	}
	at, ok := s.o.Clusters[r.Kubernetes.Cluster]
	if !ok {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the project has no cluster %s", r.Kubernetes.Cluster), "declare it below spec.clusters")
	}
	w := &work{server: s, name: r.Name}
	w.Place = place{Name: r.Kubernetes.Cluster, At: at}
	w.Key, w.Model, w.Ready = r.Key, r.Model.Digest, r.Ready
	signed, err := s.signed(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := w.gather(r, signed); err != nil {
		return nil, err
	}
	if w.Bring.Fetched {
		if w.Bring.Workers, err = s.workers(ctx); err != nil {
			return nil, err
		}
	}
	w.make(r)
	return w, nil
}

// signed is the key that signed r's model, which is verified here as well: nothing is begun that a pod would refuse.
func (s *server) signed(ctx context.Context, r port.Release) (keys []string, err error) {
	if r.Signature == "" {
		return nil, nil
	}
	raw, err := artifact.ReadAll(ctx, s.o.Store, r.Signature)
	if err != nil {
		return nil, fmt.Errorf("read the model's signature: %w", err)
	}
	said, err := attest.ParseBundle(raw)
	for _, key := range s.o.Keys {
		if err == nil && attest.Hint([]byte(key)) == said.Hint {
			keys = []string{key}
		}
	}
	doc := served.Release{Ref: r.Name, Signature: r.Signature, Keys: keys}
	for _, f := range folder(r.Model) {
		f.Path = served.ModelDir + f.Path
		doc.Files = append(doc.Files, f)
	}
	return keys, doc.Verify(raw)
}

// gather lists what the pods are brought.
func (w *work) gather(r port.Release, keys []string) error {
	params, err := sandbox.ParamsFile(r.Params)
	if err != nil {
		return fault.New(fault.Invalid, "encode the parameters of %s: %w", r.Name, err)
	}
	b := bring{Inline: map[digest.Digest][]byte{}, Fetched: r.Kubernetes.Worker == "", Pass: slices.Sorted(slices.Values(r.Kubernetes.Env.Pass))}
	var files digest.Manifest
	add := func(path string, f digest.File, inline []byte) {
		f.Path = path
		files = append(files, f)
		if inline != nil {
			b.Inline[f.Digest] = inline
		} else if !slices.Contains(b.Read, f.Digest) {
			b.Read = append(b.Read, f.Digest)
		}
	}
	for _, f := range r.Kubernetes.Code {
		add(served.CodeDir+f.Path, f, nil)
	}
	for _, f := range folder(r.Model) {
		add(served.ModelDir+f.Path, f, nil)
	}
	for name, data := range r.Inputs {
		add(served.InputsDir+sandbox.VarName(name)+"/data", digest.File{Digest: digest.Of(data), Size: int64(len(data))}, slices.Concat([]byte{}, data))
	}
	add(served.ParamsFile, digest.File{Digest: digest.Of(params), Size: int64(len(params))}, params)
	slices.SortFunc(files, func(a, b digest.File) int { return strings.Compare(a.Path, b.Path) })
	if r.Signature != "" {
		b.Read = append(b.Read, r.Signature)
	}
	slices.Sort(b.Read)
	b.Read = slices.Compact(b.Read)
	doc := served.Release{Version: served.Version, Ref: r.Name, Files: files, Signature: r.Signature, Keys: keys}
	if b.Release, err = json.Marshal(doc); err != nil {
		return fault.New(fault.Internal, "encode the release %s: %w", r.Name, err)
	}
	w.Bring, w.size = b, files.Size()
	return nil
}

// folder are a model's files; one that is a single file is in a folder that holds it.
func folder(m port.Artifact) digest.Manifest {
	if m.Digest == "" || m.Files != nil {
		return m.Files
	}
	name := m.Name
	if name == "" {
		name = "model"
	}
	return digest.Manifest{{Path: name, Digest: m.Digest, Size: m.Size}}
}

// begin has the unit there and brought what it needs; what serves is not touched.
func (w *work) begin(ctx context.Context, was record) error {
	made, err := w.putObject(ctx, w.unit)
	if err != nil {
		return err
	}
	d := as[status.Deployment](made)
	w.Since = d.Created
	if err := w.scale(ctx, was, d); err != nil {
		return err
	}
	if err := w.lend(ctx, d.UID); err != nil {
		return err
	}
	for _, o := range w.units[1:] {
		if _, err := w.putObject(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// scale has a unit that something scales begin with as many pods as what it follows has: what asks does not become less at a release.
func (w *work) scale(ctx context.Context, was record, d status.Deployment) error {
	if w.least == 0 || w.served {
		return nil
	}
	want := w.least
	if at := was.Served; at != nil && at.Place.is(w.Place) {
		var old status.Deployment
		if err := w.kube.Get(ctx, kube.Deployments, at.Unit, &old); err == nil && old.Spec.Replicas != nil {
			want = max(want, *old.Spec.Replicas)
		}
	}
	if d.Spec.Replicas != nil && *d.Spec.Replicas >= want {
		return nil
	}
	return w.kube.Merge(ctx, kube.Deployments, w.Unit, map[string]any{"metadata": map[string]any{"uid": d.UID}, "spec": map[string]any{"replicas": want}}, nil)
}

// restore has everything as it was recorded.
func (w *work) restore(ctx context.Context) error {
	for _, o := range w.Objects {
		made, err := w.putObject(ctx, o)
		if err != nil {
			return err
		}
		if o.Resource != kube.Deployments {
			continue
		}
		d := as[status.Deployment](made)
		w.Since = d.Created
		if err := w.lend(ctx, d.UID); err != nil {
			return err
		}
	}
	return nil
}

// stands asks how a unit stands.
func (s *server) stands(ctx context.Context, c *kube.Client, at standing) (status.Standing, error) {
	r := status.Rollout{Ready: at.Ready, Patience: s.o.Patience}
	if err := c.Get(ctx, kube.Deployments, at.Unit, &r.Deployment); err != nil {
		return status.Standing{}, err
	}
	pods, _, err := kube.List[status.Pod](ctx, c, kube.Pods, kube.Select{Labels: labelOwner + "=" + s.owner + "," + labelUnit + "=" + at.Unit})
	if err != nil {
		return status.Standing{}, err
	}
	r.Pods, r.Now = pods, c.Now()
	return r.Stands(), nil
}

// recovers is how long a pod that served and ended is given to come back, before it is told as one that cannot.
const recovers = 30 * time.Second

// settle returns when every pod of the unit serves.
func (s *server) settle(ctx context.Context, w *work, within time.Duration) error {
	if within <= 0 {
		within = 5 * time.Minute
	}
	begun := s.o.Env.Now()
	limit := begun.Add(within)
	pace, most := 150*time.Millisecond, time.Second
	if s.o.Pace > 0 {
		pace, most = s.o.Pace, s.o.Pace
	}
	for {
		st, err := s.stands(ctx, w.kube, w.standing)
		late := s.o.Env.Now().After(limit)
		switch {
		case err != nil && (fault.Of(err) != fault.Transient || late):
			return err
		case err != nil: // the cluster is away for a moment
		case st.Settled:
			return nil
		case st.Over && (!w.served || s.o.Env.Now().Sub(begun) > recovers):
			return w.failed(st, "it does not become ready")
		case late:
			return w.failed(st, "it did not become ready within "+within.String())
		}
		select {
		case <-ctx.Done():
			return fault.New(fault.Cancelled, "wait for it to become ready: %w", ctx.Err())
		case <-time.After(pace):
			pace = min(pace*3/2, most)
		}
	}
}

// reachWithin is how long a Service may take to have the pods that its selector names.
const reachWithin = time.Minute

// reached returns when requests for the name go to the unit's pods and to no others: what had them before may end then.
func (s *server) reached(ctx context.Context, w *work) error {
	type slice struct {
		Endpoints []struct {
			Conditions struct {
				Ready *bool `json:"ready"`
			} `json:"conditions"`
			Target struct {
				Name string `json:"name"`
			} `json:"targetRef"`
		} `json:"endpoints"`
	}
	limit := s.o.Env.Now().Add(reachWithin)
	for {
		all, _, err := kube.List[slice](ctx, w.kube, kube.Endpoints, kube.Select{Labels: "kubernetes.io/service-name=" + w.name})
		if err != nil && fault.Of(err) != fault.Transient {
			return err
		}
		ours, others := 0, 0
		for _, one := range all {
			for _, e := range one.Endpoints {
				switch {
				case e.Conditions.Ready != nil && !*e.Conditions.Ready:
				case strings.HasPrefix(e.Target.Name, w.Unit+"-"):
					ours++
				default:
					others++
				}
			}
		}
		if err == nil && ours > 0 && others == 0 {
			return nil
		}
		if s.o.Env.Now().After(limit) {
			return fault.WithHint(fault.New(fault.Transient, "its pods are ready, and Service %s does not send to them after %s", w.name, reachWithin), "see that the cluster's controller of endpoints runs; the next apply goes on")
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// failed is a release that did not become ready.
func (w *work) failed(st status.Standing, what string) error {
	kind := fault.Invalid
	if strings.Contains(st.Reason, "exceeded quota") || strings.Contains(st.Reason, "may read of the store ended") {
		kind = fault.Transient
	}
	return fault.WithHint(fault.New(kind, "%s: %s", what, st.Reason), "%s; what was served before goes on", way(st.Reason))
}

// ways are what to do about why pods do not serve: the first whose words are said.
var ways = []struct{ words, way string }{
	{"cannot be pulled", "see that the image is in the registry, and that the nodes may read it (spec.target.kubernetes.pullSecrets)"},
	{"cannot bring the model", "see that the pods reach the store, and what it says"},
	{"exceeded quota", "give the namespace a larger quota, or the pods less (spec.target.kubernetes.resources)"},
	{"took more memory", "raise spec.target.kubernetes.resources.memory"},
	{"no node ", "add a node, or let the pods be on others (resources, nodeSelector and tolerations of spec.target.kubernetes)"},
	{"the cluster makes no pod for it", "change what that rule of the cluster does not allow, or the rule"},
	{"does not answer 200", "see that the command listens on every address at VISHWA_PORT, or raise spec.target.kubernetes.readyTimeout"},
}

func way(reason string) string {
	for _, w := range ways {
		if strings.Contains(reason, w.words) {
			return w.way
		}
	}
	return "put the serving command right, then run vishwa apply"
}

// undo takes away a unit that did not become ready. It had no traffic.
func (w *work) undo(ctx context.Context, why error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	for _, o := range slices.Backward(w.units) {
		if err := w.remove(ctx, o.Resource, o.Name); err != nil {
			w.server.o.Env.Log.Warn("what did not become ready stays until the next apply", "object", o.Name, "why", why, "error", err)
		}
	}
}
