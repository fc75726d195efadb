// What an engine's machine has room for, and what of it no task is given.

package docker

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// fits refuses what the engine's machine has no room for, and what would give a task the machine.
func (e *engine) fits(task port.Task, sock string) error {
	millicores, _ := schemas.Millicores(task.Resources.CPU)
	memory, _ := schemas.Bytes(task.Resources.Memory)
	switch {
	case millicores > int64(e.cores)*1000:
		return unfitted(port.Unschedulable, "launch %s: the engine's machine has %d cores, and %s are asked for", task.Name, e.cores, task.Resources.CPU)
	case memory > e.memory:
		return unfitted(port.Unschedulable, "launch %s: the engine's machine has %d MiB of memory, and %s is asked for", task.Name, e.memory>>20, task.Resources.Memory)
	case millicores > 0 && !e.boundsCPU, memory > 0 && !e.boundsMemory:
		return unfitted(port.Unschedulable, "launch %s: the engine cannot bound cores and memory on this machine, and they are asked for", task.Name)
	}
	places := map[string]string{
		"/var/run/docker.sock": "an engine's socket", "/run/docker.sock": "an engine's socket", "/run/podman/podman.sock": "an engine's socket",
		"/run/containerd/containerd.sock": "an engine's socket", "/proc": "the machine's processes", "/sys": "the machine's devices", "/dev": "the machine's devices",
	}
	if sock != "" {
		places[sock] = "the engine's socket"
	}
	if e.root != "" {
		places[e.root] = "the engine's folder"
	}
	for _, m := range task.Mounts {
		for _, place := range slices.Sorted(maps.Keys(places)) {
			if covers(m.From, place) || !strings.HasSuffix(place, ".sock") && covers(place, m.From) {
				return fault.WithHint(fault.New(fault.Invalid, "launch %s: its mount %s would give it %s, %s", task.Name, m.From, places[place], place),
					"mount a folder that holds nothing else")
			}
		}
	}
	return nil
}

// covers tells whether a mount of from would show path, links followed as far as they are here.
func covers(from, path string) bool {
	real := func(p string) string {
		rest := ""
		for at := filepath.Clean(p); at != "/"; at = filepath.Dir(at) {
			if r, err := filepath.EvalSymlinks(at); err == nil {
				return filepath.Join(r, rest)
			}
			rest = filepath.Join(filepath.Base(at), rest)
		}
		return filepath.Clean(p)
	}
	for _, from := range []string{filepath.Clean(from), real(from)} {
		for _, path := range []string{filepath.Clean(path), real(path)} {
			if from == "/" || path == from || strings.HasPrefix(path, from+"/") {
				return true
			}
		}
	}
	return false
}
