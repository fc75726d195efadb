// How much memory the machine has, as the kernel tells.

package wall

import "golang.org/x/sys/unix"

// machineMemory is how much there is, bytes; 0 is not known.
func machineMemory() int64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}
