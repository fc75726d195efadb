// What will keep a package from being made, as far as it can be known before anything is read or sent.

package packager

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/imagelayer"
	"github.com/vishwaops/vishwa/reconciler/format/modelpack"
	"github.com/vishwaops/vishwa/reconciler/machine/registry"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// Allowed tells whether the owner of this machine lets the base of pkg's image be read. Nobody is asked.
func Allowed(env port.Env, pkg port.Package) error {
	if pkg.Image == nil {
		return nil
	}
	return env.MayUse(registry.Place(pkg.Image.Base))
}

// Ready tells, of each of all, why it could not be packed: of its model where it is known, of the base of its image, of this machine, and of the
// registry that is to have it. No layer is read, and nothing is sent. They are asked side by side, and each base and each repository once: a registry
// that does not answer takes the time of what it is asked alone. What of a registry only shows when bytes arrive stays to be seen: a quota, and tags
// that do not move.
func Ready(ctx context.Context, env port.Env, all []port.Package) []error {
	a := &asking{packer: &packer{env: env}, bases: map[asked]func() (registry.Base, error){}, targets: map[asked]func() error{}, hosts: map[string]chan struct{}{}}
	errs := make([]error, len(all))
	var side routine.Set
	for i, pkg := range all {
		side.Start(func() {
			errs[i] = fault.Guard(func() error { return a.ready(ctx, pkg) })
			if errs[i] != nil && ctx.Err() != nil {
				errs[i] = fault.New(fault.Cancelled, "ask the registries of package %s: %w", pkg.Name, ctx.Err())
			}
		})
	}
	side.Wait()
	return errs
}

const atOnce = 8 // questions to one registry

// asking is what registries answered in one round.
type asking struct {
	*packer
	mu      sync.Mutex
	bases   map[asked]func() (registry.Base, error)
	targets map[asked]func() error
	hosts   map[string]chan struct{} // places of questions
}

// turn waits for a place among the questions to the registry of a repository, or of an image, and gives it back by done.
func (a *asking) turn(ctx context.Context, name string) (done func(), err error) {
	host, _, _ := strings.Cut(strings.TrimPrefix(name, "oci://"), "/")
	a.mu.Lock()
	places := a.hosts[host]
	if places == nil {
		places = make(chan struct{}, atOnce)
		a.hosts[host] = places
	}
	a.mu.Unlock()
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// asked is what a registry is asked for, and how.
type asked struct{ name, platform, plain string }

// plainly says whether TLS is used: as declared, or as the address has it.
func plainly(declared *bool) string {
	if declared == nil {
		return ""
	}
	return strconv.FormatBool(*declared)
}

func (a *asking) ready(ctx context.Context, pkg port.Package) error {
	var layers []modelpack.Layer
	var err error
	if len(pkg.Model.Files) > 0 {
		if layers, err = layersOf(pkg); err != nil {
			return err
		}
	}
	if pkg.Image != nil {
		if err := a.buildable(ctx, pkg, len(layers)); err != nil {
			return fmt.Errorf("build the image that serves %s: %w", pkg.Name, err)
		}
	}
	return a.answers(ctx, pkg.At)
}

// buildable tells why no image could be built over the base, beside a model of so many layers.
func (a *asking) buildable(ctx context.Context, pkg port.Package, model int) error {
	if _, _, err := codeLayer(pkg.Image, nil); err != nil {
		return err
	}
	base, err := a.baseOf(ctx, pkg)
	if err != nil {
		return err
	}
	if err := fitsOver(base, model); err != nil || sentBefore(pkg, base) {
		return err
	}
	return madeHere(pkg.Image)
}

// baseOf is the base of pkg's image, which is read once.
func (a *asking) baseOf(ctx context.Context, pkg port.Package) (registry.Base, error) {
	is := asked{pkg.Image.Base, pkg.Image.Platform, plainly(a.plainBase(pkg))}
	a.mu.Lock()
	read := a.bases[is]
	if read == nil {
		read = sync.OnceValues(func() (registry.Base, error) {
			done, err := a.turn(ctx, registry.Place(pkg.Image.Base))
			if err != nil {
				return registry.Base{}, err
			}
			defer done()
			return a.base(ctx, pkg)
		})
		a.bases[is] = read
	}
	a.mu.Unlock()
	return read()
}

// answers tells why nothing could be sent to a repository, which is asked once.
func (a *asking) answers(ctx context.Context, at port.Registry) error {
	is := asked{name: at.Repository, plain: plainly(at.PlainHTTP)}
	a.mu.Lock()
	ask := a.targets[is]
	if ask == nil {
		ask = sync.OnceValue(func() error {
			to, err := a.open(at)
			if err != nil {
				return err
			}
			done, err := a.turn(ctx, at.Repository)
			if err != nil {
				return err
			}
			defer done()
			return to.Answers(ctx)
		})
		a.targets[is] = ask
	}
	a.mu.Unlock()
	return ask()
}

// layersOf shares the files of pkg's model out.
func layersOf(pkg port.Package) ([]modelpack.Layer, error) {
	layers, err := modelpack.Layers(pkg.Model.Files)
	if err != nil || pkg.Model.Files.Digest() != pkg.Model.Digest {
		return nil, fault.WithHint(fault.New(fault.Invalid, "pack %s: %w", pkg.Name, cause(err)), "let the training write only the model's own files into its model directory")
	}
	return layers, nil
}

// base reads what the base of pkg's image is, and none of its layers.
func (p *packer) base(ctx context.Context, pkg port.Package) (registry.Base, error) {
	if err := Allowed(p.env, pkg); err != nil {
		return registry.Base{}, err
	}
	o := registry.Options{Lookup: p.env.Lookup, PlainHTTP: p.plainBase(pkg)}
	return registry.OpenBase(ctx, o, pkg.Image.Base, pkg.Image.Platform)
}

// plainBase is what is declared of TLS for the base of pkg's image: where it is of the same registry, what is declared for that.
func (p *packer) plainBase(pkg port.Package) *bool {
	if to, err := p.open(pkg.At); err == nil && strings.HasPrefix(registry.Place(pkg.Image.Base), "oci://"+to.Host()+"/") {
		return pkg.At.PlainHTTP
	}
	return nil
}

// fitsOver tells whether an engine mounts what is laid over base: the model's layers, the environment, and the code.
func fitsOver(base registry.Base, model int) error {
	if n := len(base.Layers) + model + 2; n > modelpack.MostImage {
		return fault.WithHint(fault.New(fault.Invalid, "it would have %s, and engines mount %d at most", plural.Of(n, "layer"), modelpack.MostImage), "name a base of fewer layers")
	}
	return nil
}

// madeHere tells whether this machine can make the environment of an image.
func madeHere(of *port.ServingImage) error {
	if here := runtime.GOOS + "/" + runtime.GOARCH; of.Lock != "" && here != of.Platform {
		return fault.WithHint(fault.New(fault.Invalid, "this machine, where the environment is made, is %s, and the image is for %s", here, of.Platform),
			"have a controller on such a machine pack it, or name a base that has the packages and take env out of spec.image")
	}
	return nil
}

// environmentContent names the environment of a lock over a base.
func environmentContent(lock digest.File, base registry.Base) map[string]any {
	return map[string]any{"layout": imagelayer.Layout, "lock": lock.Digest, "base": base.Digest}
}

// sentBefore tells whether the environment of pkg's image is known to have been sent: it is not made again then.
func sentBefore(pkg port.Package, base registry.Base) bool {
	for _, f := range pkg.Image.Code {
		if f.Path != pkg.Image.Lock {
			continue
		}
		name, err := digest.JSON(environmentContent(f, base))
		for _, l := range pkg.Known {
			if err == nil && l.Content == name {
				return true
			}
		}
	}
	return false
}
