// Where the targets of a cluster differ: a shape makes the objects of a release, and sees how they stand. All
// else is the same for each of them: places, records, waiting, undoing, drift and what is taken away.

package kubernetes

import (
	"cmp"
	"context"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// shape is a target of a cluster.
type shape struct {
	unit  kube.Resource // what a release is; what its pods read belongs to it
	bytes string        // the class of what it serves, where no package is mounted
	// kept tells that the unit has the deployment's name and goes on from release to release: a release that does not
	// become ready is undone by the one before it, and not by taking the unit away.
	kept bool
	// part is what r says of where it is served; false where it is another target's.
	part func(r port.Release) (part, bool)
	// check refuses what cannot be served so, before anything is asked.
	check func(r port.Release) error
	// needs refuses what the cluster does not have that r is served by, before anything is made; nil: nothing is needed.
	needs func(ctx context.Context, w *work, r port.Release) error
	// make fills in the objects of r.
	make func(w *work, r port.Release)
	// begins is the unit that a release begins with next to what is there, where that is not the one that it comes to; nil: it is.
	begins func(w *work, there map[string]any) owned.Object
	// stands asks how what stands at a place does.
	stands func(ctx context.Context, s *server, c *kube.Client, name string, at standing) (status.Standing, error)
	// service has the requests for name, from the pods that begin so; empty where no Service does.
	service func(name string, at standing) (service, pods string)
	// routed tells whether requests for name go to what stands, where another thing than a Service sends them; nil where none does.
	routed func(ctx context.Context, c *kube.Client, name string) (yes bool, why string, err error)
	// divides is what divides requests between two releases; nil where nothing does.
	divides *divider
}

// part is what every target says.
type part struct {
	cluster string
	adopt   bool
	brings  bool // pods are brought the release, and verify it
	fetched bool // the worker, by its image's Python
	code    digest.Manifest
	pass    []string
}

// shapes is the table, one row a target.
func shapes() map[string]*shape {
	return map[string]*shape{
		port.TargetKubernetes: pods(),
		port.TargetKServe:     inference(),
		port.TargetSeldon:     seldon(),

		port.TargetSeldonDeployment: seldonDeployment(),
	}
}

// bears are the kinds that go on from release to release, and the release that one is of.
var bears = map[kube.Resource]func(o map[string]any) string{
	kube.InferenceServices: inferenceUnit,
	kube.SeldonDeployments: predictorUnit,
}

// resources are all kinds that we make; what has the traffic goes first, and the first two are always there.
var resources = []kube.Resource{
	kube.Services, kube.Deployments, kube.Autoscalers, kube.Disruptions, kube.Ingresses, kube.HTTPRoutes,
	kube.SeldonExperiments, kube.SeldonModels, kube.InferenceServices, kube.SeldonDeployments, kube.SeldonServers,
}

// units are what is ours under the name and what releases are, on its way out or not.
func (s *server) units(ctx context.Context, h owned.Hand) (all []status.Meta, of kube.Resource, err error) {
	for _, of = range resources {
		if !s.unit(of) {
			continue
		}
		if all, err = h.List(ctx, of); err != nil || len(all) > 0 {
			return all, of, err
		}
	}
	return nil, of, nil
}

func (s *server) unit(r kube.Resource) bool {
	if r == kube.SeldonServers { // it outlives what it has loaded
		return true
	}
	for _, how := range s.shapes {
		if how.unit == r {
			return true
		}
	}
	return false
}

// shape is that of what stands; records without a target are of pods.
func (s *server) shape(at standing) *shape {
	return s.shapes[cmp.Or(at.Target, port.TargetKubernetes)]
}

func (w *work) shape() *shape { return w.server.shape(w.standing) }

// able refuses what cannot be served where w is to be.
func (w *work) able(ctx context.Context, r port.Release, adopt bool) error {
	if err := w.refuse(ctx, w.Objects, adopt); err != nil {
		return err
	}
	return w.needs(ctx, r)
}

// needs refuses what the cluster does not have that r is served by.
func (w *work) needs(ctx context.Context, r port.Release) error {
	if needs := w.shape().needs; needs != nil {
		return needs(ctx, w, r)
	}
	return nil
}

// bytes is the class of what stands.
func (s *server) bytes(at standing) string { return cmp.Or(at.Bytes, s.shape(at).bytes) }

// holder is the object that a release is, which what its pods read belongs to.
func (w *work) holder() (kube.Resource, string) {
	if s := w.shape(); s.kept {
		return s.unit, w.name
	}
	return w.shape().unit, w.Unit
}

// field is the target's, for people.
func (at standing) field() string { return "spec.target." + cmp.Or(at.Target, port.TargetKubernetes) }

// pods are a Deployment a release, and a Service of the name that has the traffic of one of them.
func pods() *shape {
	return &shape{
		unit: kube.Deployments, bytes: port.BytesVerified, check: check, make: (*work).make, stands: podsStand,
		part: func(r port.Release) (part, bool) {
			t := r.Kubernetes
			if t == nil {
				return part{}, false
			}
			brings := !r.Contained || len(r.Inputs)+len(t.Env.Pass) > 0 // an image that has everything is brought nothing
			return part{t.Cluster, t.Adopt, brings, brings && t.Worker == "", t.Code, t.Env.Pass}, true
		},
		service: func(name string, at standing) (string, string) { return name, at.Unit + "-" },
		divides: byRoute(),
	}
}
