// GPUs: a run has as many as it asks for, of its kind, and no other run has them meanwhile.

package runner_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

// information is what NVIDIA's driver tells of a GPU.
const information = `Model: 		 %s
IRQ:   		 120
GPU UUID: 	 GPU-%08d-1111-2222-3333-444455556666
Video BIOS: 	 96.00.74.00.01
Bus Type: 	 PCIe
DMA Size: 	 52 bits
Bus Location: 	 0000:%02d:00.0
Device Minor: 	 %d
GPU Firmware: 	 550.54.15
GPU Excluded:	 No
`

func gpuUUID(i int) string { return fmt.Sprintf("GPU-%08d-1111-2222-3333-444455556666", i) }

// withGPUs gives the bench's machine GPUs of these models.
func (b *bench) withGPUs(t *testing.T, models ...string) {
	t.Helper()
	for i, model := range models {
		at := filepath.Join(b.state, "driver", fmt.Sprintf("0000:%02d:00.0", i))
		if err := os.MkdirAll(at, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(at, "information"), fmt.Appendf(nil, information, model, i, i, i), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (b *bench) gpuJob(script string, r schemas.Resources) port.Job {
	job := b.job(script)
	job.RunsOn.Resources = r
	return job
}

// TestTwoRunsNeverShareAGPU: the second waits, says for what, and begins when the first ends.
func TestTwoRunsNeverShareAGPU(t *testing.T) {
	b := newBench(t)
	b.withGPUs(t, "NVIDIA A100", "NVIDIA A100")
	seen := func(name string) string { return filepath.Join(b.state, "seen", name) }
	hold := func(name string) string {
		return fmt.Sprintf("echo $CUDA_VISIBLE_DEVICES > '%s'; while ! [ -e '%s' ]; do sleep 0.02; done", seen(name), seen(name+".end"))
	}
	one := b.gpuJob(hold("one"), schemas.Resources{GPU: 1})
	two := b.gpuJob(hold("two"), schemas.Resources{GPU: 1})
	both := b.gpuJob(hold("both"), schemas.Resources{GPU: 2})
	begin := func(job port.Job) {
		if _, err := b.Start(t.Context(), job); err != nil {
			t.Fatal(err)
		}
	}
	given := func(name string) string {
		var raw []byte
		await(t, name+" runs", func() bool { raw, _ = os.ReadFile(seen(name)); return strings.HasSuffix(string(raw), "\n") })
		return strings.TrimSpace(string(raw))
	}
	end := func(name string) {
		if err := os.WriteFile(seen(name+".end"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	reason := func(job port.Job) string { run, _ := b.Poll(t.Context(), job.Key); return run.Reason }
	begin(one)
	first := given("one")
	begin(both)
	await(t, "both waits with a reason", func() bool { return reason(both) == "GPUs that are free: 1 of 2; other runs have the rest" })
	begin(two)
	await(t, "two waits for its turn", func() bool { return strings.Contains(reason(two), "came first") })
	end("one")
	if got := given("both"); got != gpuUUID(1)+","+gpuUUID(0) && got != gpuUUID(0)+","+gpuUUID(1) || first == "" {
		t.Errorf("both has %q, and one had %q", got, first)
	}
	if exists(seen("two")) {
		t.Error("two runs while both has all GPUs")
	}
	end("both")
	if got := given("two"); got != gpuUUID(0) && got != gpuUUID(1) {
		t.Errorf("two has %q", got)
	}
	end("two")
	for _, job := range []port.Job{one, two, both} {
		if r := porttest.AwaitRun(t, b, job.Key, porttest.IsDone).Result; r.Cause != "" {
			t.Errorf("%s: %s", r.Cause, r.Message)
		}
	}
}

// TestWhoWaitsForGPUsCanBeStopped: and leaves nothing held.
func TestWhoWaitsForGPUsCanBeStopped(t *testing.T) {
	b := newBench(t)
	b.withGPUs(t, "NVIDIA A100")
	holds, waits := b.gpuJob("sleep 600", schemas.Resources{GPU: 1}), b.gpuJob("echo waited", schemas.Resources{GPU: 1})
	for _, job := range []port.Job{holds, waits} {
		if _, err := b.Start(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		if job.Key == holds.Key {
			porttest.AwaitRun(t, b, job.Key, func(r port.Run) bool { return r.State == port.Running })
		}
	}
	await(t, "it waits", func() bool {
		run, _ := b.Poll(t.Context(), waits.Key)
		return strings.Contains(run.Reason, "other runs")
	})
	if err := b.Stop(t.Context(), waits.Key); err != nil {
		t.Fatal(err)
	}
	if r := porttest.AwaitRun(t, b, waits.Key, porttest.IsDone).Result; r.Cause != port.Stopped {
		t.Errorf("%s: %s", r.Cause, r.Message)
	}
	if err := b.Stop(t.Context(), holds.Key); err != nil {
		t.Fatal(err)
	}
	if r := b.run(t, b.gpuJob("test -n \"$CUDA_VISIBLE_DEVICES\"", schemas.Resources{GPU: 1})); r.Cause != "" {
		t.Errorf("a GPU is left held: %s: %s", r.Cause, r.Message)
	}
}

// TestAMachineWithoutEnoughRefuses: at once, and with what it has.
func TestAMachineWithoutEnoughRefuses(t *testing.T) {
	b := newBench(t)
	b.withGPUs(t, "NVIDIA A100-SXM4-40GB", "NVIDIA L4")
	for want, r := range map[string]schemas.Resources{
		"asks for 3 GPUs, and this machine has 2 (NVIDIA A100-SXM4-40GB, NVIDIA L4)":    {GPU: 3},
		"asks for 2 GPUs of kind a100, and this machine has 2":                          {GPU: 2, GPUKind: "a100"},
		"asks for 1 GPU of kind h100, and this machine has 2 (NVIDIA A100-SXM4-40GB, N": {GPU: 1, GPUKind: "h100"},
	} {
		if _, err := b.Start(t.Context(), b.gpuJob("echo "+want[:9], r)); fault.Of(err) != fault.Invalid || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if r := b.run(t, b.gpuJob("echo kind; test $CUDA_VISIBLE_DEVICES = "+gpuUUID(1), schemas.Resources{GPU: 1, GPUKind: "l4"})); r.Cause != "" {
		t.Errorf("%s: %s", r.Cause, r.Message)
	}
	if _, err := newBench(t).Start(t.Context(), b.gpuJob("true", schemas.Resources{GPU: 1})); !strings.Contains(fmt.Sprint(err), "this machine has none") {
		t.Errorf("without any: %v", err)
	}

	// Behind a wall, a GPU is a device that its owner lets runs use.
	walled := b.Config
	walled.Wall.Level = wall.Namespaces
	if _, err := runner.Local(walled).Start(t.Context(), b.gpuJob("echo w", schemas.Resources{GPU: 1})); fault.Of(err) != fault.Invalid || !strings.Contains(fault.HintOf(err), wall.DevicesVariable) {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}

	// What the owner gives a run is a bound.
	owned := b.Config
	owned.Wall.Limits = wall.Limits{Memory: 1 << 30, Disk: 1 << 30, CPUs: 2}
	for want, r := range map[string]schemas.Resources{"of memory": {Memory: "2Gi"}, "of disk": {EphemeralStorage: "2Gi"}, "processors": {CPU: "2500m"}} {
		if _, err := runner.Local(owned).Start(t.Context(), b.gpuJob("echo o", r)); fault.Of(err) != fault.Invalid || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// TestResourcesAreLimits: a run that goes beyond its memory is ended for that.
func TestResourcesAreLimits(t *testing.T) {
	for _, level := range []wall.Level{wall.Namespaces, wall.Landlock} {
		t.Run(string(level), func(t *testing.T) {
			b := newBenchAt(t, level)
			b.Wall.Limits.Disk = 1 << 30
			small := b.gpuJob("exec python3 -c 'x = bytearray(300 << 20); import time; time.sleep(5)'", schemas.Resources{Memory: "64Mi", CPU: "500m"})
			r := b.run(t, small)
			if r.Cause != port.OutOfMemory {
				t.Errorf("%s: %s", r.Cause, r.Message)
			}
			log, err := artifact.ReadAll(t.Context(), b.Store, r.Log)
			held := r.Isolation != nil && strings.HasPrefix(r.Isolation.Limits, "cgroup")
			if said := strings.Contains(string(log), "cannot hold it to 500m CPU"); err != nil || said == held {
				t.Errorf("held by %+v, and the log says %q, %v", r.Isolation, log, err)
			}
		})
	}
}
