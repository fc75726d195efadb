// Reaching an engine: where it is, which one it is, and what its errors mean.

package docker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// engine is what is known of the one that is reached.
type engine struct {
	id       string
	asked    time.Time
	ahead    time.Duration // its clock's lead over ours
	os, arch string
	cores    int
	memory   int64
	root     string   // its folder on its machine
	gpus     []string // by what CDI calls them, where it says
	// Whether it bounds what a container takes.
	boundsCPU, boundsMemory bool
}

// engineAge is how long an engine is taken to be who it was, where no watch holds on to it.
const engineAge = 2 * time.Second

// usual are where engines listen, the first that is there.
var usual = []string{"/var/run/docker.sock", "$XDG_RUNTIME_DIR/docker.sock", "$XDG_RUNTIME_DIR/podman/podman.sock", "/run/podman/podman.sock"}

// connect is the way to the engine, and its socket on this machine.
func connect(o Options) (*client.Client, string, error) {
	lookup := func(name string) string {
		v, _ := o.Env.Lookup(name)
		return v
	}
	host := o.Runner.Host
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
		} else if !loopback(at.Hostname()) {
			return wrong("set DOCKER_CERT_PATH to the folder that has ca.pem, cert.pem and key.pem", "the engine at %s is another machine's, and there are no certificates to know it by", host)
		}
	default:
		return wrong("reach it by unix:// or tcp://; for ssh, forward its socket: ssh -nNT -L /run/user/engine.sock:/var/run/docker.sock host", "the engine's address %q is of a kind that is not spoken here", host)
	}
	if o.Dial != nil {
		opts = append(opts, client.WithDialContext(o.Dial))
	}
	api, err := client.New(opts...)
	if err != nil {
		return nil, "", fault.New(fault.Invalid, "reach the engine at %s: %w", host, err)
	}
	return api, sock, nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// engine tells which one is reached. It is asked anew after a while, as another may have
// taken its place; the connection of a watch is one and the same engine's.
func (d *launcher) engine(ctx context.Context) (*engine, error) {
	if e := d.current(); e != nil {
		return e, ctxErr(ctx)
	}
	if err := ctxErr(ctx); err != nil {
		return nil, err
	}
	d.asking.Lock()
	defer d.asking.Unlock()
	if e := d.current(); e != nil { // who was before us asked
		return e, nil
	}
	info, err := d.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return nil, d.classed(ctx, "ask the engine who it is", err)
	}
	i, now := info.Info, d.o.Env.Now()
	e := &engine{
		id: i.ID, asked: now, os: i.OSType, arch: architecture(i.Architecture), cores: i.NCPU, memory: i.MemTotal, root: i.DockerRootDir,
		boundsCPU: i.CPUCfsQuota, boundsMemory: i.MemoryLimit,
	}
	if at, err := time.Parse(time.RFC3339Nano, i.SystemTime); err == nil {
		e.ahead = at.Sub(now)
	}
	for _, dev := range i.DiscoveredDevices {
		kind, name, _ := strings.Cut(dev.ID, "=")
		if strings.HasSuffix(kind, "/gpu") && name != "" && strings.Trim(name, "0123456789") == "" {
			e.gpus = append(e.gpus, dev.ID)
		}
	}
	slices.Sort(e.gpus)
	version, err := d.api.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return nil, d.classed(ctx, "ask the engine who it is", err)
	}
	for _, c := range version.Components {
		if c.Name == "Podman Engine" { // it gives itself another ID each time: it is where it keeps what it has
			e.id = "podman-" + digest.Of([]byte(i.Name+"\n"+i.DockerRootDir)).Short()
		}
	}
	if e.id == "" {
		return nil, fault.New(fault.Invalid, "the engine at %s does not say who it is", d.api.DaemonHost())
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known = e
	return e, nil
}

// current is the engine that was asked a moment ago, or that a watch holds on to.
func (d *launcher) current() *engine {
	live := d.watch.since()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil {
		return nil
	}
	if age := d.o.Env.Now().Sub(d.known.asked); age >= 0 && age < engineAge || !live.IsZero() && d.known.asked.After(live) {
		return d.known
	}
	return nil
}

// forget has the engine asked anew.
func (d *launcher) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known = nil
}

func ctxErr(ctx context.Context) error {
	if ctx.Err() != nil {
		return fault.New(fault.Cancelled, "ask the engine: %w", context.Cause(ctx))
	}
	return nil
}

// classed gives an error of the engine its kind.
func (d *launcher) classed(ctx context.Context, what string, err error) error {
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
		d.forget()
		return fault.WithHint(fault.New(fault.Transient, "%s: the engine does not answer: %s", what, text), "see that it runs, and that the runner's host or DOCKER_HOST names it")
	case cerrdefs.IsNotFound(err):
		return fault.New(fault.Missing, "%s: %s", what, text)
	case cerrdefs.IsConflict(err), cerrdefs.IsNotModified(err):
		return fault.New(fault.Conflict, "%s: %s", what, text)
	case cerrdefs.IsInvalidArgument(err):
		return fault.New(fault.Invalid, "%s: %s", what, text)
	case cerrdefs.IsUnauthorized(err), cerrdefs.IsPermissionDenied(err):
		return fault.New(fault.Denied, "%s: %s", what, text)
	default: // an engine's 500 is anything, and most of it passes: a full disk, a stop under way
		d.forget()
		return fault.New(fault.Transient, "%s: %s", what, text)
	}
}

// unfitted is the error for a task that the engine will never take.
func unfitted(cause port.Cause, format string, args ...any) error {
	return fault.New(fault.Invalid, "%w", &port.Unfit{Cause: cause, Reason: fmt.Sprintf(format, args...)})
}
