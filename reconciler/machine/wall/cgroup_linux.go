// Control groups, version 2 or 1, below the one that this process is in
// (https://docs.kernel.org/admin-guide/cgroup-v2.html, cgroup-v1/).

package wall

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// groups are the control groups of one command: one in version 2, one a controller in 1.
type groups struct {
	version string
	dirs    map[string]string // controller -> folder
}

const cgroups = "/sys/fs/cgroup"

// groupPrefix begins their names; the inner side's number follows.
const groupPrefix = "vishwa-run-"

// tidy removes groups that a killed supervisor has left. The kernel removes none that
// holds a process.
func tidy(parent string) {
	left, _ := filepath.Glob(filepath.Join(parent, groupPrefix+"*"))
	for _, dir := range left {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), groupPrefix))
		if err == nil && errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			_ = os.Remove(dir)
		}
	}
}

// newGroups makes them and moves the process into them; nil where that is not allowed.
func newGroups(l Limits, pid int) *groups {
	if l.Memory == 0 && l.Processes == 0 && l.CPUs == 0 {
		return nil
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil
	}
	name := groupPrefix + strconv.Itoa(pid)
	if g := unified(string(own), name, l, pid); g != nil {
		return g
	}
	return separate(string(own), name, l, pid)
}

// unified uses version 2. Controllers can be handed on by a group without processes of
// its own alone, so that the group beside this process's is tried, too: systemd makes
// such a place with Delegate=yes and DelegateSubgroup=.
func unified(own, name string, l Limits, pid int) *groups {
	if _, err := os.Stat(cgroups + "/cgroup.controllers"); err != nil {
		return nil
	}
	at := ""
	for line := range strings.Lines(own) {
		if p, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			at = filepath.Join(cgroups, p)
		}
	}
	if at == "" {
		return nil
	}
	for _, parent := range []string{at, filepath.Dir(at)} {
		if !Within(parent, cgroups) {
			break
		}
		dir := filepath.Join(parent, name)
		tidy(parent)
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		_ = write(parent+"/cgroup.subtree_control", "+memory +pids +cpu") // they may be there already
		g := &groups{version: "cgroup v2", dirs: map[string]string{"": dir}}
		cpu := "max 100000"
		if l.CPUs > 0 {
			cpu = fmt.Sprintf("%d 100000", int64(l.CPUs*100000))
		}
		if set(dir, "memory.max", l.Memory) && set(dir, "pids.max", int64(l.Processes)) && (l.CPUs == 0 || write(dir+"/cpu.max", cpu) == nil) {
			_ = write(dir+"/memory.swap.max", "0")
			_ = write(dir+"/memory.oom.group", "1")
			if write(dir+"/cgroup.procs", strconv.Itoa(pid)) == nil {
				return g
			}
		}
		g.remove()
	}
	return nil
}

// separate uses version 1, where each controller has a tree of its own.
func separate(own, name string, l Limits, pid int) *groups {
	g := &groups{version: "cgroup v1", dirs: map[string]string{}}
	for line := range strings.Lines(own) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		for _, c := range strings.Split(f[1], ",") {
			if c != "memory" && c != "pids" && c != "cpu" {
				continue
			}
			dir := filepath.Join(cgroups, f[1], f[2], name)
			tidy(filepath.Dir(dir))
			if os.Mkdir(dir, 0o755) == nil || g.has(dir) {
				g.dirs[c] = dir
			}
		}
	}
	ok := g.dirs["memory"] != "" && g.dirs["pids"] != "" &&
		set(g.dirs["memory"], "memory.limit_in_bytes", l.Memory) && set(g.dirs["pids"], "pids.max", int64(l.Processes))
	if ok && l.CPUs > 0 {
		ok = g.dirs["cpu"] != "" && set(g.dirs["cpu"], "cpu.cfs_quota_us", int64(l.CPUs*100000))
	}
	for _, dir := range g.dirs {
		ok = ok && write(dir+"/cgroup.procs", strconv.Itoa(pid)) == nil
	}
	if !ok {
		g.remove()
		return nil
	}
	if l.Memory > 0 {
		_ = set(g.dirs["memory"], "memory.memsw.limit_in_bytes", l.Memory) // where swap is counted
	}
	return g
}

func (g *groups) has(dir string) bool {
	for _, d := range g.dirs {
		if d == dir {
			return true
		}
	}
	return false
}

// kills is how often the kernel ended a process in the group for want of memory.
func (g *groups) kills() (int64, bool) {
	for _, file := range []string{g.dirs[""] + "/memory.events", g.dirs["memory"] + "/memory.oom_control"} {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(raw)) {
			if v, ok := strings.CutPrefix(line, "oom_kill "); ok {
				n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
				return n, err == nil
			}
		}
	}
	return 0, false
}

// kill ends every process of the groups.
func (g *groups) kill() {
	if g == nil {
		return
	}
	for _, dir := range g.dirs {
		if write(dir+"/cgroup.kill", "1") == nil {
			continue
		}
		raw, _ := os.ReadFile(dir + "/cgroup.procs")
		for _, f := range strings.Fields(string(raw)) {
			if pid, err := strconv.Atoi(f); err == nil && pid > 1 {
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
	}
}

// remove removes the groups; what was killed may take a moment to leave them.
func (g *groups) remove() {
	if g == nil {
		return
	}
	for _, dir := range g.dirs {
		for wait := time.Millisecond; wait < time.Second; wait *= 2 {
			if err := os.Remove(dir); err == nil || errors.Is(err, fs.ErrNotExist) {
				break
			}
			time.Sleep(wait)
		}
	}
}

// set writes a limit; 0 is none.
func set(dir, file string, v int64) bool {
	return v == 0 || write(filepath.Join(dir, file), strconv.FormatInt(v, 10)) == nil
}

func write(file, text string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(text)
	return err
}
