// Who is let in at the port. Anybody may come, and nobody is known before a signature
// holds, so places cannot be kept for GitHub. Instead the newest is always let in: where
// there are too many connections, or too many bytes of bodies that are being read, the
// network that takes the most gives one up, and of its connections the one that has been
// at it longest. A webhook that is GitHub's takes some milliseconds and is never that
// one; behind a reverse proxy, where all come from one address, age alone decides.

package controller

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Bounds of what may be under way at a port. A connection costs some 30 KiB.
const (
	maxConnections = 512
	maxReading     = 64 << 20 // bytes of bodies
	maxHeader      = 16 << 10 // of one request; GitHub's take 2
)

// Why a connection was ended to make room.
const (
	forPlaces = "connections"
	forBytes  = "memory"
)

// connectionLimiter is all connections of a port.
type connectionLimiter struct {
	most  int   // connections
	bytes int64 // of bodies that are being read, in all
	now   func() time.Time
	ended func(why string) // told of each that was ended to make room

	mu     sync.Mutex
	guests map[*guest]struct{}
	held   int64
}

func newConnectionLimiter(now func() time.Time, ended func(why string)) *connectionLimiter {
	return &connectionLimiter{most: maxConnections, bytes: maxReading, now: now, ended: ended, guests: map[*guest]struct{}{}}
}

// guest is one connection. Its fields below the first three are the crowd's to touch.
type guest struct {
	net.Conn // nil: a request that came without one, in tests
	crowd    *connectionLimiter
	from     string // the network that it comes from

	since time.Time // of what it does now
	idle  bool      // between two requests
	known bool      // its request is GitHub's: it is not ended to make room
	gone  bool
	bytes int64
}

// network is where an address belongs to: one owner has 2^64 addresses of IPv6.
func network(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if ip = ip.Unmap(); ip.Is4() {
		return ip.String()
	}
	within, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return host
	}
	return within.String()
}

// enter lets a connection in, if need be in the place of another.
func (c *connectionLimiter) enter(conn net.Conn, address string) *guest {
	g := &guest{Conn: conn, crowd: c, from: network(address), since: c.now()}
	c.mu.Lock()
	c.guests[g] = struct{}{}
	var out *guest
	if len(c.guests) > c.most {
		out = c.choose(func(*guest) int64 { return 1 })
		c.remove(out)
	}
	c.mu.Unlock()
	c.end(out, forPlaces)
	return g
}

// choose finds who has to go, by what each takes; nil where nobody can. c.mu is held.
func (c *connectionLimiter) choose(takes func(*guest) int64) (out *guest) {
	sums := map[string]int64{}
	for g := range c.guests {
		sums[g.from] += takes(g)
	}
	for g := range c.guests {
		if !g.known && takes(g) > 0 && (out == nil || before(g, out, sums)) {
			out = g
		}
	}
	return out
}

// before tells whether a has to go rather than b.
func before(a, b *guest, sums map[string]int64) bool {
	switch {
	case sums[a.from] != sums[b.from]:
		return sums[a.from] > sums[b.from]
	case a.idle != b.idle:
		return a.idle
	default:
		return a.since.Before(b.since)
	}
}

// remove forgets g and what it holds; c.mu is held.
func (c *connectionLimiter) remove(g *guest) {
	if g == nil || g.gone {
		return
	}
	g.gone = true
	delete(c.guests, g)
	c.held -= g.bytes
	g.bytes = 0
}

// end closes the connection of one that was removed.
func (c *connectionLimiter) end(g *guest, why string) {
	if g == nil {
		return
	}
	if g.Conn != nil {
		_ = g.Conn.Close()
	}
	c.ended(why)
}

// reserveBytes reserves n more bytes for g's body, if need be those of others. It tells whether
// g may go on: where g itself has to go, it may not.
func (g *guest) reserveBytes(n int64) bool {
	c := g.crowd
	for {
		c.mu.Lock()
		if g.gone {
			c.mu.Unlock()
			return false
		}
		if c.held+n <= c.bytes {
			g.bytes += n
			c.held += n
			c.mu.Unlock()
			return true
		}
		g.bytes += n // what it asks for counts as its own while it is judged
		out := c.choose(func(g *guest) int64 { return g.bytes })
		g.bytes -= n
		c.remove(out)
		c.mu.Unlock()
		c.end(out, forBytes)
		if out == nil || out == g {
			return false
		}
	}
}

// release gives back what g holds.
func (g *guest) release() {
	g.crowd.mu.Lock()
	defer g.crowd.mu.Unlock()
	g.crowd.held -= g.bytes
	g.bytes = 0
}

// become notes what g does from now on.
func (g *guest) become(idle, known bool) {
	g.crowd.mu.Lock()
	defer g.crowd.mu.Unlock()
	g.idle, g.known, g.since = idle, known, g.crowd.now()
}

// leave forgets g.
func (c *connectionLimiter) leave(g *guest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(g)
}

// Close ends the connection.
func (g *guest) Close() error {
	g.crowd.leave(g)
	return g.Conn.Close()
}

// guardedListener is a listener whose connections are a crowd.
type guardedListener struct {
	net.Listener
	crowd *connectionLimiter
}

func (l guardedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.crowd.enter(conn, conn.RemoteAddr().String()), nil
}

// moved follows a connection from request to request (http.Server.ConnState).
func moved(conn net.Conn, state http.ConnState) {
	if g, ok := conn.(*guest); ok && (state == http.StateActive || state == http.StateIdle) {
		g.become(state == http.StateIdle, false)
	}
}
