// What is amd64's own in the filter of system calls.
package wall

import "golang.org/x/sys/unix"

var auditArch = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64}

// refusedHere are calls that amd64 alone has.
var refusedHere = []uint32{
	unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT, unix.SYS_USELIB, unix.SYS_USTAT, unix.SYS_SYSFS, unix.SYS_KEXEC_FILE_LOAD,
	unix.SYS_CREATE_MODULE, unix.SYS_NFSSERVCTL, unix.SYS__SYSCTL,
}
