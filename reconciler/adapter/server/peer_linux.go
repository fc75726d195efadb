// Who is at the other end of a Unix socket, as the kernel says (unix(7), SO_PEERCRED).

package server

import "golang.org/x/sys/unix"

// peer is the user at the other end of the socket fd.
func peer(fd int) (uid int, err error) {
	c, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return -1, err
	}
	return int(c.Uid), nil
}
