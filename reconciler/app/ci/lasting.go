// What outlives a job: a runner is thrown away, and whatever was on its disk with it.

package ci

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/format/terraform"
	"github.com/vishwaops/vishwa/schemas"
)

// LocalStateProblems lists the infrastructure whose Terraform state the job would leave on
// its machine's disk: the next job would not find it, and would make everything
// again. Hosted machines keep nothing; on others a declared path is taken at its word.
func LocalStateProblems(decls []schemas.Declaration, tree fs.FS, hosted bool) (out []schemas.Problem) {
	for _, d := range decls {
		stack, ok := d.Spec.(schemas.Provisioned)
		if !ok {
			continue
		}
		spec := stack.Stack()
		if spec.State.Path != "" && !hosted {
			continue
		}
		module, err := fs.Sub(tree, spec.Module)
		if err != nil {
			continue // a module that is not there is reported by who loads it
		}
		if kind := terraform.Backend(module); kind != "" && kind != "local" {
			continue
		}
		out = append(out, schemas.Problem{Pos: position(d, "spec.state"), Field: "spec.state", Message: fmt.Sprintf(
			"the Terraform state of %s would be on the runner's disk, which the next job does not find; declare a remote backend in the module %s, as in terraform { backend \"s3\" {} }, and configure it in spec.state.backend",
			d.Ref(), spec.Module)})
	}
	return out
}

// EphemeralWarnings says what of the declarations ends with the job, in whole sentences.
func EphemeralWarnings(decls []schemas.Declaration, hosted bool) (out []string) {
	if !hosted {
		return nil
	}
	var local []string
	for _, d := range decls {
		if spec, ok := d.Spec.(schemas.Serves); ok && spec.Serves().Local {
			local = append(local, d.Ref().String())
		}
	}
	if project := schemas.ProjectOf(decls); project != nil && project.Store != nil && project.Store.Dir != "" {
		out = append(out, "The store (spec.store.dir) is a folder of the runner, which is thrown away: keep it between jobs with the cache of GitHub Actions, or run on machines of your own.")
	}
	if len(local) > 0 {
		slices.Sort(local)
		out = append(out, "What is served by the runner itself ends with the job: "+strings.Join(local, ", ")+".")
	}
	return out
}

func position(d schemas.Declaration, field string) schemas.Position {
	if d.Fields == nil {
		return d.Pos
	}
	return d.Fields(field)
}
