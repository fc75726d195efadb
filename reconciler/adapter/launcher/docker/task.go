// What a container is made of a task: nothing that it could use against its machine, and no
// more of it than was asked for.

package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/machine/dockerengine"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Labels of a task's container.
const (
	labelPrefix   = "vishwa.dev/"
	labelOwner    = labelPrefix + "owner"
	labelJob      = labelPrefix + "job"
	labelLaunch   = labelPrefix + "launch"
	labelRef      = labelPrefix + "ref"
	labelDeadline = labelPrefix + "deadline"
	labelGPUs     = dockerengine.LabelGPUs
)

// Bounds of every task, whatever it asks for.
const (
	taskProcesses = 4096
	taskTmp       = 512 << 20 // of /tmp, which is memory; the working folder is a disk's
	taskShm       = 1 << 30   // of /dev/shm, where the task has no bound of memory
)

func labels(task port.Task) map[string]string {
	return map[string]string{
		labelOwner: task.Owner, labelJob: string(task.Job), labelLaunch: task.Launch,
		labelRef: task.Ref.String(), labelDeadline: task.Deadline.String(),
		labelGPUs: "", // none, whatever its image says
	}
}

// takes refuses what no Docker Engine can be asked for.
func (d *launcher) takes(task port.Task) error {
	if err := task.Check(); err != nil {
		return err
	}
	wrong := func(way, format string, args ...any) error {
		return fault.WithHint(fault.New(fault.Invalid, "launch %s: "+format, append([]any{task.Name}, args...)...), "%s", way)
	}
	switch r := task.Resources; {
	case !schemas.ByDigest(task.Image):
		return wrong("give it one by digest; vishwa image pin writes it", "a container needs an image by digest, and it has %q", task.Image)
	case task.Nodes > 1:
		return wrong("name a runner of a cluster, or leave nodes out", "an engine is one machine, and it asks for %d nodes", task.Nodes)
	case task.Priority != "":
		return wrong("leave priority out, or name a runner of a cluster", "an engine knows no priorities, and it asks for %q", task.Priority)
	case r.GPUKind != "":
		return wrong("leave gpuKind out, or name a runner of a cluster", "an engine does not tell kinds of GPUs apart, and it asks for %q", r.GPUKind)
	case r.EphemeralStorage != "":
		return wrong("leave ephemeralStorage out, or name a runner of a cluster", "an engine does not bound the room on its disk, and it asks for %s", r.EphemeralStorage)
	case len(task.Mounts) > 0 && d.sock == "":
		return wrong("share the store with it, as by spec.store.s3", "the engine at %s is not this machine's, and has none of its folders", d.api.DaemonHost())
	case task.Pull && !task.Isolated && d.o.Runner.Network == "host":
		return wrong("give the runner another network", "what nobody reviewed does not join the network of the machine")
	}
	return nil
}

// create makes the container of a task, and starts nothing. One that is there is a Conflict.
func (d *launcher) create(ctx context.Context, task port.Task, eng *engine) error {
	says, err := d.fetch(ctx, task.Image, eng)
	if err != nil {
		return err
	}
	config, host := d.container(task)
	config.Env = append(config.Env, says.env...)
	own := config.Labels
	config.Labels = says.labels
	maps.Copy(config.Labels, own)
	if n := task.Resources.GPU; n > 0 {
		d.gpus.Lock()
		defer d.gpus.Unlock()
		ids, err := d.free(ctx, n, eng)
		if err != nil {
			return err
		}
		config.Labels[labelGPUs] = strings.Join(ids, ",")
		host.DeviceRequests = []container.DeviceRequest{deviceRequest(ids, eng)}
	}
	made, err := d.api.ContainerCreate(ctx, client.ContainerCreateOptions{Name: task.Name, Config: config, HostConfig: host})
	if err != nil && contains(err.Error(), "not a directory", "too many levels of symbolic links") {
		return unfitted(port.BadImage, "image %s has something at %s, where the worker is: %s", task.Image, port.WorkerDir, harmless.Line(err.Error()))
	}
	if err != nil {
		return d.classed(ctx, "make container "+task.Name, err)
	}
	for _, w := range made.Warnings {
		d.o.Env.Log.Warn("make container", "task", task.Name, "engine", w)
	}
	return nil
}

// container is what a task's container is made of.
func (d *launcher) container(task port.Task) (*container.Config, *container.HostConfig) {
	user := strconv.Itoa(d.o.User)
	config := &container.Config{
		Image: task.Image, Entrypoint: task.Command[:1], Cmd: task.Command[1:],
		User: user + ":" + user, WorkingDir: port.WorkDir, Env: []string{"HOME=" + port.WorkDir},
		Labels:      labels(task),
		Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
	}
	millicores, _ := schemas.Millicores(task.Resources.CPU)
	memory, _ := schemas.Bytes(task.Resources.Memory)
	processes, shm := int64(taskProcesses), memory
	if shm == 0 {
		shm = taskShm
	}
	host := &container.HostConfig{
		NetworkMode: container.NetworkMode(d.o.Runner.Network),
		// The engine's own seccomp profile stays, as nothing is said of it. So does what it
		// has as first process: the worker looks after its own, and not every engine has an init.
		CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges"},
		ReadonlyRootfs: true, IpcMode: "private",
		Tmpfs:         map[string]string{"/tmp": "rw,exec,nosuid,nodev,mode=1777,size=" + strconv.Itoa(taskTmp)},
		ShmSize:       shm,
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled},
		// A run's output is in the store; this is for who never came that far.
		LogConfig: container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "1m", "max-file": "1"}},
		Resources: container.Resources{NanoCPUs: millicores * 1e6, Memory: memory, MemorySwap: memory, PidsLimit: &processes},
		// A volume of its own: the ticket is put there before it starts, and goes with it.
		Mounts: []mount.Mount{{Type: mount.TypeVolume, Target: port.WorkerDir, VolumeOptions: &mount.VolumeOptions{NoCopy: true}}},
	}
	if task.Isolated {
		host.NetworkMode = "none"
	}
	for _, m := range task.Mounts {
		host.Mounts = append(host.Mounts, mount.Mount{Type: mount.TypeBind, Source: m.From, Target: m.To, ReadOnly: !m.Write})
	}
	return config, host
}

// archive is the working folder and the ticket, for what they are put into to unpack. The
// ticket lies in a folder that the task cannot write, so that it is always who was given it.
func (d *launcher) archive(task port.Task) (io.Reader, error) {
	rel := func(p string) string { return strings.TrimPrefix(p, port.WorkerDir+"/") }
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range []struct {
		name string
		mode int64
		text []byte
	}{
		{rel(port.WorkDir) + "/", 0o700, nil},
		{rel(path.Dir(port.TicketFile)) + "/", 0o500, nil},
		{rel(port.TicketFile), 0o400, task.Ticket},
	} {
		h := &tar.Header{Name: e.name, Mode: e.mode, Uid: d.o.User, Gid: d.o.User, Size: int64(len(e.text)), Typeflag: tar.TypeReg, ModTime: d.o.Env.Now()}
		if strings.HasSuffix(e.name, "/") {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, fault.New(fault.Internal, "write ticket: %w", err)
		}
		if _, err := w.Write(e.text); err != nil {
			return nil, fault.New(fault.Internal, "write ticket: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fault.New(fault.Internal, "write ticket: %w", err)
	}
	return &out, nil
}

// free chooses n GPUs that no task on the engine has. The engine itself would give the same
// first n to everybody.
func (d *launcher) free(ctx context.Context, n int, eng *engine) ([]string, error) {
	all, err := d.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("label", labelGPUs)})
	if err != nil {
		return nil, d.classed(ctx, "list containers", err)
	}
	taken := map[string]bool{}
	for _, c := range all.Items {
		if c.State == container.StateExited || c.State == container.StateDead {
			continue
		}
		for _, id := range strings.Split(c.Labels[labelGPUs], ",") {
			taken[id] = true
		}
	}
	if len(eng.gpus) > 0 && n > len(eng.gpus) {
		return nil, unfitted(port.Unschedulable, "the engine's machine has %d GPUs, and %d are asked for", len(eng.gpus), n)
	}
	var out []string
	for _, id := range eng.gpus {
		if !taken[id] && len(out) < n {
			out = append(out, id)
		}
	}
	for i := 0; len(eng.gpus) == 0 && len(out) < n; i++ { // the engine does not say which it has
		if id := strconv.Itoa(i); !taken[id] {
			out = append(out, id)
		}
	}
	if len(out) < n {
		return nil, fault.New(fault.Transient, "waits for GPUs: of %d, %d are free, and %d are asked for", len(eng.gpus), len(out), n)
	}
	return out, nil
}

// deviceRequest asks for GPUs by what they are called.
func deviceRequest(ids []string, eng *engine) container.DeviceRequest {
	r := container.DeviceRequest{DeviceIDs: slices.Clone(ids), Capabilities: [][]string{{"gpu"}}}
	if len(eng.gpus) > 0 {
		r.Driver, r.Capabilities = "cdi", nil
	}
	return r
}
