// A Server of Seldon Core 2 of a deployment's own. It stays from release to release, as loading a model takes less than beginning what loads
// it. A Server that changes begins its pods anew, with whatever they serve: so one that is declared otherwise is another, next to the one
// before, and what serves goes on. It goes after the Models that it loaded: it is what unloads them.

package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// mostServer is how long the name of a Server may be: its pods have it in a label, with a hyphen and what tells their templates apart.
const mostServer = 52

// ownServer is the Server of the deployment of that name.
func (w *work) ownServer(name string, t schemas.SeldonServer) owned.Object {
	container := map[string]any{}
	if t.Image != "" {
		container["image"] = t.Image
	}
	if given := given(t.Resources, true); len(given) > 0 {
		container["resources"] = given
	}
	pods := map[string]any{}
	if len(container) > 0 { // Seldon merges it into that of its ServerConfig, by its name
		container["name"] = cmp.Or(t.Container, t.Config)
		pods["containers"] = []any{container}
	}
	placed(pods, schemas.Pods{Resources: t.Resources, ServiceAccount: t.ServiceAccount, NodeSelector: t.NodeSelector, Tolerations: t.Tolerations, PullSecrets: t.PullSecrets})
	spec := map[string]any{"serverConfig": t.Config}
	if len(pods) > 0 {
		spec["podSpec"] = pods
	}
	for field, all := range map[string][]string{"capabilities": t.Capabilities, "extraCapabilities": t.ExtraCapabilities} {
		if len(all) > 0 {
			spec[field] = all
		}
	}
	if t.MaxReplicas > 0 { // how many there are is for Seldon to say
		spec["minReplicas"], spec["maxReplicas"] = max(1, t.MinReplicas), t.MaxReplicas
	} else {
		spec["replicas"] = max(1, t.Replicas)
	}
	return parts{kube.SeldonServers, marked(name, mostServer, plain(spec)), w.server.labels(name), nil, spec}.object()
}

// seldonServer is what is read of a Server.
type seldonServer struct {
	Meta status.Meta `json:"metadata"`
	Spec struct {
		Config       string   `json:"serverConfig"`
		Capabilities []string `json:"capabilities"`
		Extra        []string `json:"extraCapabilities"`
	} `json:"spec"`
	Status struct {
		Replicas   *int              `json:"replicas"`
		Connected  *int              `json:"replicasConnectedToControlPlane"`
		Loaded     *int              `json:"loadedModels"`
		Conditions status.Conditions `json:"conditions"`
	} `json:"status"`
}

// needsServer refuses a Server that is named and not there, or that is not for this release.
func needsServer(ctx context.Context, w *work, r port.Release) error {
	name := r.Seldon.Server
	if name == "" {
		return nil
	}
	var is seldonServer
	err := w.kube.Get(ctx, kube.SeldonServers, name, &is)
	kind := fault.Of(err)
	switch {
	case err != nil && kind == fault.Denied: // then Seldon alone can say
		return nil
	case err != nil && kind == fault.Missing || err == nil && is.Meta.Deleted != nil:
		return fault.WithHint(fault.New(fault.Invalid, "namespace %s has no Server %s, which is to load it; %s", w.kube.Namespace, name, cmp.Or(offered(ctx, w.kube), "it has none")),
			"correct spec.target.seldon.server, or declare ownServer in its place")
	case err != nil:
		return err
	}
	if by := is.Meta.Labels[owned.LabelOwner]; by != "" {
		return fault.WithHint(fault.New(fault.Conflict, "Server %s of namespace %s is the deployment %s's own, and goes when that does", name, w.kube.Namespace, harmless.Line(is.Meta.Labels[owned.LabelName])),
			"declare ownServer in place of spec.target.seldon.server, or name a Server that whoever runs the cluster has made for several")
	}
	if lacks := (schemas.SeldonServer{Capabilities: is.Spec.Capabilities}).Lacks(r.Seldon.Requirements); len(lacks) > 0 {
		return fault.WithHint(fault.New(fault.Invalid, "Server %s of namespace %s does not offer %s; %s", name, w.kube.Namespace, strings.Join(lacks, ", "), offered(ctx, w.kube)),
			"correct spec.target.seldon.requirements, or name a server that offers them, or declare ownServer")
	}
	return nil
}

// offered says which Servers there are, and what they offer; "" where there are none, or nobody lets us see them.
func offered(ctx context.Context, c *kube.Client) string {
	all, _, err := kube.List[seldonServer](ctx, c, kube.SeldonServers, kube.Select{})
	if err != nil || len(all) == 0 {
		return ""
	}
	var texts []string
	for _, is := range all {
		text := is.Meta.Name + " (" + strings.Join(is.Spec.Capabilities, ", ")
		if len(is.Spec.Capabilities) == 0 {
			text = strings.Join(append([]string{is.Meta.Name + " (what its ServerConfig " + is.Spec.Config + " offers"}, is.Spec.Extra...), ", ")
		}
		texts = append(texts, text+")")
	}
	slices.Sort(texts)
	const most = 8
	if n := len(texts); n > most {
		texts = append(texts[:most], fmt.Sprintf("and %d more", n-most))
	}
	return kube.Cut("it has " + harmless.Line(strings.Join(texts, "; ")))
}

// hosted fills in what the Server of the deployment's own says, which loads at: why it loads nothing yet, or that what a Model says is of before.
func (at standing) hosted(ctx context.Context, s *server, c *kube.Client, st *status.Standing) error {
	own := at.find(kube.SeldonServers)
	if own == nil {
		return nil
	}
	var is seldonServer
	if err := c.Get(ctx, kube.SeldonServers, own.Name, &is); err != nil {
		return err
	}
	ready, yes := is.Status.Conditions.Get("Ready")
	switch none := func(n *int) bool { return n != nil && *n == 0 }; {
	case ready.Type == "":
		st.Reason, st.Cause, st.Over = "Seldon has not taken notice of its Server "+own.Name+" yet", notSeenBySeldon, false
	case !yes:
		said := strings.TrimSpace(ready.Reason + " " + ready.Message)
		st.Reason, st.Cause, st.Over = kube.Cut("its Server "+own.Name+" is not ready: "+said), serverNotReady, ready.Reason == "FailedReconcile" && c.Now().Sub(ready.Since) > min(invalidIn, s.o.Start)
		if none(is.Status.Connected) {
			st.Serving = 0
		}
		if err := at.pods(ctx, s, c, own.Name, st); err != nil {
			return err
		}
	case none(is.Status.Replicas): // which Seldon calls ready
		st.Serving, st.Reason, st.Cause, st.Over = 0, "its Server "+own.Name+" has no pods", serverNotReady, false
	case st.Settled && none(is.Status.Loaded): // Seldon's scheduler may have lost it, and the Model says what it said
		st.Serving, st.Reason, st.Cause = 0, "its Server "+own.Name+" says that it has loaded no model", serverNotReady
	default:
		return nil
	}
	st.Settled = false
	return nil
}

// pods fills in what keeps the pods of a Server from serving, where the cluster tells.
func (at standing) pods(ctx context.Context, s *server, c *kube.Client, server string, st *status.Standing) error {
	all, _, err := kube.List[status.Pod](ctx, c, kube.Pods, kube.Select{Labels: "seldon-server-name=" + server})
	if err != nil {
		return err
	}
	is := status.Rollout{Now: c.Now(), Patience: s.o.Patience, Pods: all}.Stands()
	st.Restarts += is.Restarts
	if is.Cause != "" && is.Cause != status.NoAnswer {
		st.Reason, st.Cause, st.Over = kube.Cut("its Server "+server+" is not ready: "+is.Reason), is.Cause, is.Over
	}
	return nil
}

// prune takes away what is ours under the name and not in keep: a Server once what it has loaded is gone.
func (s *server) prune(ctx context.Context, h owned.Hand, keep []owned.Object) error {
	if err := h.Prune(ctx, slices.DeleteFunc(slices.Clone(resources), func(r kube.Resource) bool { return r == kube.SeldonServers }), keep); err != nil {
		return err
	}
	all, err := h.List(ctx, kube.SeldonServers)
	if err != nil {
		return err
	}
	for _, m := range all {
		if slices.ContainsFunc(keep, func(o owned.Object) bool { return o.Resource == kube.SeldonServers && o.Name == m.Name }) {
			continue
		}
		if err := s.unloaded(ctx, h, m.Name); err != nil {
			return err
		}
		if err := h.Remove(ctx, kube.SeldonServers, m.Name); err != nil && fault.Of(err) != fault.Conflict {
			return err
		}
	}
	return nil
}

// end has the file hold what stays of what stood. Who applies it takes all else away at once, so a Server is left in it until what that has
// loaded is gone.
func (d *delivery) end(ctx context.Context, c *kube.Client, rec *record, stood, stay []owned.Object, subject string) error {
	leave := slices.DeleteFunc(slices.Clone(stood), func(o owned.Object) bool {
		return o.Resource != kube.SeldonServers || slices.ContainsFunc(stay, func(other owned.Object) bool { return idOf(other) == idOf(o) })
	})
	if len(leave) > 0 {
		if err := d.write(ctx, rec, over(stay, leave...), subject); err != nil {
			return err
		}
	}
	for _, o := range leave {
		if err := d.server.unloaded(ctx, d.server.hand(c, d.name), o.Name); err != nil {
			return err
		}
	}
	return d.write(ctx, rec, stay, subject)
}

// unloaded returns when no Model names a Server. One of somebody else's is left, and so is the Server.
func (s *server) unloaded(ctx context.Context, h owned.Hand, server string) error {
	type model struct {
		Meta status.Meta `json:"metadata"`
		Spec struct {
			Server string `json:"server"`
		} `json:"spec"`
	}
	for limit := s.o.Env.Now().Add(owned.EndWithin); ; {
		all, _, err := kube.List[model](ctx, h.Kube, kube.SeldonModels, kube.Select{})
		late := s.o.Env.Now().After(limit)
		all = slices.DeleteFunc(all, func(m model) bool { return m.Spec.Server != server })
		other := slices.IndexFunc(all, func(m model) bool { return !h.Ours(m.Meta) })
		switch {
		case err != nil && (fault.Of(err) != fault.Transient || late):
			return err
		case err == nil && len(all) == 0:
			return nil
		case err == nil && other >= 0:
			return fault.WithHint(fault.New(fault.Conflict, "Server %s of namespace %s is wanted no more, and stays: Model %s, which is not this deployment's, names it", server, h.Kube.Namespace, all[other].Meta.Name),
				"have that Model name another Server, or delete it; then run vishwa apply")
		case err == nil && late:
			return h.Stays(kube.SeldonModels, all[0].Meta.Name)
		}
		if err := owned.Pause(ctx); err != nil {
			return err
		}
	}
}
