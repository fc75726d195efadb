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
	for _, d := range in.Decls {
		spec, ok := d.Spec.(schemas.Serves)
		if !ok {
			continue
		}
		if g := spec.Serves().Delivery; g != nil && tracked != "" && strings.EqualFold(g.Branch, tracked) {
			const field = "spec.delivery.git.branch"
			out = append(out, schemas.Problem{Pos: d.Fields(field), Field: field, Message: fmt.Sprintf(
				"%s is the branch of the declarations themselves; name another, such as environments/production", g.Branch)})
		}
	}
	return out
}
