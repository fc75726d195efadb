// Package egress is the way out of a wall: an HTTP proxy that connects to the declared
// hosts and to no other. It runs outside, on a listener that lies inside; names are
// resolved here, so that a command without a network needs no name server.
package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/http/httpproxy"
	"golang.org/x/net/netutil"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
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

// Either connects to hosts, host:port each, by dial, where nil is plainly, and to all others by other.
func Either(hosts []string, dial, other Dial) Dial {
	if dial == nil {
		dial = (&net.Dialer{Timeout: 30 * time.Second}).DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if wall.Reaches(hosts, address) {
			return dial(ctx, network, address)
		}
		return other(ctx, network, address)
	}
}

// Through connects by the machine's own proxy where the environment names one for
// HTTPS, and plainly where it does not or NO_PROXY lists the host
// (https://pkg.go.dev/golang.org/x/net/http/httpproxy).
func Through(lookup func(string) (string, bool)) Dial {
	get := func(upper, lower string) string {
		if v, ok := lookup(upper); ok {
			return v
		}
		v, _ := lookup(lower)
		return v
	}
	way := (&httpproxy.Config{HTTPSProxy: get("HTTPS_PROXY", "https_proxy"), NoProxy: get("NO_PROXY", "no_proxy")}).ProxyFunc()
	plain := &net.Dialer{Timeout: 30 * time.Second}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		to, err := way(&url.URL{Scheme: "https", Host: address})
		if err != nil {
			return nil, fmt.Errorf("read the address of the machine's proxy: it is none") // it may hold a password
		}
		if to == nil {
			return plain.DialContext(ctx, network, address)
		}
		return connectBy(ctx, plain, to, address)
	}
}

// connectBy asks the proxy at to for a connection to address.
func connectBy(ctx context.Context, plain *net.Dialer, to *url.URL, address string) (net.Conn, error) {
	host := to.Host
	if to.Port() == "" {
		host = net.JoinHostPort(to.Hostname(), map[string]string{"http": "80", "https": "443"}[to.Scheme])
	}
	c, err := plain.DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, fmt.Errorf("reach the machine's proxy: %w", err)
	}
	if to.Scheme == "https" {
		c = tls.Client(c, &tls.Config{ServerName: to.Hostname()})
	}
	ask := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{}}
	if u := to.User; u != nil {
		password, _ := u.Password()
		ask.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)))
	}
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if err := ask.Write(c); err != nil {
		c.Close()
		return nil, fmt.Errorf("ask the machine's proxy: %w", err)
	}
	read := bufio.NewReaderSize(c, 4<<10)
	answer, err := http.ReadResponse(read, ask)
	if err != nil || answer.StatusCode != http.StatusOK || read.Buffered() > 0 {
		c.Close()
		if err == nil {
			err = fmt.Errorf("it answers %s", answer.Status)
		}
		return nil, fmt.Errorf("ask the machine's proxy for %s: %w", address, err)
	}
	return c, c.SetDeadline(time.Time{})
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
	fault.Go(func() {
		defer close(done)
		_, _ = io.Copy(far, buffered)
		if c, ok := far.(interface{ CloseWrite() error }); ok {
			_ = c.CloseWrite()
		}
	}, func(error) { far.Close() })
	_, _ = io.Copy(near, far)
	if c, ok := near.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite()
	}
	<-done
}
