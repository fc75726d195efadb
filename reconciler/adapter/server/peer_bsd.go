//go:build darwin || freebsd

// Who is at the other end of a Unix socket, as the kernel says (unix(4), LOCAL_PEERCRED).

package server

import "golang.org/x/sys/unix"

// peer is the user at the other end of the socket fd. Which process it is, not all of these systems tell.
func peer(fd int) (uid, pid int, err error) {
	c, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return -1, 0, err
	}
	return int(c.Uid), 0, nil
}
