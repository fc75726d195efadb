// Connections to a command, which is in a network of its own: the inner side hands them over.

package wall

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// answer is one to a dial.
type answer struct {
	fd  int
	err error
}

// Dial connects to a port of the command's on 127.0.0.1, in whichever network it is.
func (in *Inside) Dial(ctx context.Context, port int) (net.Conn, error) {
	if in.Report.Level != string(Namespaces) || in.Report.Network == (Network{All: true}).String() {
		return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	}
	select { // one dial at a time
	case in.turn <- struct{}{}:
		defer func() { <-in.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case <-in.heard: // the socket's number may be another's by now
		return nil, fmt.Errorf("dial: it has ended")
	default:
	}
	in.forget()
	if err := send(in.socket, message{Dial: port}, -1); err != nil {
		return nil, fmt.Errorf("dial: it has ended")
	}
	select {
	case a := <-in.asked:
		if a.err != nil {
			return nil, a.err
		}
		f := os.NewFile(uintptr(a.fd), "connection")
		defer f.Close()
		return net.FileConn(f)
	case <-in.heard:
		return nil, fmt.Errorf("dial: it has ended")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// forget closes what answered a dial that was given up.
func (in *Inside) forget() {
	select {
	case a := <-in.asked:
		if a.fd >= 0 {
			unix.Close(a.fd)
		}
	default:
	}
}
