// Images for an engine: by digest, fetched where it has none, with the credentials that its
// users have on this machine.

package docker

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"
	"oras.land/oras-go/v2/registry/remote/credentials"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// pullTime bounds one fetching of an image, which no caller's patience ends: who asks again
// finds it under way.
const pullTime = time.Hour

// fetch has the engine have the image, and refuses one that no task can be begun in. It tells
// the names of the image's variables.
func (d *launcher) fetch(ctx context.Context, image string, eng *engine) ([]string, error) {
	names, err := d.fits(ctx, image, eng)
	if err == nil || fault.Of(err) != fault.Missing {
		return names, err
	}
	done := d.pulls.DoChan(image, func() (any, error) {
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), pullTime)
		defer stop()
		return nil, d.pull(ctx, image)
	})
	select {
	case r := <-done:
		if r.Err != nil {
			return nil, r.Err
		}
	case <-ctx.Done():
		return nil, fault.New(fault.Cancelled, "wait for image %s, which the engine is fetching: %w", image, context.Cause(ctx))
	}
	return d.fits(ctx, image, eng)
}

// fits is Missing where the engine has no such image.
func (d *launcher) fits(ctx context.Context, image string, eng *engine) ([]string, error) {
	r, err := d.api.ImageInspect(ctx, image)
	if err != nil {
		return nil, d.classed(ctx, "inspect image "+image, err)
	}
	if os, arch := r.Os, architecture(r.Architecture); os != "" && arch != "" && (os != eng.os || arch != eng.arch) {
		return nil, unfitted(port.BadImage, "image %s is for %s/%s, and the engine's machine is %s/%s", image, os, arch, eng.os, eng.arch)
	}
	if r.Config == nil {
		return nil, nil
	}
	for volume := range r.Config.Volumes { // the engine would lay it over what the worker is given
		if at := path.Clean("/" + volume); at == "/" || at == port.WorkerDir || strings.HasPrefix(at, port.WorkerDir+"/") {
			return nil, unfitted(port.BadImage, "image %s declares the volume %s, where the worker is", image, harmless.Line(volume))
		}
	}
	var names []string
	for _, v := range r.Config.Env {
		name, _, _ := strings.Cut(v, "=")
		names = append(names, name)
	}
	return names, nil
}

// keptFromWorker tells the variables of an image that a worker must not see.
func keptFromWorker(name string) bool {
	upper := strings.ToUpper(name)
	return strings.HasPrefix(upper, "VISHWA_") || slices.Contains(port.WorkerVariables(), upper)
}

func (d *launcher) pull(ctx context.Context, image string) error {
	auth, err := d.credential(ctx, image)
	if err != nil {
		return err
	}
	begun := d.o.Env.Now()
	d.o.Env.Log.Info("fetch image", "image", image)
	stream, err := d.api.ImagePull(ctx, image, client.ImagePullOptions{RegistryAuth: auth})
	if err == nil {
		err = stream.Wait(ctx)
		stream.Close()
	}
	if err == nil {
		d.o.Env.Log.Info("fetched image", "image", image, "took", d.o.Env.Now().Sub(begun).Round(time.Millisecond))
		return nil
	}
	text := harmless.Line(err.Error())
	switch kind := fault.Of(d.classed(ctx, "", err)); {
	case kind == fault.Cancelled:
		return fault.New(fault.Transient, "fetch image %s: it took more than %s", image, pullTime)
	// The stream of a pull has its errors as text alone.
	case kind == fault.Missing, kind == fault.Invalid, kind == fault.Denied, contains(strings.ToLower(text), "manifest unknown", "not found", "no matching manifest", "denied", "unauthorized", "no basic auth credentials", "name unknown", "name invalid", "authentication required"):
		return fault.WithHint(unfitted(port.BadImage, "fetch image %s: %s", image, text),
			"see that it is there, for this kind of machine; for one that needs a password, docker login on the controller's machine")
	default:
		return fault.New(fault.Transient, "fetch image %s: %s", image, text)
	}
}

// credential is what Docker's configuration has for the image's registry, as the engine takes
// it; empty is none.
func (d *launcher) credential(ctx context.Context, image string) (string, error) {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return "", unfitted(port.BadImage, "%q cannot name an image: %s", image, err)
	}
	dir, _ := d.o.Env.Lookup("DOCKER_CONFIG")
	if home, _ := d.o.Env.Lookup("HOME"); dir == "" && home != "" {
		dir = filepath.Join(home, ".docker")
	}
	if dir == "" {
		return "", nil
	}
	file := filepath.Join(dir, "config.json")
	kept, err := credentials.NewStore(file, credentials.StoreOptions{})
	if err != nil {
		return "", fault.WithHint(fault.New(fault.Invalid, "%s cannot be read", file), "correct it, or set DOCKER_CONFIG to the folder of another")
	}
	host := credentials.ServerAddressFromRegistry(reference.Domain(named))
	c, err := kept.Get(ctx, host)
	if err != nil {
		return "", fault.WithHint(fault.New(fault.Denied, "%s has no credentials for %s that can be read, or its credential helper failed", file, host), "try docker login %s", host)
	}
	auth := registry.AuthConfig{Username: c.Username, Password: c.Password, IdentityToken: c.RefreshToken, RegistryToken: c.AccessToken, ServerAddress: host}
	if auth == (registry.AuthConfig{ServerAddress: host}) {
		return "", nil
	}
	raw, err := json.Marshal(auth)
	if err != nil {
		return "", fault.New(fault.Internal, "encode credentials: %w", err)
	}
	return base64.URLEncoding.EncodeToString(raw), nil
}

// plainImage is image by its whole name and its digest alone: an engine keeps what it fetched
// by digest under no tag.
func plainImage(image string) string {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return image
	}
	if d, ok := named.(reference.Digested); ok {
		return reference.TrimNamed(named).Name() + "@" + d.Digest().String()
	}
	return image
}

// architecture is Go's and images' word for what engines call as their kernel does.
func architecture(s string) string {
	switch s {
	case "x86_64":
		return "amd64"
	case "aarch64":
		return "arm64"
	default:
		return s
	}
}
