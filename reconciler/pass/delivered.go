// Where what is declared is written to: never to the branch that declares it. What such a commit said would be read as
// a declaration, by whoever reviewed no line of it.

package pass

import (
	"fmt"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// undeliverable is what in would have written to the branch that it stands on, or is to be merged into.
func undeliverable(in *Intent, rev port.Revision) (out []schemas.Problem) {
	tracked := rev.Branch
	if in.Base != nil {
		tracked = in.Base.Branch
	}
	for i, d := range in.Decls {
		spec, ok := d.Spec.(schemas.Serves)
		if !ok || spec.Serves().Delivery == nil {
			continue
		}
		g := spec.Serves().Delivery
		if other := apart(spec.Serves(), in.Decls[:i]); other != nil {
			const field = "spec.delivery.git.path"
			out = append(out, schemas.Problem{Pos: d.Fields(field), Field: field, Message: fmt.Sprintf(
				"%s of branch %s is where %s is written, of another environment or cluster: who applies that folder would apply both; name another folder, or another branch", g.Path, g.Branch, other.Ref())})
		}
		if tracked != "" && strings.EqualFold(g.Branch, tracked) {
			const field = "spec.delivery.git.branch"
			out = append(out, schemas.Problem{Pos: d.Fields(field), Field: field, Message: fmt.Sprintf(
				"%s is the branch of the declarations themselves; name another, such as environments/production", g.Branch)})
		}
	}
	return out
}

// apart is the one of all that is written to the folder of s, to one in it or around it, and goes to another environment or cluster.
func apart(s schemas.Service, all []schemas.Declaration) *schemas.Declaration {
	within := func(a, b string) bool { return strings.HasPrefix(strings.ToLower(a)+"/", strings.ToLower(b)+"/") }
	for i := range all {
		spec, ok := all[i].Spec.(schemas.Serves)
		if !ok || spec.Serves().Delivery == nil {
			continue
		}
		o := spec.Serves()
		together := strings.EqualFold(o.Delivery.Branch, s.Delivery.Branch) && (within(o.Delivery.Path, s.Delivery.Path) || within(s.Delivery.Path, o.Delivery.Path))
		if together && (schemas.Place(o.Environment) != schemas.Place(s.Environment) || o.Cluster != s.Cluster) {
			return &all[i]
		}
	}
	return nil
}
