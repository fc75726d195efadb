// What a command may use up: by a control group where one can be made, and else by
// looking at it again and again. Disk is always watched: few machines have quotas.

package wall

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// How often is looked; what takes long is done seldom.
const (
	watchMemory = 250 * time.Millisecond
	watchDisk   = time.Second
	watchShare  = 20 // a look may take one in so many of the time
	watchAtMost = 10 * time.Second
)

// What a command may not take from everybody else: it is ended where the disk has less
// left. Files that have no name any more can be hidden from any count, so that a disk
// that stays full while a command runs ends it, too, whatever it is known to hold.
const (
	spareDisk  = 256 << 20
	spareFiles = 4096
	fullLooks  = 3
)

// bounds hold one command's limits.
type bounds struct {
	limits Limits
	pid    int    // of the inner side
	end    func() // ends the command whole
	groups *groups
	stop   chan struct{}
	done   sync.WaitGroup

	mu     sync.Mutex
	over   string
	killed int64 // by the kernel, for want of memory
}

// newBounds puts the process into a control group of its own, where that can be made.
// ready has one that was made ahead, where it is not nil.
func newBounds(l Limits, pid int, ready <-chan *groups, end func()) *bounds {
	b := &bounds{limits: l, pid: pid, end: end, stop: make(chan struct{})}
	if ready != nil {
		b.groups = <-ready
	} else {
		b.groups = newGroups(l, pid)
	}
	return b
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
		b.every(watchDisk, roomIn(folders))
	}
}

// every calls look until it says why the command must end, or the command has ended.
func (b *bounds) every(least time.Duration, look func() string) {
	b.done.Add(1)
	fault.Go(func() {
		defer b.done.Done()
		wait := least
		for {
			select {
			case <-b.stop:
				return
			case <-time.After(wait):
			}
			began := time.Now()
			why := ""
			if err := fault.Guard(func() error { why = look(); return nil }); err != nil {
				why = err.Error() // what is not watched is ended
			}
			if why != "" {
				b.mu.Lock()
				b.over = why
				b.mu.Unlock()
				b.end()
				b.groups.kill()
				return
			}
			wait = max(least, min(watchAtMost, watchShare*time.Since(began)))
		}
	}, func(error) { b.groups.kill() })
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
	own := make([]int64, len(pids))
	for i, pid := range pids {
		raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
		if f := strings.Fields(string(raw)); err == nil && len(f) > 1 {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			own[i] = n * page
			full += own[i]
		}
	}
	nameless := unnamed(pids, map[uint64]bool{memoryFiles(): true})
	if full+nameless <= b.limits.Memory {
		return ""
	}
	var private, shared int64
	for i, pid := range pids {
		raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
		if err != nil { // it hides itself, and is counted in full
			private += own[i]
			continue
		}
		held := map[string]int64{}
		for line := range strings.Lines(string(raw)) {
			if f := strings.Fields(line); len(f) > 1 {
				n, _ := strconv.ParseInt(f[1], 10, 64)
				held[f[0]] += n << 10
			}
		}
		shared += held["Pss_Shmem:"]
		private += held["Pss:"] + held["Swap:"] - held["Pss_Shmem:"]
	}
	fair := private + max(shared, nameless) // memory files may be mapped as well
	if fair <= b.limits.Memory {
		return ""
	}
	return fmt.Sprintf("it used %s of memory, and %s is its limit", size(fair), size(b.limits.Memory))
}

// memoryFiles is the device on which memfd_create(2) makes its files.
var memoryFiles = sync.OnceValue(func() uint64 {
	var st unix.Stat_t
	fd, err := unix.MemfdCreate("vishwa-device", unix.MFD_CLOEXEC)
	if err == nil {
		_ = unix.Fstat(fd, &st)
		unix.Close(fd)
	}
	return uint64(st.Dev)
})

// disksOf are the devices that folders lie on.
func disksOf(folders []string) map[uint64]bool {
	disks := map[uint64]bool{}
	for _, dir := range folders {
		var st unix.Stat_t
		if unix.Stat(dir, &st) == nil {
			disks[uint64(st.Dev)] = true
		}
	}
	return disks
}

// unnamed adds up files on these devices that processes hold open and that no folder
// holds any more. It finds what the kernel lets this process look at.
func unnamed(pids []int, disks map[uint64]bool) (total int64) {
	type file struct{ dev, ino uint64 }
	seen := map[file]bool{}
	for _, pid := range pids {
		dir := "/proc/" + strconv.Itoa(pid) + "/fd/"
		open, _ := os.ReadDir(dir)
		for _, d := range open {
			var st unix.Stat_t
			if unix.Stat(dir+d.Name(), &st) != nil || st.Nlink != 0 || st.Mode&unix.S_IFMT != unix.S_IFREG {
				continue
			}
			if f := (file{uint64(st.Dev), st.Ino}); !seen[f] && disks[f.dev] {
				seen[f] = true
				total += st.Blocks * 512
			}
		}
	}
	return total
}

// disk adds up what the folders hold.
func (b *bounds) disk(folders []string) string {
	used := unnamed(below(b.pid), disksOf(folders))
	deep := false
	for _, dir := range folders {
		_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			deep = deep || errors.Is(err, unix.ENAMETOOLONG)
			if err != nil {
				return nil // it was removed meanwhile
			}
			var st unix.Stat_t
			switch err := unix.Lstat(p, &st); {
			case err == nil:
				used += st.Blocks * 512
			case errors.Is(err, unix.ENAMETOOLONG):
				deep = true
			}
			return nil
		})
	}
	switch {
	case deep:
		return fmt.Sprintf("it made folders in folders, deeper than %d bytes of a path, where nobody can tell how much they hold", unix.PathMax)
	case used > b.limits.Disk:
		return fmt.Sprintf("it wrote %s, and %s is its limit", size(used), size(b.limits.Disk))
	}
	for _, dir := range folders {
		if why := full(dir); why != "" && used > spareDisk {
			return fmt.Sprintf("%s, with %s of its own", why, size(used))
		}
	}
	return ""
}

// full says what a folder's disk has too little of, or "".
func full(dir string) string {
	var all unix.Statfs_t
	switch err := unix.Statfs(dir, &all); {
	case err != nil:
		return ""
	case int64(all.Bavail)*all.Bsize < spareDisk:
		return fmt.Sprintf("it left the disk less than %s free", size(spareDisk))
	case all.Files > 0 && all.Ffree < spareFiles:
		return fmt.Sprintf("it left the disk room for fewer than %d more files", spareFiles)
	}
	return ""
}

// roomIn looks whether disks that had room have none for a while.
func roomIn(folders []string) func() string {
	had, since := map[string]bool{}, map[string]int{}
	for _, dir := range folders {
		had[dir] = full(dir) == ""
	}
	return func() string {
		for _, dir := range folders {
			why := full(dir)
			if since[dir]++; why == "" {
				since[dir] = 0
			}
			if had[dir] && since[dir] >= fullLooks {
				return why + ", or something else did while it ran"
			}
		}
		return ""
	}
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
