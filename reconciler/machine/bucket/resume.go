// A body that goes on where it was cut off.

package bucket

import (
	"context"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	dialling "github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/port"
)

const (
	tries = 4                      // in a row that bring nothing, before a body is given up
	pause = 100 * time.Millisecond // before the second, doubled before each further one
	stall = time.Minute            // without a byte either way, after which a connection counts as cut
)

// answer is a body that must have the length that was promised.
type answer struct {
	b    *s3
	ctx  context.Context
	body io.ReadCloser
	key  string
	etag string
	at   int64 // in the object
	left int64
	idle int // tries that have brought nothing
}

func (a *answer) Read(p []byte) (int, error) {
	for {
		n, err := a.body.Read(p)
		a.at, a.left = a.at+int64(n), a.left-int64(n)
		if n > 0 {
			a.idle = 0
		}
		switch {
		case err == nil, err == io.EOF && a.left <= 0:
			return n, err
		case err == io.EOF:
			err = fault.New(fault.Transient, "read %s: the answer ended %d bytes early", a.b.name(a.key), a.left)
		default:
			err = a.b.classed(a.ctx, a.key, err)
		}
		if fault.Of(err) != fault.Transient || a.etag == "" {
			return n, err // without a tag, the rest may be another object's
		}
		if err := a.again(err); err != nil || n > 0 {
			return n, err
		}
	}
}

// again opens what is left of the same object. why is what cut the body off.
func (a *answer) again(why error) error {
	a.body.Close()
	a.body = io.NopCloser(cutOff{why})
	for a.idle++; a.idle < tries; a.idle++ {
		select {
		case <-time.After(pause << (a.idle - 1)):
		case <-a.ctx.Done():
			return fault.New(fault.Cancelled, "read %s: %w", a.b.name(a.key), a.ctx.Err())
		}
		body, left, _, err := a.b.open(a.ctx, a.key, port.Range{Offset: a.at, Length: a.left, ETag: a.etag})
		switch {
		case err == nil && left == a.left:
			a.body = body
			return nil
		case err == nil: // the object has another length than was promised
			body.Close()
			return why
		case fault.Of(err) == fault.Corrupt: // this server has no pieces
			return why
		case fault.Of(err) != fault.Transient:
			return err
		}
		why = err
	}
	return why
}

func (a *answer) Close() error { return a.body.Close() }

// cutOff yields why there is no more.
type cutOff struct{ error }

func (c cutOff) Read([]byte) (int, error) { return 0, c.error }

// dial is how a server is connected to: a connection over which nothing goes for too
// long, in either direction, is at its end.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: elsewhere}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &lively{c}, nil
}

// guard is dial, where the server may be.
func (o S3Options) guard(server string) (func(ctx context.Context, network, address string) (net.Conn, error), error) {
	g, err := dialling.NewGuard(o.named(server))
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := g.Dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &lively{c}, nil
	}, nil
}

// named is the name that is dialled, and what is allowed: of a host whose name a bucket's
// stands before, that too.
func (o S3Options) named(server string) (host string, allow []string) {
	host, _, err := net.SplitHostPort(server)
	if err != nil {
		host = server
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if o.PathStyle == nil || *o.PathStyle {
		return host, o.Allow
	}
	own := o.Bucket + "." + host
	if slices.ContainsFunc(o.Allow, func(a string) bool { return strings.EqualFold(a, host) }) {
		return own, append(slices.Clone(o.Allow), own)
	}
	return own, o.Allow
}

// elsewhere refuses the addresses of a machine's own link, where clouds have their
// metadata: an endpoint may be written by anybody who opens a pull request.
func elsewhere(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || at.Addr().Unmap().IsLinkLocalUnicast() || at.Addr().IsMulticast() {
		return fault.WithHint(fault.New(fault.Denied, "%s is not an address of a server of S3", address), "correct the endpoint")
	}
	return nil
}

// lively is a connection whose every byte puts its end off.
type lively struct{ net.Conn }

func (l *lively) Read(p []byte) (int, error) {
	if err := l.SetDeadline(time.Now().Add(stall)); err != nil {
		return 0, err
	}
	return l.Conn.Read(p)
}

func (l *lively) Write(p []byte) (int, error) {
	if err := l.SetDeadline(time.Now().Add(stall)); err != nil {
		return 0, err
	}
	return l.Conn.Write(p)
}

// ReadFrom sends what r yields in pieces that are as large as a call to the system is worth, and small enough that a slow line takes one in time.
func (l *lively) ReadFrom(r io.Reader) (int64, error) {
	piece, _ := pieces.Get().(*[pieceSize]byte)
	defer pieces.Put(piece)
	return io.CopyBuffer(struct{ io.Writer }{l}, struct{ io.Reader }{r}, piece[:])
}

const pieceSize = 256 << 10 // in a minute: 4 KiB a second

var pieces = sync.Pool{New: func() any { return new([pieceSize]byte) }}
