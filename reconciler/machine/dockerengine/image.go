// Images for an engine: fetched where it has none.

package dockerengine

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path/filepath"
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

// Pull has the engine fetch an image, with the credentials that its users have on this machine. One
// that cannot be had is Invalid, by an Unfit.
func Pull(ctx context.Context, api *client.Client, env port.Env, image string) error {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return badImage("%q cannot name an image: %s", image, err)
	}
	if err := env.MayAsk(placeOf(named)); err != nil { // the engine is on this machine, and would ask a registry that is not
		return fmt.Errorf("fetch image %s: %w", image, err)
	}
	auth, err := credential(ctx, env, named)
	if err != nil {
		return err
	}
	begun := env.Now()
	env.Log.Info("fetch image", "image", image)
	stream, err := api.ImagePull(ctx, image, client.ImagePullOptions{RegistryAuth: auth})
	if err == nil {
		err = stream.Wait(ctx)
		stream.Close()
	}
	if err == nil {
		env.Log.Info("fetched image", "image", image, "took", env.Now().Sub(begun).Round(time.Millisecond))
		return nil
	}
	text := harmless.Line(err.Error())
	switch kind := fault.Of(Classed(ctx, "", err)); {
	case kind == fault.Cancelled:
		return Classed(ctx, "fetch image "+image, err)
	// The stream of a pull has its errors as text alone.
	case kind == fault.Missing, kind == fault.Invalid, kind == fault.Denied, contains(strings.ToLower(text), "manifest unknown", "not found", "no matching manifest", "denied", "unauthorized", "no basic auth credentials", "name unknown", "name invalid", "authentication required"):
		return fault.WithHint(badImage("fetch image %s: %s", image, text),
			"see that it is there, for this kind of machine; for one that needs a password, docker login on the controller's machine")
	default:
		return fault.WithHint(fault.New(fault.Transient, "fetch image %s: %s", image, text), "try again; docker pull of the image on that machine tells more")
	}
}

// credential is what Docker's configuration has for the image's registry, as the engine takes
// it; empty is none.
func credential(ctx context.Context, env port.Env, named reference.Named) (string, error) {
	if env.MayUse(placeOf(named)) != nil {
		return "", nil // what everybody may fetch takes none
	}
	dir, _ := env.Lookup("DOCKER_CONFIG")
	if home, _ := env.Lookup("HOME"); dir == "" && home != "" {
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

func placeOf(named reference.Named) string {
	return "oci://" + reference.Domain(named) + "/" + reference.Path(named)
}

// PlainImage is image by its whole name and its digest alone: an engine keeps what it fetched
// by digest under no tag.
func PlainImage(image string) string {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return image
	}
	if d, ok := named.(reference.Digested); ok {
		return reference.TrimNamed(named).Name() + "@" + d.Digest().String()
	}
	return image
}

// Architecture is Go's and images' word for what engines call as their kernel does.
func Architecture(s string) string {
	switch s {
	case "x86_64":
		return "amd64"
	case "aarch64":
		return "arm64"
	default:
		return s
	}
}

// badImage is the error for an image that no engine will begin anything in.
func badImage(format string, args ...any) error {
	return fault.New(fault.Invalid, "%w", &port.Unfit{Cause: port.BadImage, Reason: fmt.Sprintf(format, args...)})
}

func contains(text string, any ...string) bool {
	for _, part := range any {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}
