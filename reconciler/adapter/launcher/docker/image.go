// Images for an engine: by digest, fetched where it has none, with the credentials that its
// users have on this machine.

package docker

import (
	"context"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/machine/dockerengine"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// pullTime bounds one fetching of an image, which no caller's patience ends: who asks again
// finds it under way.
const pullTime = time.Hour

// instead is what a task's container says in place of its image.
type instead struct {
	labels map[string]string
	env    []string
}

// fetch has the engine have the image, and refuses one that no task can be begun in.
func (d *launcher) fetch(ctx context.Context, image string, eng *engine) (instead, error) {
	says, err := d.fits(ctx, image, eng)
	if err == nil || fault.Of(err) != fault.Missing {
		return says, err
	}
	done := d.pulls.DoChan(image, func() (any, error) {
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), pullTime)
		defer stop()
		if _, err := d.api.ImageInspect(ctx, image); err == nil { // another call fetched it since this one looked
			return nil, nil
		}
		err := fault.Guard(func() error { return dockerengine.Pull(ctx, d.api, d.o.Env, image) })
		if fault.Of(err) == fault.Cancelled && err != nil { // by no caller: by the bound above
			err = fault.WithHint(fault.New(fault.Transient, "fetch image %s: it took more than %s", image, pullTime), "pull it once by hand (docker pull), or use a smaller image")
		}
		return nil, err
	})
	select {
	case r := <-done:
		if r.Err != nil {
			return says, r.Err
		}
	case <-ctx.Done():
		return says, fault.New(fault.Cancelled, "wait for image %s, which the engine is fetching: %w", image, context.Cause(ctx))
	}
	return d.fits(ctx, image, eng)
}

// fits is Missing where the engine has no such image.
func (d *launcher) fits(ctx context.Context, image string, eng *engine) (says instead, err error) {
	r, err := d.api.ImageInspect(ctx, image)
	if err != nil {
		return says, d.classed(ctx, "inspect image "+image, err)
	}
	if os, arch := r.Os, dockerengine.Architecture(r.Architecture); os != "" && arch != "" && (os != eng.os || arch != eng.arch) {
		return says, unfitted(port.BadImage, "image %s is for %s/%s, and the engine's machine is %s/%s", image, os, arch, eng.os, eng.arch)
	}
	if says.labels, says.env, err = dockerengine.Quiet(image, r); err != nil || r.Config == nil {
		return says, err
	}
	for volume := range r.Config.Volumes { // the engine would lay it over what the worker is given
		if at := path.Clean("/" + volume); at == "/" || at == port.WorkerDir || strings.HasPrefix(at, port.WorkerDir+"/") {
			return says, unfitted(port.BadImage, "image %s declares the volume %s, where the worker is", image, harmless.Line(volume))
		}
	}
	for _, v := range r.Config.Env {
		if name, _, _ := strings.Cut(v, "="); keptFromWorker(name) {
			says.env = append(says.env, name+"=") // without a = the engine takes it away, and a Registrator of the machine ends by it
		}
	}
	return says, nil
}

// keptFromWorker tells the variables of an image that a worker must not see.
func keptFromWorker(name string) bool {
	upper := strings.ToUpper(name)
	return strings.HasPrefix(upper, "VISHWA_") || slices.Contains(port.WorkerVariables(), upper)
}
