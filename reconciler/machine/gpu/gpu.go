// Package gpu tells which GPUs a machine has, and hands them to one run at a time: a GPU is
// taken by a lock that the kernel lets go of when its holder ends, so that no two runs ever
// share one, whoever began them.
package gpu

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
)

// GPU is one of a machine's.
type GPU struct {
	Model string // NVIDIA A100-SXM4-40GB
	UUID  string // GPU-...; as CUDA names it
	Minor int    // of its device file, /dev/nvidiaN
}

// NVIDIA is where the driver tells of GPUs.
const NVIDIA = "/proc/driver/nvidia/gpus"

// Read reads what the driver tells, a folder a GPU; none where there is no driver.
func Read(driver fs.FS) (out []GPU) {
	names, err := fs.Glob(driver, "*/information")
	if err != nil {
		return nil
	}
	slices.Sort(names) // by their place on the bus
	for _, name := range names {
		raw, err := fs.ReadFile(driver, name)
		if err != nil {
			continue
		}
		said := map[string]string{}
		for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
			if key, value, ok := strings.Cut(lines.Text(), ":"); ok {
				said[strings.TrimSpace(key)] = strings.TrimSpace(value)
			}
		}
		minor, err := strconv.Atoi(said["Device Minor"])
		if err != nil || minor < 0 || said["GPU Excluded"] == "Yes" || !uuid.MatchString(said["GPU UUID"]) {
			continue
		}
		out = append(out, GPU{said["Model"], said["GPU UUID"], minor})
	}
	return out
}

var uuid = lazyregexp.New(`^GPU-[0-9a-f-]{8,64}$`)

// is tells whether g is of a kind, such as a100; every one is of none.
func (g GPU) is(kind string) bool {
	letters := func(s string) string {
		return strings.ToLower(strings.NewReplacer(" ", "", "-", "", "_", "").Replace(s))
	}
	return strings.Contains(letters(g.Model), letters(kind))
}

// OfKind are those of a kind; every one is of none.
func OfKind(all []GPU, kind string) (out []GPU) {
	for _, g := range all {
		if g.is(kind) {
			out = append(out, g)
		}
	}
	return out
}

// Told is how many there are, and of which models.
func Told(all []GPU) string {
	if len(all) == 0 {
		return "none that NVIDIA's driver tells of"
	}
	var models []string
	for _, g := range all {
		if !slices.Contains(models, g.Model) {
			models = append(models, g.Model)
		}
	}
	return fmt.Sprintf("%d (%s)", len(all), strings.Join(models, ", "))
}

// Device is its device file.
func (g GPU) Device() string { return "/dev/nvidia" + strconv.Itoa(g.Minor) }

// gpuFile is the device file of a GPU.
var gpuFile = lazyregexp.New(`^/dev/nvidia[0-9]+$`)

// Only are the devices, as glob finds them for patterns, without the GPUs that are not taken.
func Only(taken []GPU, patterns []string, glob func(string) ([]string, error)) []string {
	out := []string{}
	for _, p := range patterns {
		found, err := glob(p)
		if err != nil {
			continue
		}
		for _, f := range found {
			if !gpuFile.MatchString(f) || slices.ContainsFunc(taken, func(g GPU) bool { return g.Device() == f }) {
				out = append(out, f)
			}
		}
	}
	return out
}

// gpuLocks is where the locks of a machine's GPUs are, for all who run something on it.
const gpuLocks = "/tmp/vishwa-gpus"

// askForGPU is how often a GPU that is taken is asked for again.
const askForGPU = 200 * time.Millisecond

// ErrStopped is the error of who gave up waiting, as asked.
var ErrStopped = errors.New("a stop was asked for")

// Wish is what a run asks for.
type Wish struct {
	N     int
	Kind  string
	Tell  func(why string) error // what it waits for
	Asked func() bool            // whether to give up
}

// Machine has GPUs.
type Machine struct {
	All   func() []GPU // nil is none
	Locks string       // the folder of their locks; "" is that of all who run something on it
}

// GPUs are those that the machine has now.
func (m Machine) GPUs() []GPU {
	if m.All == nil {
		return nil
	}
	return m.All()
}

// Take waits until w's GPUs are free, and holds them until free is called or the process ends.
// One run at a time takes GPUs, so that one that needs several is not passed by for ever by
// those that need one.
func (m Machine) Take(ctx context.Context, w Wish) (taken []GPU, free func(), err error) {
	var locks []*os.File
	free = func() {
		for _, f := range locks {
			f.Close()
		}
	}
	defer func() {
		if err != nil {
			free()
		}
	}()
	dir := m.Locks
	if dir == "" {
		dir = gpuLocks
	}
	if err := shared(dir); err != nil {
		return nil, free, err
	}
	turn, err := lockWhen(ctx, filepath.Join(dir, "turn"), w.Asked, func() error { return w.Tell("other runs, which came first, wait for GPUs") })
	if err != nil {
		return nil, free, err
	}
	defer turn.Close()
	fit := OfKind(m.GPUs(), w.Kind)
	if len(fit) < w.N {
		return nil, free, fault.New(fault.Transient, "this machine has %s now", Told(m.GPUs()))
	}
	for {
		for _, g := range fit {
			if len(taken) == w.N || slices.Contains(taken, g) {
				continue
			}
			f, err := lockNow(filepath.Join(dir, g.UUID))
			if err != nil {
				return nil, free, err
			}
			if f != nil {
				taken, locks = append(taken, g), append(locks, f)
			}
		}
		if len(taken) == w.N {
			return taken, free, nil
		}
		if err := w.Tell(fmt.Sprintf("GPUs that are free: %d of %d; other runs have the rest", len(taken), w.N)); err != nil {
			return nil, free, err
		}
		if err := pause(ctx, w.Asked); err != nil {
			return nil, free, err
		}
	}
}

// shared makes a folder that every user of the machine may make files in.
func shared(dir string) error {
	err := os.Mkdir(dir, 0o777)
	if err == nil {
		err = os.Chmod(dir, 0o777|os.ModeSticky)
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return artifact.Disk(fmt.Errorf("make the folder of GPUs' locks: %w", err), dir)
	}
	if st, err := os.Lstat(dir); err != nil || !st.IsDir() {
		return fault.WithHint(fault.New(fault.Invalid, "%s is not a folder, and GPUs are locked there", dir), "remove it")
	}
	return nil
}

// lockNow holds the lock at, or is nil where somebody else does.
func lockNow(at string) (*os.File, error) {
	f, err := os.OpenFile(at, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, os.ErrNotExist) {
		if f, err = os.OpenFile(at, os.O_RDONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o644); errors.Is(err, os.ErrExist) {
			f, err = os.OpenFile(at, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
		}
	}
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "lock a GPU: %w", err), "let every user who runs Vishwa here read the files of %s", filepath.Dir(at))
	}
	switch err := sandbox.Hold(f); {
	case err == nil:
		return f, nil
	case fault.Of(err) != fault.Conflict:
		f.Close()
		return nil, fmt.Errorf("lock a GPU: %w", err)
	}
	f.Close()
	return nil, nil
}

func lockWhen(ctx context.Context, at string, asked func() bool, waits func() error) (*os.File, error) {
	for {
		f, err := lockNow(at)
		if f != nil || err != nil {
			return f, err
		}
		if err := waits(); err != nil {
			return nil, err
		}
		if err := pause(ctx, asked); err != nil {
			return nil, err
		}
	}
}

func pause(ctx context.Context, asked func() bool) error {
	if asked() {
		return ErrStopped
	}
	t := time.NewTimer(askForGPU)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Visible has CUDA see what was taken and nothing else.
func Visible(taken []GPU) map[string]string {
	ids := make([]string, len(taken))
	for i, g := range taken {
		ids[i] = g.UUID
	}
	return map[string]string{"CUDA_VISIBLE_DEVICES": strings.Join(ids, ",")}
}
