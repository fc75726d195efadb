// Whose an object is, by what its owner wrote on it. What nobody marked may be taken over where that is declared. What is another's never is:
// whoever declares adopt in one repository does not speak for another, whose hosts and approvals it would pass by.

package owned

import (
	"context"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
)

const given = "not ours any more: somebody gave it an owner (metadata.ownerReferences)"

// mark says whose an object is, and how they let go of it.
type mark struct{ whose, way string }

// appliers write on what they apply whose it is, and write over what anybody else makes of it.
var appliers = []struct {
	label, note string // either
	who         string
}{
	{note: "argocd.argoproj.io/tracking-id", who: "Argo CD"},
	{label: "argocd.argoproj.io/instance", who: "Argo CD"},
	{label: "kustomize.toolkit.fluxcd.io/name", who: "Flux"},
	{label: "helm.toolkit.fluxcd.io/name", who: "Flux"},
	{note: "meta.helm.sh/release-name", who: "Helm"},
	{label: "kapp.k14s.io/app", who: "kapp"},
	{note: "objectset.rio.cattle.io/id", who: "Fleet"},
	{note: "configsync.gke.io/resource-id", who: "Config Sync"},
}

// instance is what Argo CD before 3.0 goes by, unless told otherwise. People write it too: it is Argo CD's where that has set anything.
const instance = "app.kubernetes.io/instance"

// marked is the mark of another owner on an object that is not ours; false where it has none.
func (h Hand) marked(o Object, m status.Meta) (mark, bool) {
	see := "see whose it is: " + h.kubectl("describe", o)
	owner, name := m.Labels[LabelOwner], m.Labels[LabelName]
	switch {
	case h.Given(m):
		return mark{given, see + "; remove its ownerReferences, or delete it"}, true
	case owner != "" && owner != h.Owner:
		return mark{"of another Vishwa, " + harmless.Line(owner), "rename the deployment, or retire it there; where there is no such Vishwa any more, take its labels off: " +
			h.kubectl("label", o) + " " + LabelOwner + "- " + LabelName + "-"}, true
	case owner != "" && name != "" && name != h.Name:
		return mark{"of the deployment " + harmless.Line(name), "rename one of the two; where no such deployment is declared any more, delete it: " + h.kubectl("delete", o)}, true
	case len(m.Owners) > 0:
		return mark{"of another object, which made it (metadata.ownerReferences)", see + "; rename the deployment"}, true
	}
	if value, is := m.Labels[instance]; is && argo(m) {
		return mark{"applied by Argo CD as " + harmless.Line(value), "rename the deployment; or take it out of what Argo CD applies, without deleting it, and take the mark off: " +
			h.kubectl("label", o) + " " + instance + "-"}, true
	}
	for _, by := range appliers {
		value, is := m.Labels[by.label]
		if by.note != "" {
			value, is = m.Annotations[by.note]
		}
		if is {
			key, verb := by.label, "label"
			if by.note != "" {
				key, verb = by.note, "annotate"
			}
			return mark{"applied by " + by.who + " as " + harmless.Line(value), "rename the deployment; or take it out of what " + by.who + " applies, without deleting it, and take the mark off: " +
				h.kubectl(verb, o) + " " + key + "-"}, true
		}
	}
	return mark{}, false
}

func argo(m status.Meta) bool {
	for _, by := range m.Managers {
		if strings.HasPrefix(by.Name, "argocd") {
			return true
		}
	}
	return false
}

func (h Hand) kubectl(verb string, o Object) string {
	return "kubectl -n " + h.Kube.Namespace + " " + verb + " " + o.Resource.String() + " " + o.Name
}

// refused is what stands under the name of o, and whose it is.
func (h Hand) refused(o Object, whose string) error {
	return fault.New(fault.Conflict, "%s %s of namespace %s already exists, and is %s", Kinds[o.Resource.Name], o.Name, h.Kube.Namespace, whose)
}

// Adoption is what a declaration says of objects that somebody else made.
type Adoption struct {
	Field string // that takes over what nobody marked as theirs
	Set   bool
}

// Refuse tells of what stands under the names of all and is not ours, before anything is changed.
func (h Hand) Refuse(ctx context.Context, all []Object, by Adoption) error {
	for _, o := range all {
		meta, err := h.meta(ctx, o)
		if err != nil {
			return err
		}
		if meta == nil || h.Ours(*meta) {
			continue
		}
		if of, is := h.marked(o, *meta); is {
			return fault.WithHint(h.refused(o, of.whose), "%s", of.way)
		}
		if !by.Set {
			return fault.WithHint(h.refused(o, "not Vishwa's"), "see whose it is: %s; where nobody needs it, delete it, or take it over by %s: true; or rename the deployment", h.kubectl("describe", o), by.Field)
		}
	}
	return nil
}

// theirs tells of what stands under the name of o and is marked as another's.
func (h Hand) theirs(ctx context.Context, o Object) error {
	meta, err := h.meta(ctx, o)
	if err != nil || meta == nil || h.Ours(*meta) {
		return err
	}
	if of, is := h.marked(o, *meta); is {
		return fault.WithHint(h.refused(o, of.whose), "%s", of.way)
	}
	return nil
}

// meta is that of what stands under the name of o; nil where nothing does.
func (h Hand) meta(ctx context.Context, o Object) (*status.Meta, error) {
	var there struct {
		Meta status.Meta `json:"metadata"`
	}
	err := h.Kube.Get(ctx, o.Resource, o.Name, &there)
	if err != nil && fault.Of(err) == fault.Missing {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &there.Meta, nil
}

// Keeps tells of one of ours that would be left, as somebody gave it an owner: then it is not known whose it is.
func (h Hand) Keeps(ctx context.Context, all []Object) error {
	for _, o := range all {
		there, _, err := h.Find(ctx, o)
		if err != nil && !kube.Lacks(err) {
			return err
		}
		if h.Given(metaAs(there)) {
			return fault.WithHint(fault.New(fault.Conflict, "%s %s of namespace %s is %s", Kinds[o.Resource.Name], o.Name, h.Kube.Namespace, given),
				"see whose it is: %s; then remove its ownerReferences, or delete it", h.kubectl("describe", o))
		}
	}
	return nil
}
