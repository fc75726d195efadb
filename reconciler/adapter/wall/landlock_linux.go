// Files, ports and signals by Landlock, on this thread and what it begins
// (https://docs.kernel.org/userspace-api/landlock.html).
package wall

import (
	"errors"
	"fmt"
	"path/filepath"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// Rights, by what a place is for.
const (
	readFile  = ll.AccessFSExecute | ll.AccessFSReadFile
	readTree  = readFile | ll.AccessFSReadDir
	writeFile = readFile | ll.AccessFSWriteFile | ll.AccessFSTruncate
	writeTree = readTree | ll.AccessFSWriteFile | ll.AccessFSTruncate | ll.AccessFSRemoveDir | ll.AccessFSRemoveFile |
		ll.AccessFSMakeDir | ll.AccessFSMakeReg | ll.AccessFSMakeSock | ll.AccessFSMakeFifo | ll.AccessFSMakeSym | ll.AccessFSRefer
	device   = ll.AccessFSReadFile | ll.AccessFSWriteFile | ll.AccessFSIoctlDev
	allFiles = writeTree | ll.AccessFSMakeChar | ll.AccessFSMakeBlock | ll.AccessFSIoctlDev | ll.AccessFSResolveUnix
)

// handled are the rights that a version of the interface knows.
func handled(abi int) uint64 {
	all := uint64(allFiles)
	if abi < filesRefer {
		all &^= ll.AccessFSRefer
	}
	if abi < filesTruncate {
		all &^= ll.AccessFSTruncate
	}
	if abi < deviceControls {
		all &^= ll.AccessFSIoctlDev
	}
	if abi < namedSockets {
		all &^= ll.AccessFSResolveUnix
	}
	return all
}

// landlockVersion is that of the running kernel; 0 is none.
func landlockVersion() int {
	v, err := ll.LandlockGetABIVersion()
	if err != nil {
		return 0
	}
	return v
}

// rules are what a domain allows.
type rules struct {
	read, write, devices []string
	ports                bool   // TCP is limited to what follows
	bind, connect        uint16 // one port each; 0 is none
	sockets              bool   // abstract Unix sockets of others may be connected to
}

// restrictFiles puts this thread into a domain with these rules.
func restrictFiles(r rules, abi int) error {
	attr := ll.RulesetAttr{HandledAccessFS: handled(abi)}
	if r.ports && abi >= tcpPorts {
		attr.HandledAccessNet = ll.AccessNetBindTCP | ll.AccessNetConnectTCP
	}
	if abi >= scopedSignals {
		attr.Scoped = ll.ScopeSignal
		if !r.sockets {
			attr.Scoped |= ll.ScopeAbstractUnixSocket
		}
	}
	set, err := ll.LandlockCreateRuleset(&attr, 0)
	if err != nil {
		return fmt.Errorf("Landlock: %w", err)
	}
	defer unix.Close(set)
	for _, group := range []struct {
		paths      []string
		tree, file uint64
	}{{r.read, readTree, readFile}, {r.write, writeTree, writeFile}, {r.devices, device, device}} {
		for _, path := range group.paths {
			if err := allow(set, path, group.tree, group.file, attr.HandledAccessFS); err != nil {
				return err
			}
		}
	}
	for port, right := range map[uint16]uint64{r.bind: ll.AccessNetBindTCP, r.connect: ll.AccessNetConnectTCP} {
		if port == 0 || attr.HandledAccessNet == 0 {
			continue
		}
		if err := ll.LandlockAddNetPortRule(set, &ll.NetPortAttr{AllowedAccess: right, Port: uint64(port)}, 0); err != nil {
			return fmt.Errorf("Landlock: allow port %d: %w", port, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	if err := ll.LandlockRestrictSelf(set, 0); err != nil {
		return fmt.Errorf("Landlock: %w", err)
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
		return fmt.Errorf("Landlock: open %s: %w", path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("Landlock: look at %s: %w", path, err)
	}
	rights := file
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		rights = tree
	}
	if err := ll.LandlockAddPathBeneathRule(set, &ll.PathBeneathAttr{AllowedAccess: rights & known, ParentFd: fd}, 0); err != nil {
		return fmt.Errorf("Landlock: allow %s: %w", path, err)
	}
	return nil
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
