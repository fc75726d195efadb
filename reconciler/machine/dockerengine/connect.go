// Package dockerengine reaches a Docker Engine, or what speaks its API: where it is, what its errors
// mean, and how it comes by images. What runs work on an engine and what serves from one share it.
package dockerengine

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// usual are where engines listen, the first that is there.
var usual = []string{"/var/run/docker.sock", "$XDG_RUNTIME_DIR/docker.sock", "$XDG_RUNTIME_DIR/podman/podman.sock", "/run/podman/podman.sock"}

// LabelGPUs names the GPUs that a container has. Each of ours has it, empty where there are none: a container has the labels of its
// image, too, and an image could take all GPUs from everybody by it.
const LabelGPUs = "vishwa.dev/gpus"

// Reach is what is known of an engine before it is asked anything. Env is needed.
type Reach struct {
	Host string // as it is declared; empty is DOCKER_HOST, or the usual socket
	Env  port.Env
	// Dial reaches the engine; nil is the usual way.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Connect is the way to the engine, and its socket on this machine; empty where it is elsewhere.
// Nothing is asked of it yet.
func Connect(r Reach) (*client.Client, string, error) {
	lookup := func(name string) string {
		v, _ := r.Env.Lookup(name)
		return v
	}
	host := r.Host
	if host == "" {
		host = lookup("DOCKER_HOST")
	}
	if host == "" {
		host = "unix://" + usual[0]
		for _, at := range usual {
			at = os.Expand(at, lookup)
			if info, err := os.Stat(at); err == nil && info.Mode().Type() == os.ModeSocket {
				host = "unix://" + at
				break
			}
		}
	}
	wrong := func(way, format string, args ...any) (*client.Client, string, error) {
		return nil, "", fault.WithHint(fault.New(fault.Invalid, format, args...), "%s", way)
	}
	at, err := url.Parse(host)
	if err != nil || at.Scheme == "" {
		return wrong("write it as unix:///var/run/docker.sock or tcp://host:2376", "the engine's address %q is none", host)
	}
	opts := []client.Opt{client.WithHost(host), client.WithUserAgent("vishwa")}
	var sock string
	switch at.Scheme {
	case "unix":
		if sock = at.Path; !filepath.IsAbs(sock) {
			return wrong("write it as unix:///var/run/docker.sock", "the engine's address %q has no absolute path", host)
		}
	case "tcp":
		dir := lookup("DOCKER_CERT_PATH")
		if home := lookup("HOME"); dir == "" && home != "" {
			if _, err := os.Stat(filepath.Join(home, ".docker", "ca.pem")); err == nil {
				dir = filepath.Join(home, ".docker")
			}
		}
		// Tickets go this way. So TLS is always verified, whatever DOCKER_TLS_VERIFY says.
		if dir != "" {
			opts = append(opts, client.WithTLSClientConfig(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")))
		} else if !dial.Loopback(at.Hostname()) {
			return wrong("set DOCKER_CERT_PATH to the folder that has ca.pem, cert.pem and key.pem", "the engine at %s is another machine's, and there are no certificates to know it by", host)
		}
	default:
		return wrong("reach it by unix:// or tcp://; for ssh, forward its socket: ssh -nNT -L /run/user/engine.sock:/var/run/docker.sock host", "the engine's address %q is of a kind that is not spoken here", host)
	}
	if r.Dial != nil {
		opts = append(opts, client.WithDialContext(r.Dial))
	}
	api, err := client.New(opts...)
	if err != nil {
		return nil, "", fault.WithHint(fault.New(fault.Invalid, "reach the engine at %s: %w", host, err), "write the host as unix:///var/run/docker.sock or tcp://HOST:PORT, in the declaration or in DOCKER_HOST")
	}
	return api, sock, nil
}

// Classed gives an error of the engine its kind.
func Classed(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fault.New(fault.Cancelled, "%s: %w", what, context.Cause(ctx))
	}
	text := harmless.Line(err.Error())
	var n net.Error
	switch {
	case client.IsErrConnectionFailed(err) && strings.Contains(text, "permission denied"):
		return fault.WithHint(fault.New(fault.Denied, "%s: %s", what, text), "let the controller's user use the engine's socket, as by the group docker")
	case client.IsErrConnectionFailed(err) || errors.As(err, &n):
		return fault.WithHint(fault.New(fault.Transient, "%s: the engine does not answer: %s", what, text), "see that it runs, and that the declared host or DOCKER_HOST names it")
	case cerrdefs.IsNotFound(err):
		return fault.WithHint(fault.New(fault.Missing, "%s: %s", what, text), "look whether the engine has it: docker image ls, docker ps -a, docker network ls")
	case cerrdefs.IsConflict(err), cerrdefs.IsNotModified(err):
		return fault.New(fault.Conflict, "%s: %s", what, text)
	case cerrdefs.IsInvalidArgument(err):
		return fault.WithHint(fault.New(fault.Invalid, "%s: %s", what, text), "correct what the declaration asks the engine for, as the message says")
	case cerrdefs.IsUnauthorized(err), cerrdefs.IsPermissionDenied(err):
		return fault.WithHint(fault.New(fault.Denied, "%s: %s", what, text), "sign in to the registry (docker login), or have the engine allow it")
	default: // an engine's 500 is anything, and most of it passes: a full disk, a stop under way
		return fault.WithHint(fault.New(fault.Transient, "%s: %s", what, text), "read the engine's own log (journalctl -u docker), then try again")
	}
}
