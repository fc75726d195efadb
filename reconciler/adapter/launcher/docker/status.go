// How a task stands, of what an engine tells of its container.

package docker

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Exit codes of a process that a signal ended. Within a container nobody can send SIGKILL
// to its first process: who did was outside.
const (
	exitKilled     = 128 + 9
	exitTerminated = 128 + 15
	exitLost       = 255 // the engine's own, of what it found dead when it came back
)

// stateOf is how the engine calls it; Podman has words of its own.
func stateOf(c container.InspectResponse) container.ContainerState {
	if c.State == nil {
		return container.StateDead
	}
	switch c.State.Status {
	case "configured", "initialized":
		return container.StateCreated
	case "stopped":
		return container.StateExited
	case "stopping":
		return container.StateRunning
	default:
		return c.State.Status
	}
}

// standing is how the container's task stands.
func standing(c container.InspectResponse) port.TaskStatus {
	switch stateOf(c) {
	case container.StateCreated:
		return port.TaskStatus{Phase: port.TaskWaiting, Reason: "its container is made and not started yet"}
	case container.StateRunning, container.StateRestarting:
		return port.TaskStatus{Phase: port.TaskRunning}
	case container.StatePaused:
		return port.TaskStatus{Phase: port.TaskRunning, Reason: "somebody paused its container"}
	case container.StateExited:
		return howEnded(c)
	default:
		return port.TaskStatus{Phase: port.TaskEnded, Cause: port.Stopped, Reason: "somebody is taking its container away"}
	}
}

// howEnded is how a container that has ended did.
func howEnded(c container.InspectResponse) port.TaskStatus {
	s := port.TaskStatus{Phase: port.TaskEnded, ExitCode: c.State.ExitCode}
	lasted, limit := lifetime(c), deadline(c)
	switch code := c.State.ExitCode; {
	case code == 0:
	case c.State.OOMKilled:
		s.Cause, s.Reason = port.OutOfMemory, "it took more memory than it was given"
		if c.HostConfig != nil && c.HostConfig.Memory > 0 {
			s.Reason += ", " + size(c.HostConfig.Memory)
		}
	case code == exitKilled && limit > 0 && lasted >= limit:
		s.Cause, s.Reason = port.TimedOut, fmt.Sprintf("it was ended at its deadline, after %s", limit)
	case code == exitKilled, code == exitTerminated:
		s.Cause, s.Reason = port.Stopped, "its container was killed from outside: by somebody, or as its machine or engine stopped or ran out of memory"
	case code == exitLost && c.State.Error != "", code == exitLost && lasted <= 0:
		s.Cause, s.Reason = port.Lost, "its engine or machine stopped while it ran"
	default:
		s.Cause, s.Reason = port.Exit, fmt.Sprintf("it ended with exit code %d", code)
	}
	return s
}

// size writes bytes as they are declared.
func size(n int64) string {
	for _, u := range []struct {
		name string
		of   int64
	}{{"Gi", 1 << 30}, {"Mi", 1 << 20}, {"Ki", 1 << 10}} {
		if n%u.of == 0 {
			return fmt.Sprintf("%d%s", n/u.of, u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}

func deadline(c container.InspectResponse) time.Duration {
	if c.Config == nil {
		return 0
	}
	d, err := time.ParseDuration(c.Config.Labels[labelDeadline])
	if err != nil {
		return 0
	}
	return d
}

// lifetime is how long what has ended ran.
func lifetime(c container.InspectResponse) time.Duration {
	started, err := time.Parse(time.RFC3339Nano, c.State.StartedAt)
	finished, err2 := time.Parse(time.RFC3339Nano, c.State.FinishedAt)
	if err != nil || err2 != nil {
		return 0
	}
	return finished.Sub(started)
}

// remaining is how long what runs may still do so; now is the engine's. What does not run has
// for ever.
func remaining(c container.InspectResponse, now time.Time) time.Duration {
	limit := deadline(c)
	if limit == 0 || standing(c).Phase != port.TaskRunning {
		return math.MaxInt64
	}
	started, err := time.Parse(time.RFC3339Nano, c.State.StartedAt)
	if err != nil {
		return limit
	}
	return limit - now.Sub(started)
}

// ownRead is as much as is kept of a container's own output.
const ownRead = 16 << 10

// explained adds the last lines that a container wrote itself: where it never came to write
// into the store, they say why.
func (d *launcher) explained(ctx context.Context, c container.InspectResponse, s port.TaskStatus) port.TaskStatus {
	r, err := d.api.ContainerLogs(ctx, c.ID, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: "20"})
	if err != nil {
		return s
	}
	defer r.Close()
	tail := ownTail(io.LimitReader(r, 1<<20))
	if strings.HasPrefix(tail, "exec ") && strings.HasSuffix(tail, "exec format error") && s.Cause == port.Exit {
		s.Cause = port.BadImage
		s.Reason = "its image is for another kind of machine"
		if c.Config != nil {
			s.Reason += ": " + c.Config.Image
		}
	}
	if tail != "" {
		s.Reason += ": " + tail
	}
	return s
}

// ownTail are the last lines of a stream of frames: a byte that says of which output, three
// of nothing, and the length in four, big-endian (Engine API, ContainerAttach).
func ownTail(r io.Reader) string {
	var out []byte
	var head [8]byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			break
		}
		var frame bytes.Buffer
		_, err := io.CopyN(&frame, r, int64(binary.BigEndian.Uint32(head[4:])))
		if out = append(out, frame.Bytes()...); len(out) > ownRead {
			out = append(out[:0], out[len(out)-ownRead:]...)
		}
		if err != nil {
			break
		}
	}
	return harmless.Said(string(out))
}
