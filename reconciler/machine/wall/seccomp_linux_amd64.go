// What is amd64's own in the filter of system calls.

package wall

import "golang.org/x/sys/unix"

var auditArch = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64}

// refusedHere are calls that amd64 alone has.
var refusedHere = []uint32{
	unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT, unix.SYS_USELIB, unix.SYS_USTAT, unix.SYS_SYSFS, unix.SYS_KEXEC_FILE_LOAD,
	unix.SYS_CREATE_MODULE, unix.SYS_NFSSERVCTL, unix.SYS__SYSCTL,
}

// ownerCallsHere and modeCallsHere are forms that amd64 has besides.
var (
	ownerCallsHere = []uint32{unix.SYS_CHOWN, unix.SYS_LCHOWN}
	modeCallsHere  = []uint32{unix.SYS_CHMOD, unix.SYS_UTIME, unix.SYS_UTIMES, unix.SYS_FUTIMESAT}
)

// oldForm tells of a call of amd64's alone what of a file it changes.
func oldForm(c *asked) (change, bool) {
	switch c.nr {
	case unix.SYS_CHMOD:
		return change{dir: unix.AT_FDCWD, path: c.args[0], mode: uint32(c.args[1])}, true
	case unix.SYS_UTIME:
		return change{dir: unix.AT_FDCWD, path: c.args[0], times: c.args[1], form: inSeconds}, true
	case unix.SYS_UTIMES:
		return change{dir: unix.AT_FDCWD, path: c.args[0], times: c.args[1], form: inMicroseconds}, true
	case unix.SYS_FUTIMESAT:
		return change{dir: int(int32(c.args[0])), path: c.args[1], times: c.args[2], form: inMicroseconds}, true
	}
	return change{}, false
}
