// Who is at the other end of a Unix socket, as the kernel says (unix(7), SO_PEERCRED).

package server

import "golang.org/x/sys/unix"

// peer is the user and the process at the other end of the socket fd. A process that this one's namespace does not have is 0.
func peer(fd int) (uid, pid int, err error) {
	c, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return -1, 0, err
	}
	return int(c.Uid), int(c.Pid), nil
}
