// Modules that are named by a commit, after init has fetched them.

package provisioner

import (
	"cmp"
	"os"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/terraform"
	"github.com/vishwaops/vishwa/reconciler/harmless"
)

// atCommits refuses a module that is not at the commit that it is named by: nobody has reviewed what it is.
func (w *work) atCommits() error {
	root, err := os.OpenRoot(w.moduleDir())
	if err != nil {
		return fault.New(fault.Internal, "read modules of stack %s: %w", w.stack.Name, err)
	}
	defer root.Close()
	others, err := terraform.CheckCommits(root.FS())
	if err != nil {
		return fault.New(fault.Internal, "read modules of stack %s: %w", w.stack.Name, err)
	}
	for _, o := range others {
		return fault.WithHint(fault.New(fault.Denied, "stack %s: module %q is named by commit %.12s, and %s has fetched %s", w.stack.Name, o.Module, o.Want, w.tool.product,
			cmp.Or(harmless.Line(o.Has), "something whose commit is not known")),
			"its repository has a branch that is called as the commit is: ask who keeps it, and take the module from a repository that you trust")
	}
	return nil
}
