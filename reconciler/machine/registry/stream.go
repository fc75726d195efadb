// Bytes whose digest is known only when the last has been sent: one pass over them, in pieces
// that are sent again where the way was cut, and a bounded number of them in memory.

package registry

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

const (
	streamPiece = 8 << 20  // bytes of a piece; two of each stream are in memory
	mostPiece   = 64 << 20 // that a registry may ask for at least
)

// Stream sends what write writes as a blob, and tells what it is. Where write fails, nothing
// is there.
func (a *Artifacts) Stream(ctx context.Context, name string, write func(w *Writer) error) (ocispec.Descriptor, error) {
	ctx = a.pushing(ctx)
	up, err := a.upload(ctx, name)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	w := &Writer{up: up, sum: sha256.New(), full: make(chan []byte), free: make(chan []byte, 2), done: make(chan struct{})}
	w.free <- nil
	w.free <- nil
	go w.send(ctx)
	err = write(w)
	if err == nil {
		err = w.flush()
	}
	close(w.full)
	<-w.done
	if err == nil || w.err != nil {
		err = w.err // it is why write could not go on
	}
	if err != nil {
		up.end(context.WithoutCancel(ctx))
		return ocispec.Descriptor{}, err
	}
	return up.finish(ctx, godigest.NewDigest(godigest.SHA256, w.sum))
}

// Writer takes the bytes of a stream. While one piece is on its way the next one is filled.
type Writer struct {
	up   *upload
	sum  hash.Hash
	buf  []byte
	full chan []byte
	free chan []byte
	done chan struct{} // closed when nothing is sent any more
	err  error         // why; read after done
}

func (w *Writer) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if w.buf == nil {
			select {
			case w.buf = <-w.free:
			case <-w.done:
				return n, w.err
			}
			if w.buf == nil {
				w.buf = make([]byte, 0, w.up.piece)
			}
		}
		take := min(len(p), cap(w.buf)-len(w.buf))
		w.buf = append(w.buf, p[:take]...)
		p, n = p[take:], n+take
		if len(w.buf) == cap(w.buf) {
			if err := w.flush(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// flush hands a piece over.
func (w *Writer) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	w.sum.Write(w.buf)
	select {
	case w.full <- w.buf:
		w.buf = nil
		return nil
	case <-w.done:
		return w.err
	}
}

func (w *Writer) send(ctx context.Context) {
	defer close(w.done)
	for p := range w.full {
		if w.err = w.up.sendPiece(ctx, p); w.err != nil {
			return
		}
		w.free <- p[:0]
	}
}

// upload is a blob that is being sent.
type upload struct {
	a     *Artifacts
	name  string
	at    string // where the next piece goes
	sent  int64
	piece int
}

func (a *Artifacts) upload(ctx context.Context, name string) (*upload, error) {
	u := &upload{a: a, name: name, piece: streamPiece}
	err := u.ask(ctx, question{method: http.MethodPost, at: a.address("uploads/"), want: http.StatusAccepted}, func(resp *http.Response) error {
		if least, err := strconv.Atoi(resp.Header.Get("OCI-Chunk-Min-Length")); err == nil && least > u.piece {
			if least > mostPiece {
				return fault.New(fault.Invalid, "the registry wants pieces of %d MiB at least", least>>20)
			}
			u.piece = least
		}
		return nil
	})
	return u, err
}

// question is a request of an upload, and the answer that is wanted.
type question struct {
	method, at string
	body       []byte
	header     http.Header
	want       int
}

// ask asks, and goes on from where the answer leads. also reads the answer; nil is nothing.
func (u *upload) ask(ctx context.Context, q question, also func(*http.Response) error) error {
	resp, err := u.a.do(ctx, q.method, q.at, q.body, q.header)
	if err != nil {
		return u.a.b.classed(ctx, u.name, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != q.want {
		return u.a.b.classed(ctx, u.name, answered(resp))
	}
	if also != nil {
		if err := also(resp); err != nil {
			return u.a.b.classed(ctx, u.name, err)
		}
	}
	if q.want == http.StatusCreated {
		return nil
	}
	to, err := u.a.led(resp)
	if err != nil {
		return u.a.b.classed(ctx, u.name, err)
	}
	u.at = to
	return nil
}

// sendPiece sends a piece. Where it is not known whether it arrived, the registry is asked how much
// has, and the rest is sent.
func (u *upload) sendPiece(ctx context.Context, p []byte) error {
	begun := u.sent
	for try := 1; ; try++ {
		rest := p[u.sent-begun:]
		if len(rest) == 0 {
			return nil
		}
		err := u.ask(ctx, question{method: http.MethodPatch, at: u.at, body: rest, want: http.StatusAccepted, header: http.Header{
			"Content-Type":  {"application/octet-stream"},
			"Content-Range": {fmt.Sprintf("%d-%d", u.sent, u.sent+int64(len(rest))-1)},
		}}, nil)
		if err == nil {
			u.sent += int64(len(rest))
			return nil
		}
		if try == tries || fault.Of(err) != fault.Transient {
			return err
		}
		if err := u.a.b.rest(ctx, u.name, try); err != nil {
			return err
		}
		if has, known := u.arrived(ctx); known {
			if has < begun || has > begun+int64(len(p)) {
				return fault.WithHint(fault.New(fault.Transient, "%s: the registry lost what was sent", u.a.b.name(u.name)), "run the command again: blobs that arrived whole are not sent again")
			}
			u.sent = has
		}
	}
}

// arrived asks how many bytes the registry has.
func (u *upload) arrived(ctx context.Context) (n int64, known bool) {
	err := u.ask(ctx, question{method: http.MethodGet, at: u.at, want: http.StatusNoContent}, func(resp *http.Response) error {
		_, last, ok := strings.Cut(resp.Header.Get("Range"), "-")
		end, err := strconv.ParseInt(last, 10, 64)
		if known = ok && err == nil && end >= 0; known && end > 0 {
			n = end + 1 // and 0-0 is said of nothing, as no piece has one byte
		}
		return nil
	})
	return n, err == nil && known
}

// finish names the blob.
func (u *upload) finish(ctx context.Context, d godigest.Digest) (ocispec.Descriptor, error) {
	desc := ocispec.Descriptor{Digest: d, Size: u.sent}
	to, err := url.Parse(u.at)
	if err != nil {
		return desc, fault.New(fault.Invalid, "%s: an address cannot be read", u.a.b.name(u.name))
	}
	q := to.Query()
	q.Set("digest", d.String())
	to.RawQuery = q.Encode()
	if err = u.ask(ctx, question{method: http.MethodPut, at: to.String(), want: http.StatusCreated}, nil); err == nil {
		return desc, nil
	}
	if there, asked := u.a.HasBlob(ctx, d, desc.Size); asked == nil && there {
		return desc, nil // the answer was lost, and not the blob
	}
	return desc, err
}

// end gives up what was sent; a registry clears away by itself what this does not.
func (u *upload) end(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if resp, err := u.a.do(u.a.pushing(ctx), http.MethodDelete, u.at, nil, nil); err == nil {
		resp.Body.Close()
	}
}
