// Package dockerengine reaches a Docker Engine, or what speaks its API: where it is, what its errors
// mean, and how it comes by images. What runs work on an engine and what serves from one share it.
package dockerengine

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// usual are where engines listen, the first that is there.
var usual = []string{port.UsualEngine, "$XDG_RUNTIME_DIR/docker.sock", "$XDG_RUNTIME_DIR/podman/podman.sock", "/run/podman/podman.sock"}

// LabelGPUs names the GPUs that a container has. Each of ours has it, empty where there are none: a container has the labels of its
// image, too, and an image could take all GPUs from everybody by it.
const LabelGPUs = "vishwa.dev/gpus"

// Reach is what is known of an engine before it is asked anything. Env is needed.
type Reach struct {
	Host string // as it is declared; empty is DOCKER_HOST, or the usual socket
	Env  port.Env
	// Certs is the folder of ca.pem, cert.pem and key.pem, and Keys that of known_hosts and keys for SSH; empty is as Env says.
	Certs, Keys string
	// Dial reaches the engine; nil is the usual way.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Engine is the way to one. Nothing was asked of it.
type Engine struct {
	*client.Client
	Socket      string // on this machine; empty where it is elsewhere
	Host        string // its whole address
	Certs, Keys string // the folders that it is reached by, where it is

	machine string // where the machine of the engine is, as it is reached directly
	tunnel  *tunnel
}

// Machine is the address of this machine, or of another, at which what a container publishes is to be: the one that we reach it by.
func (e *Engine) Machine(ctx context.Context) (netip.Addr, error) {
	if e.machine == "" { // our own, or the tunnel's other end
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
	}
	all, err := net.DefaultResolver.LookupNetIP(ctx, "ip", e.machine)
	if err != nil || len(all) == 0 {
		return netip.Addr{}, fault.WithHint(fault.New(fault.Transient, "look up the engine's machine %s: %w", e.machine, err), "correct the engine's address, or see that its name can be looked up")
	}
	return publishAt(e.machine, all[0].Unmap())
}

// publishAt is where what a machine of that name and address publishes is asked for. Who has a name says where it leads: not to what this
// machine has for itself, nor to what a cloud gives it.
func publishAt(name string, at netip.Addr) (netip.Addr, error) {
	_, err := netip.ParseAddr(name)
	switch written := err == nil || dial.Loopback(name); {
	case !written && !at.IsGlobalUnicast():
		return netip.Addr{}, fault.WithHint(fault.New(fault.Denied, "the name of the engine's machine, %s, leads to %s, and not to another machine", name, at),
			"reach an engine of this machine by its socket, or as tcp://127.0.0.1:PORT; another one by a name of its own")
	case at.IsLoopback():
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
	}
	return at, nil
}

// Reach connects to what a container publishes.
func (e *Engine) Reach(ctx context.Context, addr string) (net.Conn, error) {
	if e.tunnel != nil {
		return e.tunnel.reach(ctx, "tcp", addr)
	}
	return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", addr)
}

// Connect is the way to the engine. Nothing is asked of it yet.
func Connect(r Reach) (*Engine, error) {
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
	at, err := url.Parse(host)
	if err != nil || at.Scheme == "" { // it is not repeated, nor why: it may hold what is nobody's to read
		return nil, fault.WithHint(fault.New(fault.Invalid, "the engine's address is none"), "write it as unix:///var/run/docker.sock, ssh://USER@HOST or tcp://host:2376, in the declaration or in DOCKER_HOST")
	}
	if _, secret := at.User.Password(); secret || at.RawQuery != "" || at.Fragment != "" {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the engine's address holds a password, or more than an address"), "remove that; an engine knows Vishwa by a key for SSH, or by a certificate")
	}
	if err := r.Env.MayAsk(host); err != nil {
		return nil, err
	}
	e := &Engine{Host: host}
	opts := []client.Opt{client.WithUserAgent("vishwa")}
	switch at.Scheme {
	case "unix":
		if e.Socket = at.Path; !filepath.IsAbs(e.Socket) {
			return nil, fault.WithHint(fault.New(fault.Invalid, "the engine's address %q has no absolute path", host), "write it as unix:///var/run/docker.sock")
		}
		opts = append(opts, client.WithHost(host))
	case "tcp":
		more, err := e.direct(at, r, lookup)
		if err != nil {
			return nil, err
		}
		opts = append(append(opts, client.WithHost(host)), more...)
	case "ssh":
		more, err := e.overSSH(at, r, lookup)
		if err != nil {
			return nil, err
		}
		opts = append(opts, more...)
	default:
		return nil, fault.WithHint(fault.New(fault.Invalid, "the engine's address %q is of a kind that is not spoken here", host), "reach it by unix://, tcp:// or ssh://")
	}
	if r.Dial != nil {
		opts = append(opts, client.WithDialContext(r.Dial))
	}
	if e.Client, err = client.New(opts...); err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "reach the engine at %s: %w", host, err), "write the host as unix:///var/run/docker.sock, ssh://USER@HOST or tcp://HOST:PORT, in the declaration or in DOCKER_HOST")
	}
	return e, nil
}

// overSSH is the way through another machine's sshd.
func (e *Engine) overSSH(at *url.URL, r Reach, lookup func(string) string) (opts []client.Opt, err error) {
	if e.Keys = r.Keys; e.Keys == "" {
		if home := lookup("HOME"); home != "" {
			e.Keys = filepath.Join(home, ".ssh")
		}
	}
	if e.Keys == "" {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the engine at %s is reached over SSH, and there is no home with known_hosts and a key", at.Redacted()), "set HOME to the home of the user that Vishwa is")
	}
	if e.tunnel, e.Host, err = tunnelTo(at, e.Keys); err != nil {
		return nil, err
	}
	// As of a socket here: no proxy for the web stands in between.
	return []client.Opt{client.WithHost("unix://" + e.tunnel.socket), client.WithDialContext(e.tunnel.dial)}, nil
}

// direct is the way over the network. Tickets and what is served go this way. So TLS is always verified, whatever DOCKER_TLS_VERIFY says.
func (e *Engine) direct(at *url.URL, r Reach, lookup func(string) string) ([]client.Opt, error) {
	e.machine = at.Hostname()
	dir := r.Certs
	if dir == "" {
		dir = lookup("DOCKER_CERT_PATH")
	}
	if home := lookup("HOME"); dir == "" && home != "" {
		if _, err := os.Stat(filepath.Join(home, ".docker", "ca.pem")); err == nil {
			dir = filepath.Join(home, ".docker")
		}
	}
	if dir != "" {
		e.Certs = dir
		return []client.Opt{client.WithTLSClientConfig(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))}, nil
	}
	if dial.Loopback(e.machine) {
		return nil, nil
	}
	return nil, fault.WithHint(fault.New(fault.Invalid, "the engine at %s is another machine's, and there are no certificates to know it by", e.Host), "set DOCKER_CERT_PATH to the folder that has ca.pem, cert.pem and key.pem; or reach it by ssh://")
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
	var known *fault.Error
	switch {
	case errors.As(err, &known): // the way to it
		return fault.WithHint(fault.New(known.Kind, "%s: %s", what, harmless.Line(known.Error())), "%s", known.Hint)
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
