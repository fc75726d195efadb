// Waiting for a release: until its pods serve and have the requests, or cannot, and what to do about that.

package kubernetes

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
)

// podsStand asks how the Deployment of a release stands.
func podsStand(ctx context.Context, s *server, c *kube.Client, _ string, at standing) (status.Standing, error) {
	r := status.Rollout{Ready: at.Ready, Patience: s.o.Patience}
	if err := c.Get(ctx, kube.Deployments, at.Unit, &r.Deployment); err != nil {
		return status.Standing{}, err
	}
	pods, err := s.podsOf(ctx, c, at)
	if err != nil {
		return status.Standing{}, err
	}
	r.Pods, r.Now = pods, c.Now()
	return r.Stands(), nil
}

// podsOf are the pods of a release.
func (s *server) podsOf(ctx context.Context, c *kube.Client, at standing) ([]status.Pod, error) {
	all, _, err := kube.List[status.Pod](ctx, c, kube.Pods, kube.Select{Labels: owned.LabelOwner + "=" + s.owner + "," + labelUnit + "=" + at.Unit})
	return all, err
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
		st, err := w.shape().stands(ctx, s, w.kube, w.name, w.standing)
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
	service, pods := w.shape().service(w.name, w.standing)
	return s.sends(ctx, w.kube, service, pods)
}

// sends returns when a Service sends to pods that begin so, and to no others; that of no name is none.
func (s *server) sends(ctx context.Context, c *kube.Client, service, pods string) error {
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
	for service != "" {
		all, _, err := kube.List[slice](ctx, c, kube.Endpoints, kube.Select{Labels: "kubernetes.io/service-name=" + service})
		if err != nil && fault.Of(err) != fault.Transient {
			return err
		}
		ours, others := 0, 0
		for _, one := range all {
			for _, e := range one.Endpoints {
				switch {
				case e.Conditions.Ready != nil && !*e.Conditions.Ready:
				case strings.HasPrefix(e.Target.Name, pods):
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
			return fault.WithHint(fault.New(fault.Transient, "its pods are ready, and Service %s does not send to them after %s", service, reachWithin), "see that the cluster's controller of endpoints runs; the next apply goes on")
		}
		if err := owned.Pause(ctx); err != nil {
			return err
		}
	}
	return nil
}

// failed is a release that did not become ready.
func (w *work) failed(st status.Standing, what string) error {
	kind := fault.Invalid
	if st.Cause == status.NoQuota || st.Cause == status.NoLoan {
		kind = fault.Transient
	}
	field := w.field()
	if len(w.hosts) > 0 && st.Cause != notLoaded {
		field += ".ownServer"
	}
	return fault.WithHint(fault.New(kind, "%s: %s", what, st.Reason), "%s; what was served before goes on",
		strings.ReplaceAll(cmp.Or(ways[st.Cause], "put the serving command right, then run vishwa apply"), "spec.target.kubernetes", field))
}

// The causes of systems that serve for others.
const (
	notLoaded        status.Cause = "seldon load"
	notSeenBySeldon  status.Cause = "seldon"
	serverNotReady   status.Cause = "seldon server"
	notServable      status.Cause = "kserve runtime"
	notSeenByKServe  status.Cause = "kserve"
	notMadeByKnative status.Cause = "knative"
	notSeenByCore1   status.Cause = "seldon core 1"
	notMadeByCore1   status.Cause = "seldon deployment"
	elsewhere        status.Cause = "kserve host"
	outside          status.Cause = "knative route"
	besides          status.Cause = "knative host"
)

// ways are what to do about why pods do not serve.
var ways = map[status.Cause]string{
	status.NoImage:   "see that the image is in the registry, and that the nodes may read it (spec.target.kubernetes.pullSecrets)",
	status.NoModel:   "see that the pods reach the store, and what it says",
	status.NoLoan:    "see that the pods reach the store, and what it says",
	status.NoQuota:   "give the namespace a larger quota, or the pods less (spec.target.kubernetes.resources)",
	status.NoMemory:  "raise spec.target.kubernetes.resources.memory",
	status.NoDisk:    "let the pods be on nodes with more disk (nodeSelector and tolerations of spec.target.kubernetes), have the server write less (/tmp has room for 512Mi), or serve a smaller model",
	status.NoNode:    "add a node, or let the pods be on others (resources, nodeSelector and tolerations of spec.target.kubernetes)",
	status.NoPod:     "change what that rule of the cluster does not allow, or the rule",
	status.NoAnswer:  "see that the command listens on every address at VISHWA_PORT, or raise spec.target.kubernetes.readyTimeout",
	notLoaded:        "see what its servers say, and that one offers spec.target.kubernetes.requirements: kubectl get servers; kubectl logs -l seldon-server-name",
	notSeenBySeldon:  "see that Seldon's scheduler and its controller run: kubectl get pods -A -l app.kubernetes.io/part-of=seldon-core",
	serverNotReady:   "see what Seldon and its pods say, and that its ServerConfig is there: kubectl describe servers.mlops.seldon.io; kubectl describe pods -l seldon-server-name",
	notSeenByCore1:   "see that Seldon's controller runs, and that it looks after this namespace: kubectl get pods -A -l app=seldon",
	notMadeByCore1:   "see what Seldon says: kubectl describe seldondeployment",
	notServable:      "see which runtimes there are: kubectl get servingruntimes,clusterservingruntimes; then correct runtime or modelFormat of spec.target.kubernetes",
	notMadeByKnative: "see what KServe says (kubectl logs -n kserve deploy/kserve-controller-manager), and that ConfigMap config-features of knative-serving has kubernetes.podspec-init-containers: enabled, and what nodeSelector and tolerations need",
	elsewhere:        "write the host that KServe gives it as host of spec.target.kubernetes, where that host is allowed; KServe makes it of ingressDomain and domainTemplate of its ConfigMap inferenceservice-config",
	besides:          "have domain-template of Knative's ConfigMap config-network be {{.Name}}.{{.Namespace}}.{{.Domain}}; or remove host of spec.target.kubernetes, where no hosts are listed",
	outside:          "see that nothing takes the label networking.knative.dev/visibility off the InferenceService or its Service of Knative; or have it reached from outside: expose: true of spec.target.kubernetes",
	notSeenByKServe:  "see that KServe's controller runs, and what it says: kubectl logs -n kserve deploy/kserve-controller-manager",
}
