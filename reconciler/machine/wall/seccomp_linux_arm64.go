// What is arm64's own in the filter of system calls.

package wall

import "golang.org/x/sys/unix"

var auditArch = map[string]uint32{"arm64": unix.AUDIT_ARCH_AARCH64}

// refusedHere are calls that not every architecture has.
var refusedHere = []uint32{unix.SYS_KEXEC_FILE_LOAD, unix.SYS_NFSSERVCTL}

// arm64 has today's forms alone.
var ownerCallsHere, modeCallsHere []uint32

func oldForm(*asked) (change, bool) { return change{}, false }
