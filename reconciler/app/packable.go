// What will keep packages from being packed: their registries are asked, where somebody has reviewed that they are named.

package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishwaops/vishwa/reconciler/adapter/packager"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/registry"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/wrap"
	"github.com/vishwaops/vishwa/schemas"
)

// packable tells in out, of each package among places, what will keep it from being packed: Denied is what the owner of this machine does not let it.
// All registries together have observeWithin to answer. A pull request declares whom to ask, with this machine's credentials: nobody is asked for it,
// nor for a plan of a checkout that names others than the published branch does.
func (h *Repository) packable(ctx context.Context, o Options, places []pass.Place, out []error) {
	var ask []port.Package
	var of []int
	var named func(port.Package) bool
	for i, at := range places {
		if at.Package == nil {
			continue
		}
		out[i] = packager.Allowed(o.Env, *at.Package)
		if out[i] == nil && o.Packages != nil {
			out[i] = wrap.MayPack(*o.Packages, at.Package.At)
		}
		if out[i] != nil || o.Isolation != nil || at.Declared {
			continue
		}
		if !at.Acts && named == nil {
			named = h.published(ctx)
		}
		if !at.Acts && !named(*at.Package) {
			out[i] = fault.WithHint(pass.Unasked{Why: "the branch that the remote calls its own does not name them, and this checkout may be anybody's"},
				"look at them in spec.oci and spec.image of the package; vishwa plan asks them once that branch names them, and vishwa apply before it packs")
			continue
		}
		ask, of = append(ask, *at.Package), append(of, i)
	}
	if len(ask) == 0 {
		return
	}
	within, done := context.WithTimeout(ctx, observeWithin)
	defer done()
	for k, err := range packager.Ready(within, o.Env, ask) {
		out[of[k]] = unanswered(ctx, err)
	}
}

// unanswered is err of a package's registries, as a plan tells it.
func unanswered(ctx context.Context, err error) error {
	switch {
	case err == nil || ctx.Err() != nil:
		return nil // what ends the command is told by itself
	case errors.Is(err, context.DeadlineExceeded):
		return fault.WithHint(fault.New(fault.Transient, "the registries of all packages together did not answer within %s", observeWithin), "see that they are up; it is tried all the same")
	case fault.Of(err) == fault.Denied: // by a registry, which may let another machine in
		return fault.WithHint(fault.New(fault.Missing, "%w", err), "%s", fault.HintOf(err))
	}
	return err
}

// published tells whether the branch that the remote calls its own names the registry of a package, and that of its base. What is checked out may be
// a stranger's. A clone without a remote is the user's, and names what it likes.
func (h *Repository) published(ctx context.Context) func(port.Package) bool {
	nobody := func(port.Package) bool { return false }
	sha, one, err := h.Repo.Published(h.GitLedger.Keeping())
	if err != nil || one && sha == "" {
		return nobody
	}
	if !one {
		return func(port.Package) bool { return true }
	}
	tree, err := h.Repo.Open(ctx, sha)
	if err != nil {
		return nobody
	}
	decls, _ := schemas.Load(ctx, tree) // what has problems declares nothing
	registries, bases := map[string]bool{}, map[string]bool{}
	for _, d := range decls {
		spec, packs := d.Spec.(schemas.Packs)
		if !packs {
			continue
		}
		is := spec.Packs()
		registries[is.OCI.Repository+plainly(is.OCI.PlainHTTP)] = true
		if is.Image != nil {
			bases[registry.Place(is.Image.Base)] = true
		}
	}
	return func(p port.Package) bool {
		return registries[p.At.Repository+plainly(p.At.PlainHTTP)] && (p.Image == nil || bases[registry.Place(p.Image.Base)])
	}
}

// plainly says what is declared of TLS.
func plainly(declared *bool) string {
	if declared == nil {
		return ""
	}
	return fmt.Sprint(" plain ", *declared)
}
