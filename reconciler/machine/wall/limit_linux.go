// What the kernel bounds for each process, and the capabilities that none has.

package wall

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// dropCapabilities gives up every capability of this thread, and what could bring one back.
func dropCapabilities() error {
	_ = unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) // there may be none
	for c := 0; unix.Prctl(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0) == nil && c < 64; c++ {
		_ = unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0) // needs one itself; no_new_privs keeps what is left from mattering
	}
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&head, &none[0]); err != nil {
		return fmt.Errorf("give up capabilities: %w", err)
	}
	return nil
}

// limit sets what the kernel bounds for each process; running is how many of the user's
// processes there are already.
func limit(l Limits, uid, running int) error {
	set := func(what int, name string, v uint64) error {
		if v == 0 {
			return nil
		}
		var had unix.Rlimit
		if err := unix.Getrlimit(what, &had); err != nil {
			return fmt.Errorf("limit %s: %w", name, err)
		}
		v = min(v, had.Max)
		if err := unix.Setrlimit(what, &unix.Rlimit{Cur: v, Max: v}); err != nil {
			return fmt.Errorf("limit %s: %w", name, err)
		}
		return nil
	}
	// 1 is no core file, and no handing over to a program of the machine's either (core(5)).
	var core unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_CORE, &core)
	if one := min(1, core.Max); err == nil {
		err = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: one, Max: one})
	}
	if err != nil {
		return fmt.Errorf("limit core files: %w", err)
	}
	processes := uint64(0)
	if l.Processes > 0 {
		processes = uint64(l.Processes + running)
	}
	if err := set(unix.RLIMIT_NPROC, "processes", processes); err != nil {
		return err
	}
	if l.OpenFiles > 0 { // by package syscall, which gives children what is set here
		var had syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &had); err != nil {
			return fmt.Errorf("limit open files: %w", err)
		}
		v := min(uint64(l.OpenFiles), had.Max)
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: v, Max: v}); err != nil {
			return fmt.Errorf("limit open files: %w", err)
		}
	}
	return set(unix.RLIMIT_FSIZE, "file size", uint64(max(0, l.FileSize)))
}
