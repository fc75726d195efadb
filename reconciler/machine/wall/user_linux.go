// Which user a command is: its caller in a namespace, or one of its own where the caller is root.

package wall

import (
	"hash/fnv"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// mapping is held by who begins a process in a user namespace.
var mapping sync.Mutex

// startMapped begins the inner side. Who is concealed cannot say which user is which in a
// namespace of his child's (/proc/PID/uid_map is root's then), so that this process shows
// itself for a moment: to others of its user, and not to walled commands, which Landlock
// or a process table of their own keeps from looking at it.
func startMapped(outer *exec.Cmd) error {
	if len(outer.SysProcAttr.UidMappings) > 0 {
		mapping.Lock()
		defer mapping.Unlock()
		if was, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err == nil && was == 0 {
			if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
				return err
			}
			defer unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
		}
	}
	return outer.Start()
}

// userFor is the user of a root's command: one of its own that nobody else has.
func userFor(s Spec) int {
	h := fnv.New32a()
	if s.User != "" {
		h.Write([]byte(s.User))
	} else {
		for _, p := range s.Write {
			h.Write([]byte(p))
		}
	}
	// Above what systemd and container engines hand out
	// (https://systemd.io/UIDS-GIDS/), or at the end of what this namespace has.
	first, size := uint64(0x70000000), uint64(1<<27)
	if raw, err := os.ReadFile("/proc/self/uid_map"); err == nil {
		if f := strings.Fields(string(raw)); len(f) == 3 {
			if have, err := strconv.ParseUint(f[2], 10, 64); err == nil && have < first+size {
				size = min(5000, have/4)
				first = have - size
			}
		}
	}
	return int(first + uint64(h.Sum32())%size)
}

// folders are those that are the command's own.
func (s Spec) folders() []string {
	if s.Tmp == "" {
		return s.Write
	}
	return append([]string{s.Tmp}, s.Write...)
}

// chownAll makes folders, and all below them, the command's own.
func chownAll(uid, gid int, folders []string) error {
	for _, dir := range folders {
		err := filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(p, uid, gid)
		})
		if err != nil {
			return fault.New(fault.Internal, "give the run its folder: %w", err)
		}
	}
	return nil
}
