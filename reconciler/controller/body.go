// Reading a body before anybody knows whose it is: in pieces that grow, within what the
// crowd has bytes for, and not slower than any network is today.

package controller

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// patience is how slow a body may come: after grace, rate bytes a second, and whole at
// the latest after longest. GitHub itself gives up after ten seconds.
type patience struct {
	grace, longest time.Duration
	rate           int64
}

var hurried = patience{grace: 2 * time.Second, longest: 10 * time.Second, rate: 16 << 10}

// until is when the next byte has to be there, n bytes after the beginning.
func (p patience) until(begin time.Time, n int64) time.Time {
	return begin.Add(min(p.grace+time.Duration(n)*time.Second/time.Duration(p.rate), p.longest))
}

const firstPiece = 4 << 10

type guestKey struct{}

// guestOf is the connection that r came over. One that came without is a guest until it leaves.
func (h *hook) guestOf(r *http.Request) (g *guest, leave func()) {
	if g, ok := r.Context().Value(guestKey{}).(*guest); ok {
		return g, g.release
	}
	g = h.crowd.enter(nil, r.RemoteAddr)
	return g, func() { h.crowd.leave(g) }
}

func withGuest(ctx context.Context, g *guest) context.Context {
	return context.WithValue(ctx, guestKey{}, g)
}

// readBody reads r's body for g. What went wrong is said in one word, "" is nothing.
func (h *hook) readBody(w http.ResponseWriter, r *http.Request, g *guest) ([]byte, string) {
	if r.ContentLength > maxPayload {
		return nil, "large"
	}
	control, begin := http.NewResponseController(w), h.now() // deadlines are the kernel's: a clock that is not of today would end all
	most := int64(maxPayload) + 1
	if r.ContentLength >= 0 {
		most = r.ContentLength + 1 // one more, to see the end
	}
	var body []byte
	for {
		if int64(len(body)) == most {
			return nil, "large"
		}
		if len(body) == cap(body) {
			size := min(max(firstPiece, 2*int64(cap(body))), most)
			if !g.reserveBytes(size - int64(cap(body))) {
				return nil, "crowded"
			}
			grown := make([]byte, len(body), size)
			copy(grown, body)
			body = grown
		}
		_ = control.SetReadDeadline(h.patience.until(begin, int64(len(body)))) // there is none in tests without a connection
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case errors.Is(err, io.EOF):
			_ = control.SetReadDeadline(time.Time{})
			return body, ""
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, "slow"
		case err != nil:
			return nil, "cut"
		}
	}
}

// refuse lets the connection of r end after the answer, without waiting for what of its
// body was not read.
func refuse(w http.ResponseWriter, now time.Time) {
	w.Header().Set("Connection", "close")
	_ = http.NewResponseController(w).SetReadDeadline(now)
}
