// What the pods may read of the store, and for how long: requests that were signed ahead, in a Secret that goes
// with its Deployment. They end; whoever looks after what is served writes the Secret anew in good time.

package kubernetes

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/dispatch"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/served"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// lentFor is the most that S3 signs ahead.
const lentFor = 7 * 24 * time.Hour

// mostSecret is how much a Secret holds, in bytes.
const mostSecret = 1 << 20

// lend writes the Secret of the unit of that uid.
func (w *work) lend(ctx context.Context, uid string) error {
	if w.Bring.Secret == "" { // its pods are brought nothing
		return nil
	}
	s := w.server
	resource, holder := w.holder()
	shelf, err := s.o.Shelf()
	if err != nil {
		return err
	}
	lender, ok := shelf.(port.Lender)
	if !ok {
		return fault.WithHint(fault.New(fault.Invalid, "the store cannot lend pods what they read"), "use a store in S3 for what a cluster serves (spec.store.s3)")
	}
	workers := w.Bring.Workers // those that its pods are pinned to, and not those of today
	now := s.o.Env.Now()
	ask := port.Loan{Write: "serving/", Until: now.Add(lentFor), Anew: true}
	for _, d := range w.Bring.Read {
		ask.Read = append(ask.Read, s.o.Object(d))
	}
	for _, d := range workers {
		ask.Read = append(ask.Read, s.o.Object(d))
	}
	g, err := lender.Lend(ctx, ask)
	if err != nil {
		return err
	}
	data, err := w.secret(g, workers)
	if err != nil {
		return err
	}
	size := 0
	for _, v := range data {
		size += len(v)
	}
	if size > mostSecret {
		return fault.WithHint(fault.New(fault.Invalid, "where its %d files are read has %d KiB, and a Secret holds %d", len(w.Bring.Read), size>>10, mostSecret>>10), "have fewer files in the model, such as one archive")
	}
	meta := map[string]any{"name": w.Bring.Secret, "labels": s.labels(w.name)}
	if w.Place.Git == nil { // else it is there before who applies makes the unit, and we take it away
		meta["ownerReferences"] = []any{map[string]any{"apiVersion": resource.APIVersion(), "kind": owned.Kinds[resource.Name], "name": holder, "uid": uid}}
	}
	if err := w.kube.Apply(ctx, kube.Secrets, w.Bring.Secret, map[string]any{"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": data, "metadata": meta}, false, nil); err != nil {
		return err
	}
	w.Loan = loan{From: now, Until: g.Until}
	return nil
}

// forget takes away the Secret of the release before, where the unit that it belongs to goes on; none of that name is
// the one that did not become ready. It is not read: who has rights to read Secrets could read those of others.
func (w *work) forget(ctx context.Context, secret string) error {
	if secret == "" {
		secret = w.Bring.Secret
	} else if secret == w.Bring.Secret {
		return nil
	}
	if !w.shape().kept || secret == "" {
		return nil
	}
	if err := w.kube.Delete(ctx, kube.Secrets, secret, ""); err != nil && fault.Of(err) != fault.Missing {
		return err
	}
	return nil
}

// forgets takes away the Secrets of releases that were, but for that of w.
func (w *work) forgets(ctx context.Context, rec *record) error {
	for _, secret := range rec.Forget {
		if secret == "" {
			continue
		}
		if err := w.forget(ctx, secret); err != nil {
			return err
		}
	}
	rec.Forget = nil
	return nil
}

// outlives notes the Secret of a release that will be no more.
func (r *record) outlives(at *standing) {
	if at != nil && at.Bring.Secret != "" && !slices.Contains(r.Forget, at.Bring.Secret) {
		r.Forget = append(slices.Clone(r.Forget), at.Bring.Secret)
	}
}

// secret is what the pods are told by their Secret.
func (w *work) secret(g port.Grant, workers map[string]digest.Digest) (data map[string][]byte, err error) {
	s := w.server
	ticket := served.Ticket{Version: served.Version, Release: w.Bring.Release, Inline: w.Bring.Inline, Until: g.Until, Read: map[digest.Digest]string{}}
	for _, d := range w.Bring.Read {
		ticket.Read[d] = g.Read[s.o.Object(d)]
	}
	data = map[string][]byte{}
	if data[served.TicketName], err = ticket.Pack(); err != nil {
		return nil, err
	}
	if w.Bring.Fetched {
		begins := dispatch.Ticket{Version: dispatch.Version, Worker: map[string]dispatch.Located{}}
		for arch, d := range workers {
			begins.Worker[arch] = dispatch.Located{URL: g.Read[s.o.Object(d)], SHA256: d}
		}
		if data[workerKey], err = json.Marshal(begins); err != nil {
			return nil, fault.New(fault.Internal, "write the ticket of %s: %w", w.name, err)
		}
	}
	for _, name := range w.Bring.Pass {
		if v, ok := s.o.Env.Lookup(name); ok && !sandbox.Own(name) {
			data[passKey+name] = []byte(v)
		}
	}
	return data, nil
}

// workers keeps the worker's programs in the store, by architecture: those that are here.
func (s *server) workers(ctx context.Context) (map[string]digest.Digest, error) {
	out := map[string]digest.Digest{}
	var missing error
	for _, arch := range []string{"amd64", "arm64"} {
		file, err := s.o.Worker(arch)
		if err != nil {
			missing = err
			continue
		}
		art, err := artifact.PutFile(ctx, s.o.Store, file)
		if err != nil {
			return nil, err
		}
		out[arch] = art.Digest
	}
	if len(out) == 0 {
		return nil, missing
	}
	return out, nil
}
