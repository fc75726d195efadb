// Telling a process that the kernel killed for want of memory from one that
// somebody killed: both end by SIGKILL, and only the kernel's counters differ.

package work

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// oomKills is how many processes the kernel has killed for want of memory: in
// this process's own control group where that can be read (version 2, then 1),
// else on the whole machine. The scope says which; it is empty where nothing
// can be read. The file system is the machine's, from its root.
func oomKills(machine fs.FS) (count int64, scope string) {
	groups, _ := fs.ReadFile(machine, "proc/self/cgroup")
	for line := range strings.Lines(string(groups)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		file := ""
		switch {
		case f[0] == "0" && f[1] == "":
			file = path.Join("sys/fs/cgroup", f[2], "memory.events")
		case strings.Contains(","+f[1]+",", ",memory,"):
			file = path.Join("sys/fs/cgroup/memory", f[2], "memory.oom_control")
		default:
			continue
		}
		if n, ok := counter(machine, file); ok {
			return n, "its control group"
		}
	}
	if n, ok := counter(machine, "proc/vmstat"); ok {
		return n, "this machine"
	}
	return 0, ""
}

func counter(machine fs.FS, file string) (int64, bool) {
	raw, err := fs.ReadFile(machine, file)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(raw)) {
		if v, ok := strings.CutPrefix(line, "oom_kill "); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
