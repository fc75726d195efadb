// What a run asks of this machine: limits, and GPUs of its own.

package work

import (
	"path"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gpu"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Enough refuses a job that asks for more than this machine ever gives a run, by the policy of
// its owner and the GPUs that it has.
func Enough(job port.Job, p wall.Policy, gpus gpu.Machine) error {
	r := job.RunsOn.Resources
	refuse := func(way, format string, args ...any) error {
		return fault.WithHint(fault.New(fault.Invalid, "%s asks for "+format, append([]any{job.Ref}, args...)...), "%s", way)
	}
	const owner = "ask for less, name another runner, or raise the limits of this machine's settings"
	if memory, _ := schemas.Bytes(r.Memory); p.Limits.Memory > 0 && memory > p.Limits.Memory {
		return refuse(owner, "%s of memory, and this machine gives a run %d bytes", r.Memory, p.Limits.Memory)
	}
	if disk, _ := schemas.Bytes(r.EphemeralStorage); p.Limits.Disk > 0 && disk > p.Limits.Disk {
		return refuse(owner, "%s of disk, and this machine gives a run %d bytes", r.EphemeralStorage, p.Limits.Disk)
	}
	if cpu, _ := schemas.Millicores(r.CPU); p.Limits.CPUs > 0 && float64(cpu)/1000 > p.Limits.CPUs {
		return refuse(owner, "%s processors, and this machine gives a run %g", r.CPU, p.Limits.CPUs)
	}
	if r.GPU == 0 {
		return nil
	}
	all := gpus.GPUs()
	fit := gpu.OfKind(all, r.GPUKind)
	if len(fit) < r.GPU {
		want := plural.Of(r.GPU, "GPU")
		if r.GPUKind != "" {
			want += " of kind " + r.GPUKind
		}
		return refuse("ask for what it has, or name a runner that has them", "%s, and this machine has %s", want, gpu.Told(all))
	}
	for _, g := range fit {
		if p.Level != wall.None && !slices.ContainsFunc(p.Devices, func(of string) bool { ok, _ := path.Match(of, g.Device()); return ok }) {
			return refuse("allow them: devices: [\"/dev/nvidia*\"] below isolation of the controller's file, or "+wall.DevicesVariable+"=/dev/nvidia*",
				"%s, and the settings of this machine let runs use none: %s is not among their devices", plural.Of(r.GPU, "GPU"), g.Device())
		}
	}
	return nil
}

// Limited is the wall around a run that asks for r.
func Limited(p wall.Policy, r schemas.Resources) wall.Policy {
	if memory, ok := schemas.Bytes(r.Memory); ok && memory > 0 {
		p.Limits.Memory = memory
	}
	if disk, ok := schemas.Bytes(r.EphemeralStorage); ok && disk > 0 {
		p.Limits.Disk = disk
	}
	if cpu, ok := schemas.Millicores(r.CPU); ok && cpu > 0 {
		p.Limits.CPUs = float64(cpu) / 1000
	}
	return p
}
