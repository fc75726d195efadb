// System calls that no run needs and that open the kernel or other processes to it.
// The filter is written here and not by a library: the kept ones let the calls of
// another architecture through (int 0x80 on x86), which is every refused call again.
package wall

import (
	"fmt"
	"runtime"
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

// Sockets says which of them a filter lets a command make.
type sockets struct {
	inet     bool // IPv4 and IPv6, all protocols
	tcp      bool // IPv4 and IPv6, TCP alone: Landlock limits its ports
	unixAny  bool // Unix sockets; without it, connected pairs alone
	loopback bool // netlink, for a network of one's own
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
	// Typing into a terminal, or pasting, as if a person did (CVE-2017-5226).
	prog = append(prog, when(unix.SYS_IOCTL, arg(1),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.TIOCSTI, SkipTrue: 2}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.TIOCLINUX, SkipTrue: 1},
		ret(permit), ret(errno(unix.EPERM)))...)
	prog = append(prog, when(unix.SYS_SOCKET, socketRules(allow, arg, ret)...)...)
	if !allow.unixAny { // a pair of datagram sockets could still send to any path
		prog = append(prog, when(unix.SYS_SOCKETPAIR, arg(1), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SOCK_DGRAM, SkipFalse: 1}, ret(errno(unix.EPERM)), ret(permit))...)
	}
	return bpf.Assemble(append(prog, ret(permit)))
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

// restrictCalls installs the filter on this thread, and on what it begins.
func restrictCalls(allow sockets) error {
	raw, err := filter(allow)
	if err != nil {
		return err
	}
	list := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		list[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	prog := unix.SockFprog{Len: uint16(len(list)), Filter: &list[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog))); e != 0 {
		return fmt.Errorf("system call filter: %w", e)
	}
	return nil
}
