// The first rung's own world: a root folder that holds what was given and nothing else,
// a process table, devices, and a network with a loopback interface alone.

package wall

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// ProxyPort is where the egress proxy is found from within.
const ProxyPort = 3128

// place is one thing of the machine that is shown at the same path.
type place struct {
	path  string
	write bool
	dev   bool
	moved bool // it is shown at another path than its own
	fd    int  // a detached copy of its mount
	dir   bool
	link  string // it is a symbolic link with this target
	data  []byte // a copy, of a file that its command's own user could not read
}

// errConfined is a security module's answer, such as AppArmor's in a container.
var errConfined = errors.New("make mounts private: a security module around this program forbids mounts")

// enclose makes the world and moves into it. It returns the proxy's listener, or -1.
func (i *inside) enclose() (int, error) {
	s := i.work.Spec
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		if errors.Is(err, unix.EACCES) {
			return -1, errConfined
		}
		return -1, fmt.Errorf("make mounts private: %w", err)
	}
	places, err := i.openPlaces()
	if err != nil {
		return -1, err
	}
	const base = "/tmp" // anything that is there; it is covered for a moment, and only here
	if err := unix.Mount("vishwa", base, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,size=4m,nr_inodes=4096"); err != nil {
		return -1, fmt.Errorf("make root folder: %w", err)
	}
	if err := i.inMemory(base); err != nil { // first: what is given may lie in it
		return -1, err
	}
	for _, p := range places {
		if err := p.show(base, i.work.UID); err != nil {
			return -1, fmt.Errorf("show %s: %w", p.path, err)
		}
	}
	if err := i.furnish(base); err != nil {
		return -1, err
	}
	if err := unix.Chdir(base); err != nil {
		return -1, fmt.Errorf("enter root folder: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil { // pivot_root(2): the old root is stacked over the new one
		return -1, fmt.Errorf("change root folder: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return -1, fmt.Errorf("leave old root folder: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return -1, err
	}
	if err := unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, ""); err != nil {
		return -1, fmt.Errorf("protect root folder: %w", err)
	}
	_ = unix.Sethostname([]byte(hostname))
	if s.Network.All {
		return -1, nil
	}
	if err := loopback(); err != nil {
		return -1, fmt.Errorf("set up loopback: %w", err)
	}
	if len(s.Network.Hosts) == 0 {
		return -1, nil
	}
	return listen(ProxyPort)
}

// openPlaces opens copies of all that is shown, while the old root is still there.
func (i *inside) openPlaces() ([]place, error) {
	s := i.work.Spec
	var all []place
	add := func(path string, write, dev, must bool) error {
		if slices.ContainsFunc(all, func(p place) bool { return p.path == path && p.write == write }) {
			return nil
		}
		p := place{path: path, write: write, dev: dev, fd: -1}
		if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSymlink != 0 && slices.Contains(systemTrees, path) {
			p.link, _ = os.Readlink(path)
			all = append(all, p)
			return nil
		}
		err := p.open()
		if err == nil && i.work.UID != 0 {
			err = p.copy()
		}
		if err == nil {
			all = append(all, p)
		} else if must || !(errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOTDIR)) {
			return fmt.Errorf("show %s: %w", path, err)
		}
		return nil
	}
	i.hosts = hosts()
	for _, group := range []struct {
		paths            []string
		write, dev, must bool
	}{
		{systemTrees, false, false, false}, {i.systemFiles(), false, false, false}, {kernelTrees, false, false, false},
		{plainDevices, true, true, false}, {expand(s.Devices), true, true, false},
		{s.Read, false, false, false}, // what this user may not read itself, a folder of PATH perhaps, is not there
		{s.Give, false, false, true}, {s.Shared, true, false, true}, {s.Write, true, false, true},
	} {
		for _, path := range group.paths {
			if err := add(path, group.write, group.dev, group.must); err != nil {
				return nil, err
			}
		}
	}
	if s.Tmp != "" {
		p := place{path: s.Tmp, write: true, fd: -1}
		if err := p.open(); err != nil {
			return nil, fmt.Errorf("show /tmp: %w", err)
		}
		p.path, p.moved = "/tmp", true
		all = append(all, p)
	}
	// What lies in another comes after it; what may be written after what may not.
	slices.SortStableFunc(all, func(a, b place) int { return strings.Compare(a.path, b.path) })
	return slices.DeleteFunc(all, func(p place) bool {
		twice := p.covered(all)
		if twice && p.fd >= 0 {
			unix.Close(p.fd)
		}
		return twice
	}), nil
}

// covered tells whether another place shows this one already.
func (p place) covered(all []place) bool {
	return !p.write && slices.ContainsFunc(all, func(o place) bool {
		return o.dir && !o.moved && o.path != p.path && Within(p.path, o.path)
	})
}

// open takes a copy of the mount at the place, with all below it, restricted.
func (p *place) open() error {
	fd, err := unix.OpenTree(unix.AT_FDCWD, p.path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return err
	}
	p.fd = fd
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	p.dir = st.Mode&unix.S_IFMT == unix.S_IFDIR
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NOSUID}
	if !p.write {
		attr.Attr_set |= unix.MOUNT_ATTR_RDONLY
	}
	if !p.dev {
		attr.Attr_set |= unix.MOUNT_ATTR_NODEV
	}
	return unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &attr)
}

// maxCopy bounds a file that is copied: settings are small.
const maxCopy = 256 << 10

// copy reads a file that others may not read: root may, and its command, which is
// another user, is to.
func (p *place) copy() error {
	var st unix.Stat_t
	if err := unix.Fstat(p.fd, &st); err != nil || p.dir || p.dev || p.write || st.Mode&0o004 != 0 {
		return err
	}
	if st.Size > maxCopy {
		return fmt.Errorf("it may be read by its owner alone: chmod o+r it")
	}
	raw, err := os.ReadFile(p.path)
	p.data = append([]byte{}, raw...)
	return err
}

// show puts the place below base; uid is the command's, or 0.
func (p *place) show(base string, uid int) error {
	to := base + p.path
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	switch {
	case p.link != "":
		return os.Symlink(p.link, to)
	case p.dir:
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
	default:
		f, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o444)
		if err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		f.Close()
	}
	defer unix.Close(p.fd)
	if p.data != nil {
		if err := os.Chmod(to, 0o400); err != nil {
			return err
		}
		return errors.Join(os.WriteFile(to, p.data, 0o400), os.Lchown(to, uid, uid))
	}
	return unix.MoveMount(p.fd, "", unix.AT_FDCWD, to, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// inMemory adds the world's own /dev/shm, and its own /tmp where it is given none.
func (i *inside) inMemory(base string) error {
	for _, dir := range []string{"/dev/shm", "/tmp"} {
		if err := os.MkdirAll(base+dir, 0o755); err != nil {
			return err
		}
	}
	if i.work.Spec.Tmp == "" {
		if err := unix.Mount("tmp", base+"/tmp", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777,size=64m"); err != nil {
			return fmt.Errorf("make /tmp: %w", err)
		}
	}
	shm := "mode=1777"
	if m := i.work.Spec.Limits.Memory; m > 0 {
		shm += fmt.Sprintf(",size=%d", m/2)
	}
	if err := unix.Mount("shm", base+"/dev/shm", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, shm); err != nil {
		return fmt.Errorf("make /dev/shm: %w", err)
	}
	return nil
}

// furnish adds what is the world's own.
func (i *inside) furnish(base string) error {
	for _, dir := range []string{"/proc", "/var", "/run", "/etc"} {
		if err := os.MkdirAll(base+dir, 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount("proc", base+"/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("make /proc: %w", err)
	}
	for name, target := range map[string]string{"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0", "/dev/stdout": "/proc/self/fd/1", "/dev/stderr": "/proc/self/fd/2", "/var/tmp": "/tmp", "/etc/mtab": "/proc/self/mounts"} {
		if err := os.Symlink(target, base+name); err != nil {
			return err
		}
	}
	uid, gid, home := os.Getuid(), os.Getgid(), "/tmp"
	if i.work.UID != 0 {
		uid, gid = i.work.UID, i.work.UID
	}
	for _, v := range i.work.Env {
		if h, ok := strings.CutPrefix(v, "HOME="); ok {
			home = h
		}
	}
	for name, text := range map[string]string{
		"/etc/passwd":   fmt.Sprintf("root:x:0:0:root:/:/usr/sbin/nologin\nvishwa:x:%d:%d:run:%s:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n", uid, gid, home),
		"/etc/group":    fmt.Sprintf("root:x:0:\nvishwa:x:%d:\nnogroup:x:65534:\n", gid),
		"/etc/hostname": hostname + "\n",
		"/etc/hosts":    i.hosts,
	} {
		if name == "/etc/hosts" && there(base+name) {
			continue // the machine's own
		}
		if uid == 0 {
			text = strings.Replace(text, "root:x:0:0:root:/:", "root:x:0:0:root:"+home+":", 1)
		}
		if err := os.WriteFile(base+name, []byte(text), 0o444); err != nil {
			return err
		}
	}
	return nil
}

// hostname is how the world is called.
const hostname = "vishwa"

// hosts is the machine's table of names with the world's own, which programs ask for to reach themselves; "" where it
// cannot be read or is large: it is shown as it is, then.
func hosts() string {
	raw, err := os.ReadFile("/etc/hosts")
	if err != nil && !errors.Is(err, os.ErrNotExist) || len(raw) > maxCopy {
		return ""
	}
	return strings.TrimRight(string(raw), "\n") + "\n127.0.0.1\t" + hostname + "\n"
}

// systemFiles are those that are shown as the machine has them.
func (i *inside) systemFiles() []string {
	return slices.DeleteFunc(slices.Clone(systemFiles), func(p string) bool { return p == "/etc/hosts" && i.hosts != "" })
}

func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// loopback brings the interface lo up.
func loopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
}

// listen opens a port on 127.0.0.1 of this network, for the outer side to accept on.
func listen(port int) (int, error) {
	l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return -1, fmt.Errorf("listen for the proxy: %w", err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		return -1, err
	}
	defer f.Close()
	return unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
}
