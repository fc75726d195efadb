// Finding the processes of a run on Linux: their environment is in /proc.

package provisioner

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// killMarked kills every process of the run. A process that forks while it is
// looked for shows in the next round, so rounds go on until one finds none.
func killMarked(id string) {
	for range 50 {
		pids := marked(id)
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL) // gone already is what is wanted
		}
	}
}

// marked lists the processes of the run. What cannot be read belongs to another user.
func marked(id string) (pids []int) {
	want := []byte("\x00" + mark + "=" + id + "\x00")
	all, _ := filepath.Glob("/proc/[0-9]*") // the pattern is constant; with a name behind it, Glob would list what is in each
	for _, p := range all {
		env, err := os.ReadFile(filepath.Join(p, "environ"))
		if err != nil || !bytes.Contains(append([]byte{0}, env...), want) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(p)); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}
