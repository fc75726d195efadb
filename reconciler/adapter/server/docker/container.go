// One container that serves: what it is made of, how it begins and how it ends. It is given nothing
// that it could use against its machine, and of its files those alone that were verified, to read.

package docker

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/machine/dockerengine"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Labels of a container, by which it is known as ours.
const (
	labelOwner = "vishwa.dev/serves-for"
	labelName  = "vishwa.dev/serves"
	labelUnit  = "vishwa.dev/release"
)

const (
	inside    = "/vishwa" // where a release's files are, in its container
	processes = 4096
	tmpfs     = 512 << 20 // bytes of /tmp, which is memory
	patience  = 10 * time.Second
	askAgain  = 500 * time.Millisecond // of an engine that does not answer
)

// serving is a container from its start to its end.
type serving struct {
	at       settled
	api      *dockerengine.Engine
	made     container.HostConfig // as it was asked for
	id       string
	name     string
	addr     string // where its port is published
	started  string // when it began, by the engine's word: it begins once
	networks []string
	done     chan struct{}
	read     chan struct{}    // closed when its output has ended
	end      func()           // ends who waits for it
	now      func() time.Time // by the engine's clock

	mu  sync.Mutex
	how string
}

func (s *starter) Start(ctx context.Context, raw json.RawMessage, start port.Start) (port.Started, error) {
	at, api, err := s.engine(raw)
	if err != nil {
		return nil, err
	}
	c := &serving{at: at, api: api, name: start.Name + "-" + strings.ToLower(rand.Text()[:10]), done: make(chan struct{}), read: make(chan struct{}), end: func() {}, now: s.o.Env.Now}
	if err := c.begin(ctx, s.o.User, start); err != nil {
		if c.id != "" {
			c.remove()
		}
		api.Close()
		return nil, fault.WithHint(fault.New(fault.Of(err), "start %s: %w", start.Name, err), "%s", hintOr(err, "see that the engine runs, and correct spec.target.docker"))
	}
	return c, nil
}

func hintOr(err error, way string) string {
	if hint := fault.HintOf(err); hint != "" {
		return hint
	}
	return way
}

func (c *serving) begin(ctx context.Context, user int, start port.Start) error {
	if err := clear(ctx, c.api.Client, c.at.owner(start.Owner), start.Name, start.Kept); err != nil {
		return err
	}
	config, host, err := c.container(user, start)
	if err != nil {
		return err
	}
	if !c.at.here() {
		if err := c.elsewhere(ctx, config, host); err != nil {
			return err
		}
	}
	image, err := c.api.ImageInspect(ctx, c.at.Image)
	if err != nil {
		return dockerengine.Classed(ctx, "inspect image "+c.at.Image, err)
	}
	own, err := volumes(c.at.Image, image)
	if err != nil {
		return err
	}
	labels, env, err := c.at.says(image)
	if err != nil {
		return err
	}
	config.Env = append(env, config.Env...)
	maps.Copy(labels, config.Labels)
	config.Labels = labels
	for _, at := range own { // what the image has there, to read as all of it
		host.Mounts = append(host.Mounts, mount.Mount{Type: mount.TypeVolume, Target: at, ReadOnly: true})
	}
	made, err := c.api.ContainerCreate(ctx, client.ContainerCreateOptions{Name: "vishwa-" + c.name, Config: config, HostConfig: host})
	if err != nil {
		return dockerengine.Classed(ctx, "make its container", err)
	}
	c.id, c.made = made.ID, *host
	if !c.at.here() {
		if err := c.bring(ctx, start); err != nil {
			return err
		}
	}
	if _, err := c.api.ContainerStart(ctx, c.id, client.ContainerStartOptions{}); err != nil {
		return unstarted(ctx, c.at.Image, start.Command[0], err)
	}
	if err := c.published(ctx); err != nil {
		return err
	}
	waits, end := context.WithCancel(context.WithoutCancel(ctx))
	c.end = end
	fault.Go(func() { c.await(waits) }, func(err error) { c.lost(start.Out, err) })
	fault.Go(func() { c.follow(waits, start.Out) }, func(err error) { c.lost(start.Out, err) })
	return nil
}

// unstarted says why a container did not begin.
func unstarted(ctx context.Context, image, program string, why error) error {
	err := dockerengine.Classed(ctx, "begin its container", why)
	text := strings.ToLower(why.Error())
	if strings.Contains(text, "executable file not found") || strings.Contains(text, "exec format error") || strings.Contains(text, "no such file or directory") {
		return fault.WithHint(fault.New(fault.Invalid, "image %s cannot run %q: %s", image, program, harmless.Line(why.Error())), "name a program of the image in spec.target.docker.run")
	}
	return err
}

// container is what the release's container is made of.
func (c *serving) container(user int, start port.Start) (*container.Config, *container.HostConfig, error) {
	listens, ok := network.PortFrom(c.at.ContainerPort, network.TCP)
	if !ok || len(start.Command) == 0 {
		return nil, nil, fault.WithHint(fault.New(fault.Corrupt, "what is recorded of the container says nothing of its port or its command"), "run vishwa apply: it begins the container anew")
	}
	who := strconv.Itoa(user)
	config := &container.Config{
		Image: c.at.Image, Entrypoint: start.Command[:1], Cmd: start.Command[1:], User: who + ":" + who, WorkingDir: inside + "/code",
		Env:          c.environ(start),
		Labels:       map[string]string{labelOwner: c.at.owner(start.Owner), labelName: start.Name, labelUnit: start.Unit, dockerengine.LabelGPUs: ""},
		Healthcheck:  &container.HealthConfig{Test: []string{"NONE"}}, // the host asks
		ExposedPorts: network.PortSet{listens: {}},
	}
	most, memory := int64(processes), c.at.Memory
	host := &container.HostConfig{
		CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges"}, ReadonlyRootfs: true, IpcMode: "private",
		Tmpfs: map[string]string{"/tmp": "rw,exec,nosuid,nodev,mode=1777,size=" + strconv.Itoa(tmpfs)},
		// The host begins it again, so that what is begun is verified first.
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled},
		LogConfig:     container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "1m", "max-file": "1"}}, // the host keeps it
		Resources:     container.Resources{NanoCPUs: c.at.Millicores * 1e6, Memory: memory, MemorySwap: memory, PidsLimit: &most},
		// Of this machine alone, at a port of the engine's choice; the public port is the host's.
		PortBindings: network.PortMap{listens: {{HostIP: netip.AddrFrom4([4]byte{127, 0, 0, 1})}}},
	}
	for _, sub := range []string{"code", "model", "inputs", "params.json"} {
		if !c.at.here() {
			break
		}
		if sub == "code" && c.at.Contained { // nothing is laid over the image's own
			continue
		}
		from := filepath.Join(start.Dir, sub)
		if _, err := os.Lstat(from); os.IsNotExist(err) {
			continue
		}
		host.Mounts = append(host.Mounts, mount.Mount{Type: mount.TypeBind, Source: from, Target: inside + "/" + sub, ReadOnly: true})
	}
	return config, host, nil
}

// environ is the container's environment: paths of the release's folder as they are in it.
func (c *serving) environ(start port.Start) []string {
	out := []string{"VISHWA_PORT=" + strconv.Itoa(int(c.at.ContainerPort)), "HOME=/tmp"}
	for _, v := range start.Set {
		name, value, _ := strings.Cut(v, "=")
		if rest, in := strings.CutPrefix(value, start.Dir); in && strings.HasPrefix(name, "VISHWA_") {
			out = append(out, name+"="+inside+rest)
		} else if strings.HasPrefix(name, "PYTHON") {
			out = append(out, v)
		}
	}
	return append(out, slices.Sorted(slices.Values(start.Pass))...)
}

// published finds the port that the container's own was given. Of where that is, the engine says nothing: it is where it was asked to be.
func (c *serving) published(ctx context.Context) error {
	r, err := c.api.ContainerInspect(ctx, c.id, client.ContainerInspectOptions{})
	if err != nil {
		return dockerengine.Classed(ctx, "inspect its container", err)
	}
	c.networks = networks(r.Container)
	if r.Container.State != nil {
		c.started = r.Container.State.StartedAt
	}
	listens, _ := network.PortFrom(c.at.ContainerPort, network.TCP)
	if set, asked := r.Container.NetworkSettings, c.made.PortBindings[listens]; set != nil && len(asked) == 1 {
		at := asked[0].HostIP
		for _, b := range set.Ports[listens] {
			if b.HostIP != at {
				return fault.WithHint(fault.New(fault.Denied, "the engine says that port %d of its container is published at %s, and %s was asked for", c.at.ContainerPort, harmless.Line(b.HostIP.String()), at),
					"requests go to no address that an engine names: see what answers as that engine, and what its settings do to ports")
			}
			n, err := strconv.ParseUint(b.HostPort, 10, 16)
			if err != nil || n == 0 {
				return fault.WithHint(fault.New(fault.Corrupt, "the engine says that port %d of its container is published at port %q", c.at.ContainerPort, harmless.Line(b.HostPort)), "see what answers as that engine")
			}
			c.addr = netip.AddrPortFrom(at, uint16(n)).String()
		}
	}
	if c.addr == "" && r.Container.State != nil && r.Container.State.Running {
		return fault.WithHint(fault.New(fault.Transient, "the engine does not publish the port of its container"), "look at the container with docker inspect, and at the engine's log")
	}
	return nil // one that has ended by now says how
}

// lost says in the release's own log why it is not looked at any more: its host begins it again.
func (c *serving) lost(out io.Writer, err error) {
	fmt.Fprintln(out, "vishwa: look at the container:", err)
}

// await waits for the end, through the engine's own absence.
func (c *serving) await(ctx context.Context) {
	defer close(c.done)
	for {
		wait := c.api.ContainerWait(ctx, c.id, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
		select {
		case <-wait.Result:
		case <-wait.Error:
		}
		if ctx.Err() != nil {
			return
		}
		how, over := c.ended(ctx)
		if over {
			c.mu.Lock()
			c.how = how
			c.mu.Unlock()
			return
		}
		select { // the engine is away
		case <-ctx.Done():
			return
		case <-time.After(askAgain):
		}
	}
}

// ended tells how the container ended, where it has.
func (c *serving) ended(ctx context.Context) (how string, over bool) {
	r, err := c.api.ContainerInspect(ctx, c.id, client.ContainerInspectOptions{})
	if err != nil {
		if fault.Of(dockerengine.Classed(ctx, "", err)) == fault.Missing {
			return "was removed by somebody else", true
		}
		return "", false
	}
	switch st := r.Container.State; {
	case st == nil:
		return "", false
	case st.StartedAt != c.started && c.started != "" && (st.Running || st.Restarting):
		// What is begun is verified first, and its port is another now: whoever has the old one must be asked nothing.
		return "was begun again by somebody else", true
	case st.Running || st.Paused || st.Restarting || st.Status == container.StateCreated || st.Status == container.StatePaused:
		return "", false
	case st.OOMKilled:
		return "ended for want of memory, of which its container has " + strconv.FormatInt(c.at.Memory>>20, 10) + " MiB", true
	case st.ExitCode == 0:
		return "ended by itself with exit status 0", true
	default:
		return fmt.Sprintf("ended with exit status %d", st.ExitCode), true
	}
}

func (c *serving) Done() <-chan struct{} { return c.done }

func (c *serving) How() string {
	<-c.done
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.how == "" {
		return "was stopped"
	}
	return c.how
}

// Stop ends the container and takes it away. Where the engine does not answer, it is left to the
// next start under its name, or to Clear.
func (c *serving) Stop(grace time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace+patience)
	defer cancel()
	seconds := max(1, int(grace/time.Second))
	_, err := c.api.ContainerStop(ctx, c.id, client.ContainerStopOptions{Timeout: &seconds})
	if err = dockerengine.Classed(ctx, "stop container "+c.name, err); err != nil && fault.Of(err) != fault.Missing && fault.Of(err) != fault.Conflict {
		c.finish()
		return err
	}
	select { // its last words
	case <-c.read:
	case <-time.After(time.Second):
	}
	err = c.remove()
	c.finish()
	return err
}

func (c *serving) finish() {
	c.end()
	<-c.done
	c.api.Close()
}

// remove takes the container away, with whatever runs in it.
func (c *serving) remove() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return remove(ctx, c.api.Client, c.id)
}

func (c *serving) Dial(ctx context.Context) (net.Conn, error) { return c.api.Reach(ctx, c.addr) }

// Changed compares the container with what was asked for: limits can be changed while it runs, it can
// be paused, and taken off its network.
func (c *serving) Changed(ctx context.Context) string {
	r, err := c.api.ContainerInspect(ctx, c.id, client.ContainerInspectOptions{})
	if err != nil || r.Container.HostConfig == nil || r.Container.State == nil {
		return "" // whether it answers is asked next
	}
	has := r.Container.HostConfig
	switch {
	case r.Container.State.Paused || r.Container.State.Status == container.StatePaused:
		return "its container was paused"
	case has.Memory != c.made.Memory, has.NanoCPUs != c.made.NanoCPUs, has.PidsLimit != nil && *has.PidsLimit != *c.made.PidsLimit:
		return "the limits of its container were changed"
	case has.RestartPolicy.Name != "" && has.RestartPolicy.Name != c.made.RestartPolicy.Name:
		return "the restart policy of its container was changed"
	case !slices.Equal(networks(r.Container), c.networks):
		return "the networks of its container were changed"
	default:
		return ""
	}
}

// networks are those that the container is on.
func networks(c container.InspectResponse) []string {
	if c.NetworkSettings == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(c.NetworkSettings.Networks))
}

// Report is what an engine makes of every container: namespaces, no capabilities, its own seccomp
// profile. Its network is not kept from it.
func (c *serving) Report() port.Isolation {
	return port.Isolation{Level: "namespaces", Network: "all"}
}

func (c *serving) String() string {
	if c.at.here() {
		return "container vishwa-" + c.name
	}
	return "container vishwa-" + c.name + " on " + c.at.Engine
}
