//go:build unix && !linux

// Finding the processes of a run where there is no /proc: ps shows the
// environment of the user's own processes.

package provisioner

import (
	"bufio"
	"bytes"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// killMarked kills every process of the run.
func killMarked(id string) {
	for range 5 {
		out, err := exec.Command("ps", "axeww", "-o", "pid=,command=").Output()
		if err != nil {
			return
		}
		any := false
		for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
			pid, rest, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
			n, err := strconv.Atoi(pid)
			if err == nil && strings.Contains(rest+" ", " "+mark+"="+id+" ") {
				any = syscall.Kill(n, syscall.SIGKILL) == nil || any
			}
		}
		if !any {
			return
		}
	}
}
