// What a command may use up: by a control group where one can be made, and else by
// looking at it again and again. Disk is always watched: few machines have quotas.
package wall

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// How often is looked; what takes long is done seldom.
const (
	watchMemory = 250 * time.Millisecond
	watchDisk   = time.Second
	watchShare  = 20 // a look may take one in so many of the time
)

// spareDisk is what a watched command may not take from everybody else: it is ended
// where the disk has less left.
const spareDisk = 256 << 20

// bounds hold one command's limits.
type bounds struct {
	limits Limits
	pid    int // of the inner side
	groups *groups
	stop   chan struct{}
	done   sync.WaitGroup

	mu     sync.Mutex
	over   string
	killed int64 // by the kernel, for want of memory
}

// newBounds puts the process into a control group of its own, where that can be made.
func newBounds(l Limits, pid int) *bounds {
	return &bounds{limits: l, pid: pid, groups: newGroups(l, pid), stop: make(chan struct{})}
}

// by names what holds the limits.
func (b *bounds) by() string {
	if b.groups != nil {
		return b.groups.version
	}
	if b.limits == (Limits{}) {
		return ""
	}
	return "watching"
}

// watch begins to look at what no control group limits.
func (b *bounds) watch(folders []string) {
	if b.limits.Memory > 0 && b.groups == nil {
		b.every(watchMemory, b.memory)
	}
	if b.limits.Disk > 0 {
		b.every(watchDisk, func() string { return b.disk(folders) })
	}
}

// every calls look until it says why the command must end, or the command has ended.
func (b *bounds) every(least time.Duration, look func() string) {
	b.done.Go(func() {
		wait := least
		for {
			select {
			case <-b.stop:
				return
			case <-time.After(wait):
			}
			began := time.Now()
			if why := look(); why != "" {
				b.mu.Lock()
				b.over = why
				b.mu.Unlock()
				_ = unix.Kill(b.pid, unix.SIGKILL) // process 1 of its table: all of them end with it
				b.groups.kill()
				return
			}
			wait = max(least, watchShare*time.Since(began))
		}
	})
}

// why tells which limit was gone over, or "".
func (b *bounds) why() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.over
}

// close ends the watching, and the control groups.
func (b *bounds) close() {
	select {
	case <-b.stop:
	default:
		close(b.stop)
	}
	b.done.Wait()
	n, _ := b.kills()
	b.mu.Lock()
	b.killed = n
	b.mu.Unlock()
	b.groups.remove()
}

// kills is how often the kernel ended a process for want of memory; known is false where
// there is no control group to count it.
func (b *bounds) kills() (n int64, known bool) {
	if b.groups == nil {
		return 0, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if n, ok := b.groups.kills(); ok {
		return n, true
	}
	return b.killed, true
}

// memory adds up what the command's processes hold. Shared pages are counted once, but
// only where counting them in full goes over the limit: that is the dear way.
func (b *bounds) memory() string {
	pids := below(b.pid)
	page := int64(os.Getpagesize())
	var full int64
	for _, pid := range pids {
		raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
		if f := strings.Fields(string(raw)); err == nil && len(f) > 1 {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			full += n * page
		}
	}
	if full <= b.limits.Memory {
		return ""
	}
	var fair int64
	for _, pid := range pids {
		raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(raw)) {
			if f := strings.Fields(line); len(f) > 1 && (f[0] == "Pss:" || f[0] == "Swap:") {
				n, _ := strconv.ParseInt(f[1], 10, 64)
				fair += n << 10
			}
		}
	}
	if fair <= b.limits.Memory {
		return ""
	}
	return fmt.Sprintf("it used %s of memory, and %s is its limit", size(fair), size(b.limits.Memory))
}

// disk adds up what the folders hold.
func (b *bounds) disk(folders []string) string {
	var used int64
	for _, dir := range folders {
		_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil // it was removed meanwhile
			}
			var st unix.Stat_t
			if unix.Lstat(p, &st) == nil {
				used += st.Blocks * 512
			}
			return nil
		})
		var all unix.Statfs_t
		if unix.Statfs(dir, &all) == nil && used > spareDisk && int64(all.Bavail)*all.Bsize < spareDisk {
			return fmt.Sprintf("it left the disk less than %s free, with %s of its own", size(spareDisk), size(used))
		}
	}
	if used <= b.limits.Disk {
		return ""
	}
	return fmt.Sprintf("it wrote %s, and %s is its limit", size(used), size(b.limits.Disk))
}

func size(n int64) string {
	if n >= 10<<30 {
		return fmt.Sprintf("%d GiB", n>>30)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// below lists a process and its descendants.
func below(root int) []int {
	found := []int{root}
	for at := 0; at < len(found) && len(found) < 1<<16; at++ {
		pid := strconv.Itoa(found[at])
		threads, _ := os.ReadDir("/proc/" + pid + "/task")
		for _, t := range threads {
			raw, err := os.ReadFile("/proc/" + pid + "/task/" + t.Name() + "/children")
			if err != nil {
				continue
			}
			for _, f := range strings.Fields(string(raw)) {
				if child, err := strconv.Atoi(f); err == nil {
					found = append(found, child)
				}
			}
		}
	}
	return found
}
