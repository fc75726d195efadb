// One release on its way to a cluster: what it is made of, made in the order in which a crash at any step
// leaves what serves as it is, and is gone on with the next time.

package kubernetes

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/served"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// work is a release being made on a cluster.
type work struct {
	standing
	server *server
	kube   *kube.Client
	name   string
	unit   owned.Object   // the Deployment
	hosts  []owned.Object // what it is served by, and may outlive it
	units  []owned.Object // it, and what is as long there
	fronts []owned.Object // what keeps its name from release to release
	size   int64          // bytes that its pods are brought
	served bool           // it has the traffic already
	begun  []step         // what was made or changed, in order
	fresh  bool           // the folder that it is read from was empty before
	short  bool           // its unit was begun without all requests
	moves  bool           // pods that have requests are to have none: who sends them may not know it yet
	least  int            // pods to begin with, where something scales them; else zero
}

func (w *work) all() []owned.Object { return slices.Concat(w.hosts, w.units, w.fronts) }

// plan works out what r is on its cluster. Nothing is asked of it.
func (s *server) plan(ctx context.Context, r port.Release, p part) (*work, error) {
	how := s.shapes[r.Target()]
	if err := how.check(r); err != nil {
		return nil, err
	}
	at, ok := s.o.Clusters[p.cluster]
	if !ok {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the project has no cluster %s", p.cluster), "declare it below spec.clusters")
	}
	w := &work{server: s, name: r.Name}
	w.Place, w.Target = place{Name: p.cluster, At: at, Git: r.Git}, r.Target()
	w.Key, w.Model, w.Ready = r.Key, r.Model.Digest, r.Ready
	if r.Package != "" {
		if !schemas.ByDigest(r.Package) {
			return nil, fault.New(fault.Internal, "release %s: package %q is not named by digest", r.Name, r.Package)
		}
		w.Bytes = port.BytesByDigest
	}
	signed, err := served.Signed(ctx, s.o.Store, r, s.o.Keys)
	if err != nil {
		return nil, err
	}
	if p.brings {
		if err := w.gather(r, p, signed); err != nil {
			return nil, err
		}
	}
	if w.Bring.Fetched {
		if w.Bring.Workers, err = s.workers(ctx); err != nil {
			return nil, err
		}
	}
	how.make(w, r)
	w.noteDelivery()
	w.Place.Made = kinds(w.Objects)
	return w, nil
}

// gather lists what the pods are brought.
func (w *work) gather(r port.Release, p part, keys []string) error {
	params, err := sandbox.ParamsFile(r.Params)
	if err != nil {
		return fault.New(fault.Invalid, "encode the parameters of %s: %w", r.Name, err)
	}
	b := bring{Inline: map[digest.Digest][]byte{}, Fetched: p.fetched, Pass: slices.Sorted(slices.Values(p.pass))}
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
	for _, f := range p.code {
		add(served.CodeDir+f.Path, f, nil)
	}
	signature := r.Signature
	if r.Package != "" { // its model is mounted
		signature = ""
	} else {
		for _, f := range served.ModelFiles(r.Model) {
			add(served.ModelDir+f.Path, f, nil)
		}
	}
	for name, data := range r.Inputs {
		add(served.InputsDir+sandbox.VarName(name)+"/data", digest.File{Digest: digest.Of(data), Size: int64(len(data))}, slices.Concat([]byte{}, data))
	}
	add(served.ParamsFile, digest.File{Digest: digest.Of(params), Size: int64(len(params))}, params)
	slices.SortFunc(files, func(a, b digest.File) int { return strings.Compare(a.Path, b.Path) })
	if signature != "" {
		b.Read = append(b.Read, signature)
	}
	slices.Sort(b.Read)
	b.Read = slices.Compact(b.Read)
	doc := served.Release{Version: served.Version, Ref: r.Name, Files: files, Signature: signature, Keys: keys}
	if b.Release, err = json.Marshal(doc); err != nil {
		return fault.New(fault.Internal, "encode the release %s: %w", r.Name, err)
	}
	w.Bring, w.size = b, files.Size()
	return nil
}

// begin has the unit there and brought what it needs; what serves is not touched.
func (w *work) begin(ctx context.Context, was record) error {
	if err := w.letsBegin(ctx); err != nil {
		return err
	}
	if err := w.lay(ctx); err != nil {
		return err
	}
	for _, o := range w.hosts {
		if _, err := w.putNoting(ctx, o); err != nil {
			return err
		}
	}
	made, err := w.putNoting(ctx, w.unit)
	if err != nil {
		return err
	}
	d := owned.As[status.Deployment](made)
	w.since(d.Meta, was)
	if err := w.scale(ctx, was, d); err != nil {
		return err
	}
	if err := w.lend(ctx, d.UID); err != nil {
		return err
	}
	for _, o := range w.units[1:] {
		if _, err := w.putNoting(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// since notes when the release came: where its unit goes on from release to release, that is now.
func (w *work) since(m status.Meta, was record) {
	switch {
	case !w.shape().kept:
		w.Since = m.Created
	case was.Served != nil && was.Served.Unit == w.Unit:
		w.Since = was.Served.Since
	default:
		w.Since = w.kube.Now().UTC().Truncate(time.Second)
	}
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
	if err := w.lay(ctx); err != nil {
		return err
	}
	for _, o := range w.Objects {
		made, err := w.hand().Put(ctx, o)
		if err != nil {
			return err
		}
		if resource, holder := w.holder(); o.Resource != resource || o.Name != holder {
			continue
		}
		meta := owned.As[status.Deployment](made).Meta
		w.since(meta, record{Served: &w.standing})
		if err := w.lend(ctx, meta.UID); err != nil {
			return err
		}
	}
	return nil
}
