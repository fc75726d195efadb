// Packages go where the owner of the machine lets them: the credentials are its, and whoever
// may commit to one repository is not to write over the packages of another.

package wrap

import (
	"context"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// PackagingTo lets packages go to these repositories of registries alone: each is a name, or
// one that ends with /* and stands for all below.
func PackagingTo(p port.Packager, names []string) port.Packager {
	return PackagingWhere(p, func(_ context.Context, at port.Registry) error { return MayPack(names, at) })
}

// PackagingWhere asks let before a registry is asked for anything: what it refuses is not asked.
func PackagingWhere(p port.Packager, let func(ctx context.Context, at port.Registry) error) port.Packager {
	return packagingWhere{p, let}
}

type packagingWhere struct {
	next port.Packager
	let  func(ctx context.Context, at port.Registry) error
}

// MayPack is Denied where packages may go to these repositories alone, and at is none of them.
func MayPack(to []string, at port.Registry) error {
	if slices.ContainsFunc(to, func(n string) bool { return names(n, at.Repository) }) {
		return nil
	}
	return fault.WithHint(fault.New(fault.Denied, "the controller's file lets this repository pack nothing to %s", at.Repository),
		"have whoever runs the controller add it to packages of this repository in the controller's file")
}

// names tells whether a name stands for a repository.
func names(name, repository string) bool {
	below, all := strings.CutSuffix(name, "/*")
	if !all {
		return repository == name
	}
	return strings.HasPrefix(repository, below+"/")
}

func (p packagingWhere) Inspect(ctx context.Context, at port.Registry, packed port.Packed, tags []string) (port.PackageState, error) {
	if err := p.let(ctx, at); err != nil {
		return port.PackageState{}, err
	}
	return p.next.Inspect(ctx, at, packed, tags)
}

func (p packagingWhere) Push(ctx context.Context, pkg port.Package) (port.Packed, error) {
	if err := p.let(ctx, pkg.At); err != nil {
		return port.Packed{}, err
	}
	return p.next.Push(ctx, pkg)
}

func (p packagingWhere) Publish(ctx context.Context, at port.Registry, packed port.Packed, evidence [][]byte, tags port.PackageTags) (port.Packed, error) {
	if err := p.let(ctx, at); err != nil {
		return packed, err
	}
	return p.next.Publish(ctx, at, packed, evidence, tags)
}
