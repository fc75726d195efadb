// What must not be asked again is not: minio-go asks ten times, whatever went wrong.

package bucket

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	dialling "github.com/vishwaops/vishwa/reconciler/machine/dial"
)

// steady is how fast an answer has to come. A server that puts the parts of an object
// together takes its time, and sends a space now and then (CompleteMultipartUpload).
var steady = dialling.Pace{Window: 2 * time.Minute, Least: 2000}

const patient = 8 // windows, for putting parts together

// held holds each request to p.
func held(next http.RoundTripper, p dialling.Pace) http.RoundTripper {
	if p == (dialling.Pace{}) {
		p = steady
	}
	long := p
	long.Window *= patient
	return stern{usual: dialling.Paced(next, p), parts: dialling.Paced(next, long)}
}

type stern struct{ usual, parts http.RoundTripper }

// asked remembers what became of the tries of one question.
type asked struct {
	mu   sync.Mutex
	slow int   // in a row
	last error // nil: it may be asked again
}

type askedKey struct{}

// asking begins a question.
func asking(ctx context.Context) context.Context {
	return context.WithValue(ctx, askedKey{}, &asked{})
}

// verdict is why the question of ctx was not asked again; nil where it may be.
func verdict(ctx context.Context) error {
	a, _ := ctx.Value(askedKey{}).(*asked)
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

const slowTries = 2

func (s stern) RoundTrip(req *http.Request) (*http.Response, error) {
	next := s.usual
	if req.Method == http.MethodPost && req.URL.Query().Has("uploadId") {
		next = s.parts
	}
	resp, err := next.RoundTrip(req)
	if a, _ := req.Context().Value(askedKey{}).(*asked); a != nil && a.learn(err) {
		return nil, x509.UnknownAuthorityError{} // the one error after which minio-go stops; verdict has the true one
	}
	return resp, err
}

// learn tells whether err ends the question.
func (a *asked) learn(err error) bool {
	var refused *fault.Error
	var slow *dialling.Slow
	var nobody *net.DNSError
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case err == nil:
		a.slow = 0
	case errors.As(err, &refused), errors.As(err, &nobody) && nobody.IsNotFound:
		a.last = err
	case errors.As(err, &slow):
		if a.slow++; a.slow >= slowTries {
			a.last = err
		}
	}
	return a.last != nil
}
