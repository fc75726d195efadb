// Bytes on their way from a registry: part by part, each held against its digest, and
// gone on with where they were cut off.

package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func (b *repository) Get(ctx context.Context, key string, r port.Range) (io.ReadCloser, port.Object, error) {
	found, tag, err := b.manifest(ctx, key)
	if err != nil {
		return nil, port.Object{}, err
	}
	o := port.Object{Key: key, Size: found.size, ETag: tag.String()}
	if r.ETag != "" && r.ETag != o.ETag {
		return nil, o, fault.WithHint(fault.New(fault.Conflict, "%s has changed", b.name(key)), "run the command again")
	}
	n := r.Length
	if n < 0 || n > o.Size-r.Offset {
		n = max(0, o.Size-r.Offset)
	}
	body := &reader{b: b, ctx: ctx, key: key, pieces: pieces(found.layers, r.Offset, n)}
	if len(body.pieces) == 0 {
		return http.NoBody, o, nil
	}
	if err := body.begin(); err != nil {
		return nil, o, err
	}
	return body, o, nil
}

// piece is what is read of a part.
type piece struct {
	part ocispec.Descriptor
	at   int64 // in the part
	left int64
}

// pieces are those of n bytes from off on.
func pieces(layers []ocispec.Descriptor, off, n int64) (out []piece) {
	for _, l := range layers {
		if off >= l.Size {
			off -= l.Size
			continue
		}
		take := min(n, l.Size-off)
		if take <= 0 {
			break
		}
		out = append(out, piece{l, off, take})
		off, n = 0, n-take
	}
	return out
}

// reader reads pieces one after another.
type reader struct {
	b      *repository
	ctx    context.Context
	key    string
	pieces []piece // the first is being read
	body   io.ReadCloser
	sum    hash.Hash // of a part that is read as a whole
	idle   int       // tries that have brought nothing
	err    error     // final
}

// begin opens the first piece from its beginning.
func (r *reader) begin() (err error) {
	p := r.pieces[0]
	r.sum = nil
	if p.at == 0 && p.left == p.part.Size {
		r.sum = sha256.New()
	}
	r.body, err = r.b.open(r.ctx, r.key, p)
	if err != nil && fault.Of(err) == fault.Transient {
		err = r.again(err)
	}
	return err
}

func (r *reader) Read(buf []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.readPart(buf)
	r.err = err
	return n, err
}

func (r *reader) readPart(buf []byte) (int, error) {
	for len(buf) > 0 {
		p := &r.pieces[0]
		n, err := r.body.Read(buf[:min(int64(len(buf)), p.left)])
		if n > 0 {
			r.idle = 0
			p.at, p.left = p.at+int64(n), p.left-int64(n)
			if r.sum != nil {
				r.sum.Write(buf[:n])
			}
		}
		switch {
		case p.left == 0:
			if err := r.next(); err != nil || n > 0 {
				return n, err
			}
		case err == io.EOF:
			err = fault.New(fault.Transient, "read %s: the answer ended %d bytes early", r.b.name(r.key), p.left)
			fallthrough
		case err != nil:
			if err = r.b.classed(r.ctx, r.key, err); fault.Of(err) == fault.Transient {
				err = r.again(err)
			}
			if err != nil || n > 0 {
				return n, err
			}
		case n > 0:
			return n, nil
		}
	}
	return 0, nil
}

// next ends a piece, and begins the one after it; io.EOF where there is none.
func (r *reader) next() error {
	r.body.Close()
	p := r.pieces[0]
	if r.sum != nil && hex.EncodeToString(r.sum.Sum(nil)) != p.part.Digest.Encoded() {
		return fault.WithHint(fault.New(fault.Corrupt, "read %s: the registry's bytes are not what they are named (%s)", r.b.name(r.key), p.part.Digest), "look for a proxy that changes what passes, and ask who runs the registry")
	}
	if r.pieces = r.pieces[1:]; len(r.pieces) == 0 {
		return io.EOF
	}
	return r.begin()
}

// again opens what is left of a piece: a part never changes. why is what cut it off.
func (r *reader) again(why error) error {
	if r.body != nil {
		r.body.Close()
	}
	r.body = io.NopCloser(cutOff{why})
	for r.idle++; r.idle < tries; r.idle++ {
		if err := r.b.rest(r.ctx, r.key, r.idle); err != nil {
			return err
		}
		body, err := r.b.open(r.ctx, r.key, r.pieces[0])
		if err == nil {
			r.body = body
			return nil
		}
		if fault.Of(err) != fault.Transient {
			return err
		}
		why = err
	}
	return why
}

func (r *reader) Close() error {
	if r.body == nil {
		return nil
	}
	return r.body.Close()
}

// open asks for a piece. Where a registry, or who it redirects to, has no pieces, what
// comes before it is passed over.
func (b *repository) open(ctx context.Context, key string, p piece) (io.ReadCloser, error) {
	scheme := "https"
	if b.repo.PlainHTTP {
		scheme = "http"
	}
	at := fmt.Sprintf("%s://%s/v2/%s/blobs/%s", scheme, b.at.host, b.repo.Reference.Repository, p.part.Digest)
	req, err := http.NewRequestWithContext(auth.AppendRepositoryScope(ctx, b.repo.Reference, auth.ActionPull), http.MethodGet, at, nil)
	if err != nil {
		return nil, fault.New(fault.Invalid, "read %s: %w", b.name(key), err)
	}
	if p.at > 0 || p.left < p.part.Size {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", p.at, p.at+p.left-1))
	}
	resp, err := b.repo.Client.Do(req)
	if err != nil {
		return nil, b.classed(ctx, key, err)
	}
	switch resp.StatusCode {
	case http.StatusPartialContent:
		var from int64
		if _, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-", &from); err == nil && from == p.at {
			return resp.Body, nil
		}
		err = fault.WithHint(fault.New(fault.Corrupt, "read %s: the registry answers another range than it was asked for", b.name(key)), "the registry, or a proxy before it, answers ranges wrongly: ask who runs it")
	case http.StatusOK:
		if resp.ContentLength >= 0 && resp.ContentLength != p.part.Size {
			err = fault.WithHint(fault.New(fault.Corrupt, "read %s: the registry answers with %d bytes for a part of %d", b.name(key), resp.ContentLength, p.part.Size), "the registry, or a proxy before it, answers ranges wrongly: ask who runs it")
			break
		}
		if _, err = io.CopyN(io.Discard, resp.Body, p.at); err == nil {
			return resp.Body, nil
		}
		err = b.classed(ctx, key, err)
	default:
		err = b.classed(ctx, key, answered(resp))
	}
	resp.Body.Close()
	return nil, err
}

// answered is an answer that is none of those that were asked for.
func answered(resp *http.Response) error {
	e := &errcode.ErrorResponse{Method: resp.Request.Method, URL: resp.Request.URL, StatusCode: resp.StatusCode}
	var body struct {
		Errors errcode.Errors `json:"errors"`
	}
	if strings.Contains(resp.Header.Get("Content-Type"), "json") && json.NewDecoder(io.LimitReader(resp.Body, 8<<10)).Decode(&body) == nil {
		e.Errors = body.Errors
	}
	return e
}

// cutOff yields why there is no more.
type cutOff struct{ error }

func (c cutOff) Read([]byte) (int, error) { return 0, c.error }
