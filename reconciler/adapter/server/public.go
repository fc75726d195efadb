// The public port: declared, or chosen once and kept; taken is a Conflict.

package server

import (
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// public is a listener on 127.0.0.1 and the server behind it.
type public struct {
	port   int
	listen net.Listener
	server *http.Server
	owner  atomic.Pointer[service] // who answers
}

// listen finds o its public port: the one it has, the declared one, or a free one.
func (s *service) listen(o order, have *public) (*public, error) {
	want := o.Declared
	if want == 0 {
		want = o.Port
	}
	switch {
	case have != nil && (want == 0 || want == have.port):
		return have, nil
	case want != 0:
		return s.open(want)
	}
	// Below the range that the kernel takes outgoing connections from, so that the
	// port is likely to be free again after a restart.
	const first, span = 20000, 10000
	h := fnv.New32a()
	h.Write([]byte(s.place.served(s.name)))
	for i := range uint32(span) {
		if p, err := s.open(first + int((h.Sum32()+i)%span)); err == nil {
			return p, nil
		}
	}
	return nil, fault.WithHint(fault.New(fault.Transient, "find a public port: none of %d to %d is free", first, first+span-1), "stop programs that listen there (ss -ltn shows them), or set spec.target.local.port")
}

func (s *service) open(number int) (*public, error) {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(number)))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fault.WithHint(fault.New(fault.Conflict, "serve %s: port %d is taken by another program", s.name, number),
			"stop that program (ss -ltnp 'sport = :%d' shows it), or set another spec.target.local.port", number)
	case errors.Is(err, syscall.EACCES):
		return nil, fault.WithHint(fault.New(fault.Denied, "serve %s: this user may not listen on port %d", s.name, number),
			"set spec.target.local.port to 1024 or more")
	case err != nil:
		return nil, fault.New(fault.Internal, "serve %s: %w", s.name, err)
	}
	p := &public{port: number}
	p.hand(s)
	p.listen = newCapped(l, func() Limits { _, limits := p.owner.Load().bounds(); return limits })
	return p, nil
}

func (p *public) serve() {
	p.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.owner.Load().proxy.ServeHTTP(w, r) }), ReadHeaderTimeout: headerWithin, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug), // what strangers send is no trouble of ours
	}
	fault.Go(func() { p.server.Serve(p.listen) }, func(error) { p.listen.Close() })
}

// close stops accepting, waits up to bound for what is under way, and frees the port.
func (p *public) close(bound time.Duration) {
	if p.server == nil {
		p.listen.Close()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	if p.server.Shutdown(ctx) != nil {
		p.server.Close()
	}
}

// bounds are what who asks may take.
func (s *service) bounds() (still time.Duration, limits Limits) {
	if u, _ := s.current(); u != nil {
		return u.order.Pace.Still, u.order.Limits.filled()
	}
	return Timeouts{}.filled().Still, Limits{}.filled()
}
