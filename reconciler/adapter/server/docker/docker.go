// Package docker serves from containers of a Docker Engine: the serving host has the public port, the traffic and
// the verified files, and begins a container where it would begin a process. An engine on this machine mounts the files;
// one elsewhere is sent them before each start.
package docker

import (
	"context"
	"encoding/json"
	"net"
	"path"
	"slices"
	"strings"

	"github.com/moby/moby/client"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/machine/dockerengine"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Options are what a starter is made of. Env is needed.
type Options struct {
	Env port.Env
	// User is the number of the user that what is served is on an engine of this machine, and of its group. Zero is User, which it is
	// elsewhere; it is never root.
	User int
	// Dial reaches the engine; nil is the usual way.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// User is who serves unless it is said otherwise: the number that images call nonroot.
const User = 65532

type starter struct{ o Options }

// New begins what is served as containers.
func New(o Options) port.Starter {
	if o.User <= 0 {
		o.User = User
	}
	return &starter{o}
}

// settled is what is recorded of a release. It holds no secret.
type settled struct {
	Engine        string `json:"engine"`          // its address
	Certs         string `json:"certs,omitempty"` // the folder of certificates that it is reached with
	Keys          string `json:"keys,omitempty"`  // the folder of known_hosts and keys for SSH
	Image         string `json:"image"`           // by its whole name and its digest
	ContainerPort uint16 `json:"containerPort"`
	Millicores    int64  `json:"millicores,omitempty"`
	Memory        int64  `json:"memory,omitempty"`    // bytes
	Contained     bool   `json:"contained,omitempty"` // the image has the code and the model
	// Labels are for who finds it by them.
	Labels map[string]string `json:"labels,omitempty"`
}

func (s *starter) Settle(r port.Release) (json.RawMessage, error) {
	d := r.Docker
	if d == nil {
		return nil, fault.New(fault.Internal, "release %s is of target %q, not docker", r.Name, r.Target())
	}
	if !schemas.ByDigest(d.Image) {
		return nil, fault.WithHint(fault.New(fault.Invalid, "image %q is not named by digest", d.Image), "let vishwa image pin write its digest")
	}
	if d.ContainerPort < 1 || d.ContainerPort > 65535 {
		return nil, fault.New(fault.Invalid, "%d is no port of a container", d.ContainerPort)
	}
	engine, err := dockerengine.Connect(dockerengine.Reach{Host: d.Host, Env: s.o.Env, Dial: s.o.Dial})
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	out := settled{Engine: engine.Host, Certs: engine.Certs, Keys: engine.Keys, Image: dockerengine.PlainImage(d.Image), ContainerPort: uint16(d.ContainerPort), Contained: r.Contained}
	if d.Traefik != nil {
		if !out.here() {
			return nil, fault.WithHint(fault.New(fault.Invalid, "Traefik is to send to the public port, which is on this machine, and the engine %s is on another", engine.Host),
				"remove spec.target.docker.traefik, or have a Traefik of this machine send to the port by its own file")
		}
		out.Labels = byTraefik(r.Name, *d.Traefik, d.Port)
	}
	out.Millicores, _ = schemas.Millicores(d.CPU)
	out.Memory, _ = schemas.Bytes(d.Memory)
	return json.Marshal(out)
}

// here tells whether the engine is on this machine, and mounts its files.
func (at settled) here() bool { return strings.HasPrefix(at.Engine, "unix:") }

// owner is the label of whose containers they are. Another machine's engine may be that of several installations, each with
// a folder of the same path.
func (at settled) owner(o port.Owner) string {
	if at.here() {
		return o.Folder
	}
	return o.Folder + "-" + o.Installation
}

// engine is what was settled, and the way to its engine; the caller closes it.
func (s *starter) engine(raw json.RawMessage) (settled, *dockerengine.Engine, error) {
	var at settled
	if err := json.Unmarshal(raw, &at); err != nil || at.Engine == "" {
		return at, nil, fault.WithHint(fault.New(fault.Corrupt, "what is recorded of the container cannot be read"), "run vishwa apply: it begins the container anew")
	}
	e, err := dockerengine.Connect(dockerengine.Reach{Host: at.Engine, Certs: at.Certs, Keys: at.Keys, Env: s.o.Env, Dial: s.o.Dial})
	return at, e, err
}

// Ready tells whether this machine has what an engine at that address is reached with. The engine is not asked.
func Ready(host string, env port.Env) error {
	e, err := dockerengine.Connect(dockerengine.Reach{Host: host, Env: env})
	if err != nil {
		return err
	}
	defer e.Close()
	return e.Ready()
}

// Fetch has the engine have the image, for its own machine.
func (s *starter) Fetch(ctx context.Context, raw json.RawMessage) error {
	at, api, err := s.engine(raw)
	if err != nil {
		return err
	}
	defer api.Close()
	info, err := api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return dockerengine.Classed(ctx, "ask the engine who it is", err)
	}
	if err := room(at, info.Info.NCPU, info.Info.MemTotal); err != nil {
		return err
	}
	image, err := api.ImageInspect(ctx, at.Image)
	if fault.Of(dockerengine.Classed(ctx, "", err)) == fault.Missing && err != nil {
		if err := dockerengine.Pull(ctx, api.Client, s.o.Env, at.Image); err != nil {
			return err
		}
		image, err = api.ImageInspect(ctx, at.Image)
	}
	if err != nil {
		return dockerengine.Classed(ctx, "inspect image "+at.Image, err)
	}
	if arch, has := dockerengine.Architecture(image.Architecture), dockerengine.Architecture(info.Info.Architecture); image.Os != info.Info.OSType && image.Os != "" || arch != has && arch != "" {
		return fault.WithHint(fault.New(fault.Invalid, "image %s is for %s/%s, and the engine's machine is %s/%s", at.Image, harmless.Line(image.Os), harmless.Line(arch), harmless.Line(info.Info.OSType), harmless.Line(has)),
			"name an image for this machine; vishwa image pin --platform asks for one")
	}
	if _, _, err := at.says(image); err != nil {
		return err
	}
	_, err = volumes(at.Image, image)
	return err
}

// volumes are the folders that an image declares as such. The engine gives each of them a place on its disk, to write to
// and without a limit, and lays it over whatever is mounted there.
func volumes(name string, image client.ImageInspectResult) (at []string, err error) {
	if image.Config == nil {
		return nil, nil
	}
	for v := range image.Config.Volumes {
		switch v := path.Clean("/" + v); {
		case v == "/" || v == inside || strings.HasPrefix(v, inside+"/"):
			return nil, fault.WithHint(fault.New(fault.Invalid, "image %s declares the volume %s, where the release's files are", name, harmless.Line(v)), "name an image without it")
		case v != "/tmp": // which is memory already
			at = append(at, v)
		}
	}
	slices.Sort(at)
	return slices.Compact(at), nil
}

// room refuses what the engine's machine can never give.
func room(at settled, cores int, memory int64) error {
	const way = "ask for less in spec.target.docker.resources"
	switch {
	case at.Millicores > int64(cores)*1000:
		return fault.WithHint(fault.New(fault.Invalid, "the engine's machine has %d cores, and %g are asked for", cores, float64(at.Millicores)/1000), way)
	case at.Memory > memory:
		return fault.WithHint(fault.New(fault.Invalid, "the engine's machine has %d MiB of memory, and %d are asked for", memory>>20, at.Memory>>20), way)
	}
	return nil
}
