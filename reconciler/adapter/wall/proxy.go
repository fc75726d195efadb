// The way out of a wall: an HTTP proxy that connects to the declared hosts and to no
// other. It runs outside, on a listener that lies inside; names are resolved here, so
// that a command without a network needs no name server.
package wall

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// Dial connects to host:port.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// proxy serves one command.
type proxy struct {
	hosts  []string
	dial   Dial
	server *http.Server

	mu      sync.Mutex
	refused []string // what was asked for and not declared; at most maxRefused
}

const maxRefused = 16

// maxTunnels bounds how many connections one command may have at once.
const maxTunnels = 256

// serveProxy serves the hosts of n on the listener that fd is.
func serveProxy(fd int, n Network) (*proxy, error) {
	f := os.NewFile(uintptr(fd), "proxy")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	p := newProxy(n)
	go p.server.Serve(l)
	return p, nil
}

func newProxy(n Network) *proxy {
	p := &proxy{hosts: n.Hosts, dial: n.Dial}
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
	p.server = &http.Server{ReadHeaderTimeout: 30 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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

func (p *proxy) close() { p.server.Close() }

// errUndeclared is the answer to a host that was not declared.
var errUndeclared = errors.New("this host is not among those that the declaration's network lists")

func statusOf(err error) int {
	if errors.Is(err, errUndeclared) {
		return http.StatusForbidden
	}
	return http.StatusBadGateway
}

// connect dials one of the hosts.
func (p *proxy) connect(ctx context.Context, network, address string) (net.Conn, error) {
	if !Reaches(p.hosts, address) {
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
func (p *proxy) tunnel(w http.ResponseWriter, r *http.Request) {
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

// Reaches tells whether address, host:port, is one of hosts. A host *.example.com:443
// is every name below example.com.
func Reaches(hosts []string, address string) bool {
	name, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	for _, h := range hosts {
		declared, p, err := net.SplitHostPort(h)
		if err != nil || p != port {
			continue
		}
		declared = strings.TrimSuffix(strings.ToLower(declared), ".")
		if below, ok := strings.CutPrefix(declared, "*."); name == declared || ok && strings.HasSuffix(name, "."+below) {
			return true
		}
	}
	return false
}

// HostOf is host:port of an address, with the scheme's own port where none is given.
func HostOf(address string) (string, bool) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return "", false
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port), port != ""
}
