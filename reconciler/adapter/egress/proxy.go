// Package egress is the way out of a wall: an HTTP proxy that connects to the declared
// hosts and to no other. It runs outside, on a listener that lies inside; names are
// resolved here, so that a command without a network needs no name server.
package egress

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"github.com/vishwaops/vishwa/reconciler/adapter/wall"
)

// Dial connects to host:port.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Proxy serves one command.
type Proxy struct {
	hosts  []string
	dial   Dial
	server *http.Server
	ctx    context.Context // done once it is closed
	cancel context.CancelFunc

	mu      sync.Mutex
	refused []string // what was asked for and not declared; at most maxRefused
}

const maxRefused = 16

// maxTunnels bounds how many connections one command may have at once.
const maxTunnels = 256

// New makes a proxy to hosts, host:port each; a nil dial connects plainly.
func New(hosts []string, dial Dial) *Proxy {
	p := &Proxy{hosts: hosts, dial: dial}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	if p.dial == nil {
		p.dial = (&net.Dialer{Timeout: 30 * time.Second}).DialContext
	}
	forward := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.Out.URL = r.In.URL },
		Transport: &http.Transport{DialContext: p.connect, DisableCompression: true, ResponseHeaderTimeout: 2 * time.Minute, IdleConnTimeout: time.Minute},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "vishwa: "+err.Error(), statusOf(err))
		},
	}
	slots := make(chan struct{}, maxTunnels)
	p.server = &http.Server{ReadHeaderTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		default:
			http.Error(w, "vishwa: too many connections at once", http.StatusServiceUnavailable)
			return
		}
		switch {
		case r.Method == http.MethodConnect:
			p.tunnel(w, r)
		case r.URL.IsAbs() && r.URL.Scheme == "http":
			forward.ServeHTTP(w, r)
		default:
			http.Error(w, "vishwa: this is a proxy: CONNECT host:port, or http:// with a whole address", http.StatusBadRequest)
		}
	})}
	return p
}

// Serve serves what comes in at l until Close.
func (p *Proxy) Serve(l net.Listener) {
	_ = p.server.Serve(netutil.LimitListener(l, 2*maxTunnels))
}

// Close ends every connection, tunnels among them, which the server knows no more of.
func (p *Proxy) Close() error {
	p.cancel()
	return p.server.Close()
}

// Refused lists what was asked for and not declared, the first few.
func (p *Proxy) Refused() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.refused)
}

// errUndeclared is the answer to a host that was not declared.
var errUndeclared = errors.New("this host is not among those that the declaration's network lists")

func statusOf(err error) int {
	if errors.Is(err, errUndeclared) {
		return http.StatusForbidden
	}
	return http.StatusBadGateway
}

// connect dials one of the hosts.
func (p *Proxy) connect(ctx context.Context, network, address string) (net.Conn, error) {
	if !wall.Reaches(p.hosts, address) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.refused) < maxRefused && !slices.Contains(p.refused, address) {
			p.refused = append(p.refused, address)
		}
		return nil, errUndeclared
	}
	return p.dial(ctx, network, address)
}

// tunnel joins the two sides until both have ended.
func (p *Proxy) tunnel(w http.ResponseWriter, r *http.Request) {
	far, err := p.connect(r.Context(), "tcp", r.Host)
	if err != nil {
		http.Error(w, "vishwa: "+r.Host+": "+err.Error(), statusOf(err))
		return
	}
	defer far.Close()
	near, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer near.Close()
	defer context.AfterFunc(p.ctx, func() { near.Close(); far.Close() })()
	if _, err := near.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(far, buffered)
		if c, ok := far.(interface{ CloseWrite() error }); ok {
			_ = c.CloseWrite()
		}
	}()
	_, _ = io.Copy(near, far)
	if c, ok := near.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite()
	}
	<-done
}
