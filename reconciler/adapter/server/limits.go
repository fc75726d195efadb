// What one who asks may take: so that who sends slowly, much or often takes nothing
// from the others.

package server

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Limits of a public port; a zero field has its default.
type Limits struct {
	Body       int64 `json:"body,omitempty"`       // bytes of a request's body: 64 MiB
	Conns      int   `json:"conns,omitempty"`      // connections in all: 2048
	PerAddress int   `json:"perAddress,omitempty"` // connections of one address: 1024
	PerClient  int   `json:"perClient,omitempty"`  // requests under way of one client behind a proxy: 128
}

func (l Limits) filled() Limits {
	or := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	if l.Body <= 0 {
		l.Body = 64 << 20
	}
	or(&l.Conns, 2048)
	or(&l.PerAddress, 1024)
	or(&l.PerClient, 128)
	return l
}

const (
	// maxHeader bounds a request's headers in bytes; more is answered with 431.
	maxHeader = 64 << 10
	// headerWithin is how long headers may take to come.
	headerWithin = 10 * time.Second
	// lastWord is how long who was refused has to take the answer.
	lastWord = 500 * time.Millisecond
	// held is how much of a body of known length is taken in before the served process
	// hears of the request: a slow sender keeps none of its workers.
	held = 128 << 10
)

// counted counts what each of many has under way.
type counted struct {
	mu  sync.Mutex
	by  map[string]int
	all int
}

// enter tells whether one more of who is within the bounds, and counts it where it is.
func (c *counted) enter(who string, most, mostAll int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by[who] >= most || c.all >= mostAll {
		return false
	}
	if c.by == nil {
		c.by = map[string]int{}
	}
	c.by[who]++
	c.all++
	return true
}

// enterFairly is enter of who may have no more than there is room left for others, so that one alone takes half of it and never all.
func (c *counted) enterFairly(who string, mostAll int) bool {
	c.mu.Lock()
	left := mostAll - c.all
	c.mu.Unlock()
	return c.enter(who, left, mostAll)
}

func (c *counted) leave(who string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.by[who]--; c.by[who] <= 0 {
		delete(c.by, who)
	}
}

// capped is a listener with a bound of connections, in all and of one address. What is
// too much is told so, and closed.
type capped struct {
	net.Listener
	limits   func() Limits
	open     *counted
	farewell chan struct{} // how many are being told so
}

func newCapped(l net.Listener, limits func() Limits) *capped {
	return &capped{Listener: l, limits: limits, open: &counted{}, farewell: make(chan struct{}, 64)}
}

func (c *capped) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		who, most := address(conn.RemoteAddr().String()), c.limits()
		if c.open.enter(who, most.PerAddress, most.Conns) {
			return &countedConn{Conn: conn, leave: sync.OnceFunc(func() { c.open.leave(who) })}, nil
		}
		select {
		case c.farewell <- struct{}{}:
			fault.Go(func() {
				defer func() { <-c.farewell }()
				turnAway(conn)
			}, func(error) { conn.Close() })
		default:
			conn.Close()
		}
	}
}

// countedConn gives its place back when it is closed.
type countedConn struct {
	net.Conn
	leave func()
}

func (c *countedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// CloseWrite is for an upgraded connection of which one side has ended.
func (c *countedConn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return c.Close()
}

const crowded = `{"error":"too many connections; close some, or try again in a moment"}` + "\n"

// turnAway answers a connection that is one too many. It reads a little, as closing
// with a request unread would take the answer away from who sent it.
func turnAway(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	_, err := conn.Write([]byte("HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: " +
		strconv.Itoa(len(crowded)) + "\r\n\r\n" + crowded))
	if t, ok := conn.(*net.TCPConn); ok && err == nil && t.CloseWrite() == nil {
		_, _ = conn.Read(make([]byte, 16<<10))
	}
}

func address(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return hostport
	}
	return host
}

// client is who sent r, where that can be told: the public port listens on this machine
// alone, so that others come through a proxy, whose last word in X-Forwarded-For is
// whom it got the request from. Programs of this machine are none, also where a proxy got it from one. A program of this machine may
// write there what it likes: what is counted by it bounds others, and proves nothing.
func client(r *http.Request) (who string, known bool) {
	who = address(r.RemoteAddr)
	if at, err := netip.ParseAddr(who); err != nil || !at.IsLoopback() {
		return who, true
	}
	said := r.Header.Values("X-Forwarded-For")
	if len(said) == 0 {
		return "", false
	}
	last := said[len(said)-1]
	last = strings.TrimSpace(last[strings.LastIndex(last, ",")+1:])
	if len(last) == 0 || len(last) > 64 {
		return "", false
	}
	return forwarded(last)
}

// forwarded is a client by the word of a proxy: some write its port as well, which is of a connection, and whoever has one address of IPv6 has all
// that begin with the same half.
func forwarded(word string) (who string, known bool) {
	at, err := netip.ParseAddr(strings.Trim(word, "[]"))
	if err != nil {
		with, err := netip.ParseAddrPort(word)
		if err != nil {
			return word, true
		}
		at = with.Addr()
	}
	at = at.Unmap().WithZone("")
	switch {
	case at.IsLoopback():
		return "", false
	case at.Is6():
		return netip.PrefixFrom(at, 64).Masked().String(), true
	}
	return at.String(), true
}

// refuse answers a request whose body was not taken in; the connection is of no more use.
func refuse(w http.ResponseWriter, cut int32, limits Limits) {
	w.Header().Set("Connection", "close")
	// net/http would wait for the rest of the body before it closes.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(lastWord))
	switch cut {
	case cutStill:
		answerError(w, http.StatusRequestTimeout, errStill.Error()+"; send it without pauses")
	case cutLarge:
		answerError(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("%v; at most %d bytes are taken", errLarge, limits.Body))
	default:
		answerError(w, http.StatusBadRequest, "the request's body ended before it was all there")
	}
}

// answerError answers with an error as JSON.
func answerError(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, "{\"error\":%q}\n", text)
}
