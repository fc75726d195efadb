//go:build linux

// What the two sides of the wall say to each other: small JSON over a socket pair
// that the command never has, with a descriptor beside it where one is handed over.

package wall

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// inner is the descriptor of the inner side's socket, the first of ExtraFiles.
const inner = 3

// message is one of either side's; one field is set, but for the report beside Begun.
type message struct {
	Work    bool    `json:"work,omitempty"`    // out to in, with the work in a descriptor; then output and errors, where they were not known before
	Dial    int     `json:"dial,omitempty"`    // out to in: hand over a connection to this port
	Failed  string  `json:"failed,omitempty"`  // in to out: the wall could not be built, or a dial failed
	Machine bool    `json:"machine,omitempty"` // beside Failed: the machine does not allow it
	Lacks   bool    `json:"lacks,omitempty"`   // in to out, beside the report: nothing was begun, as guarantees that are asked for lack
	Begun   bool    `json:"begun,omitempty"`   // in to out; with the proxy's listener where there is one
	Report  *Report `json:"report,omitempty"`
	End     *End    `json:"end,omitempty"`    // in to out, the last one
	Dialed  bool    `json:"dialed,omitempty"` // in to out, with the connection
}

// work is what the inner side is to do.
type work struct {
	Spec  Spec     `json:"spec"`
	Stage Level    `json:"stage"`
	Path  string   `json:"path"`
	Args  []string `json:"args"`
	Env   []string `json:"env"`
	Dir   string   `json:"dir"`
	UID   int      `json:"uid,omitempty"` // the command's, where it is not the caller's
}

const maxMessage = 64 << 10

// send writes one message, and hands over what of fds is not negative.
func send(socket int, m message, fds ...int) error {
	raw, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	var rights []byte
	if fds = slices.DeleteFunc(fds, func(fd int) bool { return fd < 0 }); len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	for {
		err := unix.Sendmsg(socket, raw, rights, nil, unix.MSG_NOSIGNAL)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// receive reads one message, and the descriptor that came with it, else -1. Its
// error is io.EOF once the other side is gone.
func receive(socket int) (message, int, error) {
	m, fds, err := receiveAll(socket)
	if len(fds) == 0 {
		return m, -1, err
	}
	for _, more := range fds[1:] {
		unix.Close(more)
	}
	return m, fds[0], err
}

// maxRights is how many descriptors may come with one message.
const maxRights = 3

// receiveAll reads one message with all its descriptors.
func receiveAll(socket int) (message, []int, error) {
	raw, rights := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4*maxRights))
	var n, oob int
	var err error
	for {
		n, oob, _, _, err = unix.Recvmsg(socket, raw, rights, unix.MSG_CMSG_CLOEXEC)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return message{}, nil, err
	}
	if n == 0 {
		return message{}, nil, io.EOF
	}
	var fds []int
	if oob > 0 {
		if parts, err := unix.ParseSocketControlMessage(rights[:oob]); err == nil && len(parts) > 0 {
			fds, _ = unix.ParseUnixRights(&parts[0])
		}
	}
	var m message
	if err := json.Unmarshal(raw[:n], &m); err != nil {
		return message{}, fds, fmt.Errorf("decode message: %w", err)
	}
	return m, fds, nil
}

// pack puts the work into memory that has a descriptor.
func pack(w work) (*os.File, error) {
	raw, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encode work: %w", err)
	}
	fd, err := unix.MemfdCreate("vishwa-work", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("hand over work: %w", err)
	}
	f := os.NewFile(uintptr(fd), "work")
	if _, err := f.WriteAt(raw, 0); err != nil {
		f.Close()
		return nil, fmt.Errorf("hand over work: %w", err)
	}
	return f, nil
}

// unpack reads what pack wrote, and closes it.
func unpack(fd int) (w work, err error) {
	f := os.NewFile(uintptr(fd), "work")
	defer f.Close()
	raw, err := io.ReadAll(io.NewSectionReader(f, 0, 64<<20))
	if err == nil {
		err = json.Unmarshal(raw, &w)
	}
	if err != nil {
		return w, fmt.Errorf("read work: %w", err)
	}
	return w, nil
}
