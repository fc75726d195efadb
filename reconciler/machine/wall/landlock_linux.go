// Files, ports and signals by Landlock, on this thread and what it begins
// (https://docs.kernel.org/userspace-api/landlock.html). Three system calls are made here
// and not by go-landlock: it restricts every thread of the program, and the one that ends
// a command is not to stand behind the command's wall.

package wall

import (
	"errors"
	"fmt"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// These are newer than the table of x/sys.
const (
	resolveUnix = 1 << 16
	ruleNetPort = 2
)

// Rights, by what a place is for.
const (
	readFile  = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE
	readTree  = readFile | unix.LANDLOCK_ACCESS_FS_READ_DIR
	writeFile = readFile | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	writeTree = readTree | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_SYM | unix.LANDLOCK_ACCESS_FS_REFER
	device   = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	allFiles = writeTree | unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV | resolveUnix
)

// handled are the rights that a version of the interface knows.
func handled(abi int) uint64 {
	all := uint64(allFiles)
	if abi < filesRefer {
		all &^= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi < filesTruncate {
		all &^= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi < deviceControls {
		all &^= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if abi < namedSockets {
		all &^= resolveUnix
	}
	return all
}

// landlockVersion is that of the running kernel; 0 is none.
func landlockVersion() int {
	v, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if e != 0 {
		return 0
	}
	return int(v)
}

// rules are what a domain allows.
type rules struct {
	read, write, devices []string
	ports                bool   // TCP connects nowhere, and listens at bind alone
	bind                 uint16 // 0 is none
}

// restrictFiles puts this thread into a domain with these rules.
func restrictFiles(r rules, abi int) error {
	attr := unix.LandlockRulesetAttr{Handled_access_fs: handled(abi)}
	if r.ports && abi >= tcpPorts {
		attr.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if abi >= scopedSignals {
		attr.Scoped = unix.LANDLOCK_SCOPE_SIGNAL | unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
	}
	fd, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if e != 0 {
		return fmt.Errorf("restrict by Landlock: %w", e)
	}
	set := int(fd)
	defer unix.Close(set)
	for _, group := range []struct {
		paths      []string
		tree, file uint64
	}{{r.read, readTree, readFile}, {r.write, writeTree, writeFile}, {r.devices, device, device}} {
		for _, path := range group.paths {
			if err := allow(set, path, group.tree, group.file, attr.Handled_access_fs); err != nil {
				return err
			}
		}
	}
	if r.bind != 0 && attr.Handled_access_net != 0 {
		rule := struct{ access, port uint64 }{unix.LANDLOCK_ACCESS_NET_BIND_TCP, uint64(r.bind)} // struct landlock_net_port_attr
		if e := addRule(set, ruleNetPort, unsafe.Pointer(&rule)); e != 0 {
			return fmt.Errorf("restrict by Landlock: allow port %d: %w", r.bind, e)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	if _, _, e := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(set), 0, 0); e != 0 {
		return fmt.Errorf("restrict by Landlock: %w", e)
	}
	return nil
}

// allow adds one place; one that is not there needs no rule.
func allow(set int, path string, tree, file, known uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EACCES) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("restrict by Landlock: open %s: %w", path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("restrict by Landlock: look at %s: %w", path, err)
	}
	rights := file
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		rights = tree
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights & known, Parent_fd: int32(fd)}
	if e := addRule(set, unix.LANDLOCK_RULE_PATH_BENEATH, unsafe.Pointer(&rule)); e != 0 {
		return fmt.Errorf("restrict by Landlock: allow %s: %w", path, e)
	}
	return nil
}

func addRule(set, kind int, rule unsafe.Pointer) unix.Errno {
	_, _, e := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(set), uintptr(kind), uintptr(rule), 0, 0, 0)
	return e
}

// expand lists what the patterns of devices match.
func expand(patterns []string) (found []string) {
	for _, p := range patterns {
		if all, err := filepath.Glob(p); err == nil && filepath.IsAbs(p) {
			found = append(found, all...)
		}
	}
	return found
}
