// The way to an engine over SSH: one connection to its machine, for the engine's socket and for what its containers publish
// there. The machine is known by known_hosts, and never taken at its first word. What is wrong is told as text: the engine's client
// has words of its own for errors of the network that it finds inside of others.

package dockerengine

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os/user"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
)

const (
	// shakeWithin is how long a machine may take until it has let us in, and through.
	shakeWithin = 15 * time.Second
	// knockWithin is how long of that it may take to let us in, so that who waits is told why it did not.
	knockWithin = 10 * time.Second
	// failedFor is how long a failure to connect stands for all who ask.
	failedFor = time.Second
	// aliveEach is how often a machine is asked whether it is there, and unanswered is how many of these it may leave so.
	aliveEach, unanswered = 15 * time.Second, 3
)

// tunnel is one connection to a machine, for as long as anything goes through it.
type tunnel struct {
	user   string
	addr   string // HOST:PORT
	folder string // of known_hosts and keys
	socket string // of the engine, there
	each   time.Duration
	dialer func(ctx context.Context, network, addr string) (net.Conn, error)

	mu   sync.Mutex // never held while anything is waited for
	ssh  *ssh.Client
	open int
	try  *attempt // under way, or the last one that failed
}

// attempt is one to connect, for all who wait for it.
type attempt struct {
	over    chan struct{} // closed when it has ended; what follows stands then
	ssh     *ssh.Client
	err     error
	until   time.Time // a failure stands till then
	waiting int
	end     context.CancelFunc
}

// tunnelTo is the way to ssh://USER@HOST:PORT/PATH; nothing is asked yet.
func tunnelTo(at *url.URL, folder string) (*tunnel, string, error) {
	name, port := at.User.Username(), at.Port()
	if name == "" {
		me, err := user.Current()
		if err != nil {
			return nil, "", fault.WithHint(fault.New(fault.Invalid, "the engine's address %s names no user, and this process has none", at), "write it as ssh://USER@HOST")
		}
		name = me.Username
	}
	if port == "" {
		port = "22"
	}
	if at.Hostname() == "" {
		return nil, "", fault.WithHint(fault.New(fault.Invalid, "the engine's address %s names no machine", at), "write it as ssh://USER@HOST")
	}
	socket := at.Path
	if socket == "" || socket == "/" {
		socket = usual[0]
	}
	t := &tunnel{
		user: name, addr: net.JoinHostPort(at.Hostname(), port), folder: folder, socket: socket, each: aliveEach,
		dialer: (&net.Dialer{Timeout: shakeWithin, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}}).DialContext,
	}
	whole := url.URL{Scheme: "ssh", User: url.User(name), Host: t.addr, Path: at.Path}
	return t, whole.String(), nil
}

// dial reaches the engine's socket.
func (t *tunnel) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return t.reach(ctx, "unix", t.socket)
}

// reach connects to what the machine itself reaches at addr.
func (t *tunnel) reach(whole context.Context, network, addr string) (net.Conn, error) {
	ctx, enough := context.WithTimeout(whole, shakeWithin)
	defer enough()
	for again := false; ; again = true {
		c, err := t.up(ctx)
		if err == nil {
			var conn net.Conn
			if conn, err = c.DialContext(ctx, network, addr); err == nil {
				return &carried{Conn: conn, done: sync.OnceFunc(func() { t.down(c, false) })}, nil
			}
			var refused *ssh.OpenChannelError
			is := errors.As(err, &refused)
			t.down(c, !is && ctx.Err() == nil)
			if is {
				return nil, fault.WithHint(fault.New(fault.Transient, "reach %s on %s: %s", addr, t.addr, harmless.Line(refused.Message)),
					"see that it is there, that user %s may use it, and that sshd lets it be forwarded (AllowTcpForwarding, AllowStreamLocalForwarding)", t.user)
			}
			if !again && ctx.Err() == nil {
				continue // the connection had ended, and nobody noticed: another is made
			}
		}
		var known *fault.Error
		switch {
		case whole.Err() != nil:
			return nil, whole.Err()
		case errors.As(err, &known):
			return nil, err
		default:
			return nil, fault.WithHint(fault.New(fault.Transient, "%s does not answer over SSH: %s", t.addr, harmless.Line(err.Error())), "see that the machine runs and is reached, and try again")
		}
	}
}

// up is the connection, for one more that goes through it. An attempt to connect is of all who wait, each no longer than it may, and goes on
// for as long as somebody does.
func (t *tunnel) up(ctx context.Context) (*ssh.Client, error) {
	t.mu.Lock()
	if t.ssh != nil {
		defer t.mu.Unlock()
		t.open++
		return t.ssh, nil
	}
	a := t.attempt(ctx)
	a.waiting++
	t.mu.Unlock()
	select {
	case <-a.over:
		return a.ssh, a.err
	case <-ctx.Done():
		t.leave(a)
		return nil, ctx.Err()
	}
}

// attempt is the one that is under way or has just failed, or a new one; the caller holds mu.
func (t *tunnel) attempt(ctx context.Context) *attempt {
	if a := t.try; a != nil && (a.until.IsZero() || time.Now().Before(a.until)) {
		return a
	}
	whole, end := context.WithTimeout(context.WithoutCancel(ctx), knockWithin)
	a := &attempt{over: make(chan struct{}), end: end}
	t.try = a
	fault.Go(func() {
		defer end()
		var c *ssh.Client
		err := fault.Guard(func() (err error) { c, err = t.connect(whole); return err })
		if err != nil && whole.Err() != nil {
			err = fault.WithHint(fault.New(fault.Transient, "%s does not answer over SSH within %s", t.addr, knockWithin), "see that the machine runs and is reached, and try again")
		}
		if !t.settle(a, c, err) && c != nil {
			_ = c.Close()
		}
	}, func(err error) { t.settle(a, nil, err) })
	return a
}

// settle has what an attempt came to be that of all who wait; false is that nobody does any more.
func (t *tunnel) settle(a *attempt, c *ssh.Client, err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.try != a {
		return false
	}
	defer close(a.over)
	if err != nil {
		a.err, a.until = err, time.Now().Add(failedFor)
		return true
	}
	a.ssh, t.ssh, t.open, t.try = c, c, a.waiting, nil
	fault.Go(func() { t.keep(c) }, func(error) { t.down(c, true) })
	return true
}

// leave is told when one who waits for a does not any more.
func (t *tunnel) leave(a *attempt) {
	t.mu.Lock()
	a.waiting--
	select {
	case <-a.over:
	default:
		if a.waiting == 0 {
			t.try = nil
			a.end()
		}
	}
	t.mu.Unlock()
	if c := a.connected(); c != nil { // it came as we left
		t.down(c, false)
	}
}

// connected is what the attempt came to, where it has ended.
func (a *attempt) connected() *ssh.Client {
	select {
	case <-a.over:
		return a.ssh
	default:
		return nil
	}
}

// down is told when something that went through c has ended; the last one ends c.
func (t *tunnel) down(c *ssh.Client, broken bool) {
	t.mu.Lock()
	last := false
	if t.ssh == c {
		t.open--
		if last = t.open == 0 || broken; last {
			t.ssh = nil
		}
	}
	t.mu.Unlock()
	if last {
		_ = c.Close()
	}
}

// keep asks the machine again and again whether it is there, and ends the connection, with all that goes through it, where it is not: a
// process that was stopped keeps its connections, and says nothing.
func (t *tunnel) keep(c *ssh.Client) {
	ended, answered := make(chan struct{}), make(chan struct{}, 1)
	fault.Go(func() {
		defer close(ended)
		_ = c.Wait()
	}, func(error) {}) // what waits hears that it ended
	ask := time.NewTicker(t.each)
	defer ask.Stop()
	for missed, asked := 0, false; missed < unanswered; {
		select {
		case <-ended:
			missed = unanswered
		case <-answered:
			missed, asked = 0, false
		case <-ask.C:
			if asked {
				missed++
				continue
			}
			asked = true
			fault.Go(func() {
				if _, _, err := c.SendRequest("keepalive@openssh.com", true, nil); err == nil { // no is an answer, too
					answered <- struct{}{}
				}
			}, func(error) {}) // unanswered
		}
	}
	t.down(c, true)
	_ = c.Close() // also where another one is used by now
}

// connect has the machine let us in.
func (t *tunnel) connect(ctx context.Context) (*ssh.Client, error) {
	known, algorithms, err := t.known()
	if err != nil {
		return nil, err
	}
	keys, err := t.keys()
	if err != nil {
		return nil, err
	}
	conn, err := t.dialer(ctx, "tcp", t.addr)
	if err != nil {
		why := harmless.Line(err.Error())
		if errors.Is(err, syscall.ECONNREFUSED) {
			why = "nothing listens there"
		}
		return nil, fault.WithHint(fault.New(fault.Transient, "reach %s over SSH: %s", t.addr, why), "see that the machine runs, and that its name and port are right")
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	c, channels, requests, err := ssh.NewClientConn(conn, t.addr, &ssh.ClientConfig{
		User: t.user, Auth: []ssh.AuthMethod{ssh.PublicKeys(keys...)}, HostKeyCallback: known, HostKeyAlgorithms: algorithms,
	})
	stop()
	if err != nil {
		conn.Close()
		return nil, t.unmet(ctx, err)
	}
	return ssh.NewClient(c, channels, requests), nil
}

// unmet says why the machine did not let us in, or is not let to.
func (t *tunnel) unmet(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var strange *knownhosts.KeyError
	var revoked *knownhosts.RevokedError
	var met *fault.Error
	switch {
	case errors.As(err, &met):
		return met
	case errors.As(err, &revoked):
		return fault.WithHint(fault.New(fault.Denied, "the key of %s is revoked in known_hosts", t.addr), "ask who runs that machine for its key")
	case errors.As(err, &strange):
		return fault.WithHint(fault.New(fault.Denied, "%s has another key than known_hosts says", t.addr),
			"somebody may be in between: compare its key on that machine (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), and correct known_hosts")
	}
	var common *ssh.AlgorithmNegotiationError
	if errors.As(err, &common) && common.What == "host key" {
		return fault.WithHint(fault.New(fault.Denied, "%s shows no key of a kind that known_hosts has of it: %s", t.addr, harmless.Line(err.Error())),
			"connect once by hand as the controller's user (ssh %s); a machine that is known by @cert-authority has to show a certificate of it", t.byHand())
	}
	var n net.Error
	if errors.As(err, &n) || errors.Is(err, net.ErrClosed) {
		return fault.WithHint(fault.New(fault.Transient, "%s does not answer over SSH: %s", t.addr, harmless.Line(err.Error())), "see that sshd runs there, and try again")
	}
	return fault.WithHint(fault.New(fault.Denied, "%s does not let %s in over SSH: %s", t.addr, t.user, harmless.Line(err.Error())),
		"add the public key of %s to ~/.ssh/authorized_keys of that user there", t.folder)
}

// carried is a connection through the tunnel.
type carried struct {
	net.Conn
	done func()
}

func (c *carried) Close() error {
	err := c.Conn.Close()
	c.done()
	return err
}
