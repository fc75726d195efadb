// Bytes whose digest is known only when the last has been sent: one pass over them, a few MiB
// of them in memory. Where the way was cut, the registry is asked how much has arrived, and the
// bytes are made once more, of which the rest is sent.

package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	largePiece = 4 << 30   // bytes of a request
	smallPiece = leastPart // of one, where that is too many for somebody between
)

// Stream sends the size bytes that write writes as a blob, and tells what it is. write may be
// called again, and writes the same then. Where it fails, nothing is there.
func (a *Artifacts) Stream(ctx context.Context, name string, size int64, write func(w io.Writer) error) (ocispec.Descriptor, error) {
	ctx = a.pushing(ctx)
	up := &upload{a: a, name: name, size: size, piece: largePiece}
	for try := 1; ; try++ {
		before := up.sent
		made := newPipe(up.sent)
		fault.Go(func() { made.fill(write) }, func(error) {}) // what writes is guarded
		err := up.pass(ctx, made)
		made.stop()
		if why := made.failed(); why != nil {
			err = why // of write's own: asking again does not mend it
		} else if err == nil {
			return up.finish(ctx, godigest.NewDigest(godigest.SHA256, made.sum))
		} else if up.smaller() {
			err = fault.New(fault.Transient, "%s: it takes smaller pieces", a.b.name(name))
		}
		if made.failed() != nil || try >= tries || fault.Of(err) != fault.Transient {
			up.end(context.WithoutCancel(ctx))
			return ocispec.Descriptor{}, err
		}
		if err := a.b.rest(ctx, name, try); err != nil {
			return ocispec.Descriptor{}, err
		}
		if up.resume(ctx); up.sent > before {
			try = 0
		}
	}
}

// upload is a blob that is being sent.
type upload struct {
	a     *Artifacts
	name  string
	at    string // where the next piece goes; "" where it is not begun
	sent  int64
	size  int64
	piece int64
	// tooLarge says that a request had more bytes than somebody takes.
	tooLarge bool
}

// pass sends what is made, from where the upload is.
func (u *upload) pass(ctx context.Context, made *pipe) error {
	if u.at == "" {
		if err := u.ask(ctx, question{method: http.MethodPost, at: u.a.address("uploads/"), want: http.StatusAccepted}, nil); err != nil {
			return err
		}
	}
	for u.sent < u.size {
		n := min(u.piece, u.size-u.sent)
		q := question{method: http.MethodPatch, at: u.at, want: http.StatusAccepted, body: io.NopCloser(io.LimitReader(made, n)), length: n, header: http.Header{"Content-Type": {"application/octet-stream"}}}
		if u.sent > 0 || n < u.size {
			q.header["Content-Range"] = []string{fmt.Sprintf("%d-%d", u.sent, u.sent+n-1)}
		}
		if err := u.ask(ctx, q, nil); err != nil {
			return err
		}
		u.sent += n
	}
	_, err := made.Read(make([]byte, 1)) // its end, where what was read has been checked
	if err == nil {
		return fault.New(fault.Internal, "%s: there are more bytes than %d", u.a.b.name(u.name), u.size)
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// smaller tells whether a request had too many bytes for somebody, and makes the next ones
// smaller.
func (u *upload) smaller() bool {
	if !u.tooLarge || u.piece == smallPiece || u.size <= smallPiece {
		return false
	}
	u.piece = smallPiece
	return true
}

// resume finds out how much has arrived. An upload that is lost is begun anew.
func (u *upload) resume(ctx context.Context) {
	has, known := u.arrived(ctx)
	if !known || has > u.size {
		u.at, has = "", 0
	}
	u.sent = has
}

// question is a request of an upload, and the answer that is wanted.
type question struct {
	method, at string
	body       io.ReadCloser
	length     int64
	header     http.Header
	want       int
}

// ask asks, and goes on from where the answer leads. also reads the answer; nil is nothing.
func (u *upload) ask(ctx context.Context, q question, also func(*http.Response)) error {
	req, err := http.NewRequestWithContext(ctx, q.method, q.at, http.NoBody)
	if err != nil {
		return fault.New(fault.Invalid, "%s: an address cannot be read", u.a.b.name(u.name))
	}
	if q.body != nil {
		req.Body, req.ContentLength, req.Header = q.body, q.length, q.header
	}
	resp, err := u.a.b.repo.Client.Do(req)
	if err != nil {
		return u.a.b.classed(ctx, u.name, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != q.want {
		u.tooLarge = u.tooLarge || resp.StatusCode == http.StatusRequestEntityTooLarge
		return u.a.b.classed(ctx, u.name, answered(resp))
	}
	if also != nil {
		also(resp)
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

// arrived asks how many bytes the registry has.
func (u *upload) arrived(ctx context.Context) (n int64, known bool) {
	if u.at == "" {
		return 0, false
	}
	err := u.ask(ctx, question{method: http.MethodGet, at: u.at, want: http.StatusNoContent}, func(resp *http.Response) {
		_, last, ok := strings.Cut(resp.Header.Get("Range"), "-")
		end, err := strconv.ParseInt(last, 10, 64)
		if known = ok && err == nil && end >= 0; known && end > 0 {
			n = end + 1 // and 0-0 is said of nothing, as no piece has one byte
		}
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
	if u.at == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if resp, err := u.a.do(u.a.pushing(ctx), http.MethodDelete, u.at); err == nil {
		resp.Body.Close()
	}
}
