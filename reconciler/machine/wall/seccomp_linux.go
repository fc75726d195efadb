// System calls that no run needs and that open the kernel or other processes to it.
// The filter is written here and not by a library: the kept ones let the calls of
// another architecture through (int 0x80 on x86), which is every refused call again.

package wall

import (
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data (seccomp(2)), on little-endian machines.
const (
	dataNumber = 0
	dataArch   = 4
	dataArgs   = 16
)

// x32 marks the calls of x86's third interface, which share amd64's architecture.
const x32 = 0x40000000

// newNamespaces are the flags of clone that make one.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP | unix.CLONE_NEWTIME

// refusedCalls answer EPERM, on every architecture.
var refusedCalls = []uint32{
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_KCMP, unix.SYS_PIDFD_GETFD, // other processes
	unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, // keys of the user's session
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_FANOTIFY_INIT,
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE,
	unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR,
	unix.SYS_UNSHARE, unix.SYS_SETNS,
	unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_OPEN_BY_HANDLE_AT, // files without their path
	unix.SYS_KEXEC_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_REBOOT,
	unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_SYSLOG,
	unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX,
	unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_VHANGUP, unix.SYS_LOOKUP_DCOOKIE,
}

// openTreeAttr is newer than the table of x/sys, with one number everywhere.
const openTreeAttr = 467

// Sockets says which of them a filter lets a command make, and what else of the machine
// is around it.
type sockets struct {
	inet     bool // IPv4 and IPv6, all protocols
	tcp      bool // IPv4 and IPv6, TCP alone: Landlock limits its ports
	unixAny  bool // Unix sockets; without it, connected pairs alone
	loopback bool // netlink, for a network of one's own
	bare     bool // no namespaces: what Landlock does not know of is refused or asked about here
	deaf     bool // nobody can be asked: what would be is refused
}

// filter assembles the rules for one kind of sockets.
func filter(allow sockets) ([]bpf.RawInstruction, error) {
	arch, ok := auditArch[runtime.GOARCH]
	if !ok {
		return nil, fmt.Errorf("no system call filter for %s", runtime.GOARCH)
	}
	const (
		permit = uint32(unix.SECCOMP_RET_ALLOW)
		kill   = uint32(unix.SECCOMP_RET_KILL_PROCESS)
	)
	errno := func(e unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(e) }
	ret := func(v uint32) bpf.Instruction { return bpf.RetConstant{Val: v} }
	load := func(off uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: off, Size: 4} }
	arg := func(n uint32) bpf.Instruction { return load(dataArgs + 8*n) } // its low half: the kernel reads an int
	// when runs do where the accumulator holds v; do ends in a return.
	when := func(v uint32, do ...bpf.Instruction) []bpf.Instruction {
		return append([]bpf.Instruction{bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipFalse: uint8(len(do))}}, do...)
	}
	prog := []bpf.Instruction{load(dataArch), bpf.JumpIf{Cond: bpf.JumpEqual, Val: arch, SkipTrue: 1}, ret(kill), load(dataNumber)}
	if runtime.GOARCH == "amd64" {
		prog = append(prog, bpf.JumpIf{Cond: bpf.JumpLessThan, Val: x32, SkipTrue: 1}, ret(kill))
	}
	for _, nr := range append(refusedCalls, append(refusedHere, openTreeAttr)...) {
		prog = append(prog, when(nr, ret(errno(unix.EPERM)))...)
	}
	// What clone3 asks for lies in memory, which a filter cannot read; C libraries fall back to clone.
	prog = append(prog, when(unix.SYS_CLONE3, ret(errno(unix.ENOSYS)))...)
	prog = append(prog, when(unix.SYS_CLONE, arg(0), bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: newNamespaces, SkipFalse: 1}, ret(errno(unix.EPERM)), ret(permit))...)
	// Typing into a terminal, or pasting, as if a person did (CVE-2017-5226); attributes of files.
	prog = append(prog, when(unix.SYS_IOCTL, oneOf(arg(1), ret(errno(unix.EPERM)), ret(permit),
		unix.TIOCSTI, unix.TIOCLINUX, unix.FS_IOC_SETFLAGS, fsSetXattr)...)...)
	// A limit of 1 keeps a program of the machine's from being handed a core file; 0 does not.
	prog = append(prog, when(unix.SYS_SETRLIMIT, arg(0), bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.RLIMIT_CORE, SkipFalse: 1}, ret(errno(0)), ret(permit))...)
	ask := ret(permit)
	if allow.bare {
		ask = ret(unix.SECCOMP_RET_USER_NOTIF)
		if allow.deaf {
			ask = ret(errno(unix.EPERM))
		}
		prog = append(prog, bareRules(when, arg, ask, ret(errno(unix.EPERM)), ret(permit))...)
	}
	prog = append(prog, when(unix.SYS_PRLIMIT64,
		arg(2), bpf.TAX{}, load(dataArgs+8*2+4), bpf.ALUOpX{Op: bpf.ALUOpOr}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipFalse: 1}, ret(permit), // it only reads
		arg(1), bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.RLIMIT_CORE, SkipFalse: 1}, ret(errno(0)),
		arg(0), bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipFalse: 1}, ret(permit), ask)...)
	prog = append(prog, when(unix.SYS_SOCKET, socketRules(allow, arg, ret)...)...)
	if allow.tcp { // it connects by sending, which Landlock does not see
		for call, flags := range map[uint32]uint32{unix.SYS_SENDTO: 3, unix.SYS_SENDMSG: 2, unix.SYS_SENDMMSG: 3} {
			prog = append(prog, when(call, arg(flags), bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: unix.MSG_FASTOPEN, SkipFalse: 1}, ret(errno(unix.EPERM)), ret(permit))...)
		}
	}
	if !allow.unixAny { // a pair of datagram sockets could still send to any path, and SOCK_RAW is one
		prog = append(prog, when(unix.SYS_SOCKETPAIR, arg(0), bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_UNIX, SkipTrue: 1}, ret(errno(unix.EPERM)),
			arg(1), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SOCK_STREAM, SkipTrue: 2},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SOCK_SEQPACKET, SkipTrue: 1}, ret(errno(unix.EPERM)), ret(permit))...)
	}
	return bpf.Assemble(append(prog, ret(permit)))
}

// fsSetXattr is FS_IOC_FSSETXATTR, which x/sys lacks.
const fsSetXattr = 0x401c5820

// oneOf returns yes where what load loads is one of values, and no else.
func oneOf(load, yes, no bpf.Instruction, values ...uint32) []bpf.Instruction {
	list := []bpf.Instruction{load}
	for i, v := range values {
		list = append(list, bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: uint8(len(values) - i)})
	}
	return append(list, no, yes)
}

// sharedCalls are of what all processes of a machine share where there are no namespaces:
// what is made by them stays after the command's end.
var sharedCalls = []uint32{
	unix.SYS_SHMGET, unix.SYS_SHMAT, unix.SYS_SHMCTL, unix.SYS_MSGGET, unix.SYS_MSGSND, unix.SYS_MSGRCV, unix.SYS_MSGCTL,
	unix.SYS_SEMGET, unix.SYS_SEMOP, unix.SYS_SEMTIMEDOP, unix.SYS_SEMCTL, unix.SYS_MQ_OPEN, unix.SYS_MQ_UNLINK,
}

// ownerCalls change what a file's owner may, and Landlock does not restrict them. Nobody
// but root needs them.
var ownerCalls = []uint32{
	unix.SYS_FCHOWN, unix.SYS_FCHOWNAT, unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_FSETXATTR, unix.SYS_SETXATTRAT,
	unix.SYS_REMOVEXATTR, unix.SYS_LREMOVEXATTR, unix.SYS_FREMOVEXATTR, unix.SYS_REMOVEXATTRAT, unix.SYS_FILE_SETATTR,
}

// bareRules are for a command that sees the machine's processes and files: Landlock keeps
// it from opening and signalling, and not from changing modes, times, limits and
// priorities of what its user owns. ask is for what may be its own.
func bareRules(when func(uint32, ...bpf.Instruction) []bpf.Instruction, arg func(uint32) bpf.Instruction, ask, refuse, permit bpf.Instruction) (rules []bpf.Instruction) {
	for _, nr := range slices.Concat(sharedCalls, ownerCalls, ownerCallsHere) {
		rules = append(rules, when(nr, refuse)...)
	}
	for _, nr := range slices.Concat([]uint32{unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2, unix.SYS_UTIMENSAT}, modeCallsHere) {
		rules = append(rules, when(nr, ask)...)
	}
	own := func(nr, which uint32) { // its own is 0
		rules = append(rules, when(nr, arg(which), bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipFalse: 1}, permit, ask)...)
	}
	for _, nr := range []uint32{unix.SYS_SCHED_SETAFFINITY, unix.SYS_SCHED_SETSCHEDULER, unix.SYS_SCHED_SETPARAM, unix.SYS_SCHED_SETATTR} {
		own(nr, 0)
	}
	const user, ioUser = 2, 3 // PRIO_USER, IOPRIO_WHO_USER
	for nr, all := range map[uint32]uint32{unix.SYS_SETPRIORITY: user, unix.SYS_IOPRIO_SET: ioUser} {
		rules = append(rules, when(nr, arg(0), bpf.JumpIf{Cond: bpf.JumpEqual, Val: all, SkipFalse: 1}, refuse,
			arg(1), bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipFalse: 1}, permit, ask)...)
	}
	return rules
}

// socketRules decide on socket(domain, type, protocol).
func socketRules(allow sockets, arg func(uint32) bpf.Instruction, ret func(uint32) bpf.Instruction) []bpf.Instruction {
	permit, refuse := ret(unix.SECCOMP_RET_ALLOW), ret(unix.SECCOMP_RET_ERRNO|uint32(unix.EACCES))
	rules := []bpf.Instruction{arg(0)}
	domain := func(d uint32, do ...bpf.Instruction) {
		rules = append(rules, bpf.JumpIf{Cond: bpf.JumpEqual, Val: d, SkipFalse: uint8(len(do))})
		rules = append(rules, do...)
	}
	if allow.unixAny {
		domain(unix.AF_UNIX, permit)
	}
	for _, d := range []uint32{unix.AF_INET, unix.AF_INET6} {
		switch {
		case allow.inet: // no raw sockets
			domain(d, arg(1), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SOCK_RAW, SkipFalse: 1}, refuse, permit)
		case allow.tcp: // and not MPTCP, which Landlock does not know
			domain(d, arg(1), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SOCK_STREAM, SkipTrue: 1}, refuse,
				arg(2), bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 2}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.IPPROTO_TCP, SkipTrue: 1}, refuse, permit)
		}
	}
	if allow.inet || allow.loopback { // getaddrinfo and others list the interfaces
		domain(unix.AF_NETLINK, arg(2), bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.NETLINK_ROUTE, SkipFalse: 1}, permit, refuse)
	}
	return append(rules, refuse)
}

// restrictCalls installs the filter on this thread, and on what it begins. It returns the
// descriptor by which a filter that asks is answered, else -1.
func restrictCalls(allow sockets) (int, error) {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return -1, fmt.Errorf("no_new_privs: %w", err)
	}
	if allow.bare {
		if fd, err := install(allow, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER); err == nil {
			return fd, nil
		}
		allow.deaf = true // a container's engine listens already
	}
	_, err := install(allow, 0)
	return -1, err
}

func install(allow sockets, flags uintptr) (int, error) {
	raw, err := filter(allow)
	if err != nil {
		return -1, err
	}
	list := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		list[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	prog := unix.SockFprog{Len: uint16(len(list)), Filter: &list[0]}
	fd, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	if e != 0 {
		return -1, fmt.Errorf("system call filter: %w", e)
	}
	return int(fd), nil
}
