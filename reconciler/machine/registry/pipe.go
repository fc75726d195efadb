// A pipe between what makes bytes and what sends them: the one reads and checks the next few MiB
// while the other hashes and sends the last.

package registry

import (
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

const (
	pipeBuffer  = 1 << 20
	pipeBuffers = 4
)

// errStopped ends whoever makes bytes that nobody takes any more.
var errStopped = errors.New("nobody takes the bytes any more")

// pipe hands on what is written after the first skip bytes. All of it is hashed, by who takes it: who
// makes it has mostly hashed the same bytes by another name.
type pipe struct {
	skip int64
	sum  hash.Hash // of all, where Read yields io.EOF

	full    chan []byte
	free    chan []byte
	stopped chan struct{}
	once    sync.Once
	done    chan struct{} // closed when nothing is written any more
	err     error         // why; read after done
	buf     []byte        // being written

	reading sync.Mutex // a client may read on when its request has ended
	left    []byte
	taken   []byte
}

func newPipe(skip int64) *pipe {
	p := &pipe{skip: skip, sum: sha256.New(), full: make(chan []byte, pipeBuffers), free: make(chan []byte, pipeBuffers), stopped: make(chan struct{}), done: make(chan struct{})}
	for range pipeBuffers {
		p.free <- nil
	}
	return p
}

// fill has write write, and ends.
func (p *pipe) fill(write func(io.Writer) error) {
	defer close(p.done)
	err := fault.Guard(func() error { return write(p) })
	if err == nil && len(p.buf) > 0 {
		err = p.hand()
	}
	p.err = err
	close(p.full)
}

// stop ends the pipe, and waits until nothing is written any more.
func (p *pipe) stop() {
	p.once.Do(func() { close(p.stopped) })
	<-p.done
}

// failed is why what was written has no end; nil: it has one, or nobody took it. It is asked
// after stop.
func (p *pipe) failed() error {
	if errors.Is(p.err, errStopped) {
		return nil
	}
	return p.err
}

func (p *pipe) Write(b []byte) (n int, err error) {
	n = len(b)
	for len(b) > 0 {
		if p.buf == nil {
			select {
			case p.buf = <-p.free:
			case <-p.stopped:
				return 0, errStopped
			}
			if p.buf == nil {
				p.buf = make([]byte, 0, pipeBuffer)
			}
		}
		take := min(len(b), cap(p.buf)-len(p.buf))
		p.buf = append(p.buf, b[:take]...)
		b = b[take:]
		if len(p.buf) == cap(p.buf) {
			if err := p.hand(); err != nil {
				return 0, err
			}
		}
	}
	select {
	case <-p.stopped:
		return 0, errStopped
	default:
		return n, nil
	}
}

func (p *pipe) hand() error {
	select {
	case p.full <- p.buf:
		p.buf = nil
		return nil
	case <-p.stopped:
		return errStopped
	}
}

func (p *pipe) Read(b []byte) (int, error) {
	p.reading.Lock()
	defer p.reading.Unlock()
	for len(p.left) == 0 {
		if p.taken != nil {
			p.free <- p.taken[:0]
			p.taken = nil
		}
		select {
		case <-p.stopped:
			return 0, errStopped
		case next, more := <-p.full:
			if !more {
				<-p.done
				if p.err != nil {
					return 0, p.err
				}
				return 0, io.EOF
			}
			p.sum.Write(next)
			drop := min(p.skip, int64(len(next)))
			p.skip -= drop
			p.taken, p.left = next, next[drop:]
		}
	}
	n := copy(b, p.left)
	p.left = p.left[n:]
	return n, nil
}
