// How the host is spoken to: small JSON over HTTP on a Unix socket in its state
// folder. Both sides look at the user of the other, and who asks tells a token that
// only who can read the sealing key knows.

package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// protocol is spoken by both sides. A host of the one before, which asked nobody who they
// were, is asked to leave. What a starter begins is asked for at started, which a host that knows
// processes alone does not have: it makes way then, and not before.
const (
	protocol = "/v2/releases/"
	started  = "/v3/releases/"
	tries    = "/v4/releases/" // what is tried beside what serves
	shadows  = "/v5/releases/" // the same, with requests that are sent twice: a host that does not know these makes way
	before   = "/v1/releases/"

	controlHeader  = "X-Vishwa-Token"
	controlPurpose = "serving control socket"
)

// demand asks for an order to be served, with the environment that is never
// written down. Revive asks for the order of this key as it stands already.
type demand struct {
	Order  order    `json:"order"`
	Env    []string `json:"env"`
	LogEnv []string `json:"logEnv,omitempty"`
	Revive bool     `json:"revive,omitempty"`
	Try    *attempt `json:"try,omitempty"`
}

// attempt is what becomes of a release beside the one that serves.
type attempt struct {
	Weight  int          `json:"weight"`
	Shadow  *port.Shadow `json:"shadow,omitempty"`
	End     bool         `json:"end,omitempty"`
	Promote bool         `json:"promote,omitempty"` // at its end
	Since   time.Time    `json:"since,omitzero"`    // of what is to end; zero: of whichever trial
}

// complaint is an error on its way through the socket.
type complaint struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func complain(err error) complaint {
	return complaint{Kind: fault.Of(err).String(), Message: err.Error(), Hint: fault.HintOf(err)}
}

func (c complaint) err() error {
	kind := fault.Internal
	for _, k := range fault.Kinds() {
		if k.String() == c.Kind {
			kind = k
		}
	}
	err := fault.New(kind, "%s", c.Message)
	if c.Hint != "" {
		err = fault.WithHint(err, "%s", c.Hint)
	}
	return err
}

// errGone says that no host answers.
var errGone = errors.New("the serving host does not answer")

// errLeaving is errGone of a host on its way out, which has yet to end what it serves.
var errLeaving = fmt.Errorf("%w, as it is leaving", errGone)

// errOther says that the host does not know what it is asked.
var errOther = fault.WithHint(fault.New(fault.Conflict, "the serving host is of another version of vishwa"),
	"run vishwa apply: it puts a host of this version in its place; one of a newer version is left to that version's vishwa")

const socket = "control.sock"

// dialFolder connects to the socket in dir.
func dialFolder(ctx context.Context, dir string) (net.Conn, error) {
	path, free, err := short(filepath.Join(dir, socket))
	if err != nil {
		return nil, err
	}
	defer free()
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := samePeer(c); err != nil {
		c.Close()
		return nil, fault.WithHint(fault.New(fault.Denied, "ask the serving host: %w", err), "find out who listens at %s; remove it, and run the command again", filepath.Join(dir, socket))
	}
	return c, nil
}

// guarded lets in connections of this user alone.
type guarded struct {
	net.Listener
	log *slog.Logger
}

func (g guarded) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if err := samePeer(c); err == nil {
			return c, nil
		} else {
			g.log.Warn("refused a connection", "error", err)
		}
		c.Close()
	}
}

// peerOf is the user at the other end of c, and the process, which is 0 where it is not known.
func peerOf(c net.Conn) (uid, pid int, err error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return -1, 0, errors.New("it is not a Unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return -1, 0, err
	}
	var perr error
	if err := raw.Control(func(fd uintptr) { uid, pid, perr = peer(int(fd)) }); err != nil {
		return -1, 0, err
	}
	if perr != nil {
		return -1, 0, fmt.Errorf("its user is not known: %w", perr)
	}
	return uid, pid, nil
}

// samePeer tells what is wrong with the user at the other end of c.
func samePeer(c net.Conn) error {
	uid, _, err := peerOf(c)
	if err != nil {
		return err
	}
	if uid != os.Geteuid() {
		return fmt.Errorf("it is of user %d, and this is user %d", uid, os.Geteuid())
	}
	return nil
}

// listenFolder makes the socket in dir, in place of one that a dead host left.
func listenFolder(dir string, log *slog.Logger) (net.Listener, error) {
	full := filepath.Join(dir, socket)
	if err := os.Remove(full); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove stale socket: %w", err)
	}
	path, free, err := short(full)
	if err != nil {
		return nil, err
	}
	defer free()
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for vishwa: %w", err)
	}
	// The path may be gone by the time it is closed; the next host removes the file.
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := os.Chmod(full, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("protect socket: %w", err)
	}
	return guarded{l, log}, nil
}

// line leads to the host of dir, for who knows the key.
type line struct {
	dir    string
	key    seal.Key
	within time.Duration // the host may take to answer; zero: answersWithin
}

// ask sends one request to the host; an answer of the host's that is an error comes
// back with its kind.
func (l line) ask(ctx context.Context, method, name string, d *demand) (port.Live, error) {
	if d != nil && d.Try != nil {
		path := tries
		if d.Try.Shadow != nil {
			path = shadows
		}
		return l.request(ctx, method, path+name, d)
	}
	if d != nil && d.Order.Starter != "" {
		return l.request(ctx, method, started+name, d)
	}
	return l.request(ctx, method, protocol+name, d)
}

// request is bounded, so that a host that hangs is told and not waited for.
func (l line) request(ctx context.Context, method, path string, d *demand) (port.Live, error) {
	var body io.Reader
	if d != nil {
		raw, err := json.Marshal(d)
		if err != nil {
			return port.Live{}, fmt.Errorf("encode release: %w", err)
		}
		body = bytes.NewReader(raw)
	}
	if method == http.MethodDelete { // a host that is stopped would do it once it goes on, though nobody waits for it any more; demands are sent to one that has answered
		if _, err := l.request(ctx, http.MethodGet, protocol, nil); errors.As(err, new(hung)) {
			return port.Live{}, err
		}
	}
	within, done := l.bounded(ctx, method, path)
	defer done()
	r, err := http.NewRequestWithContext(within, method, "http://host"+path, body)
	if err != nil {
		return port.Live{}, fmt.Errorf("ask the serving host: %w", err)
	}
	r.Header.Set(controlHeader, l.key.Token(controlPurpose))
	var host atomic.Int64
	live, err := l.send(r, &host)
	if err != nil && ctx.Err() == nil && within.Err() != nil && fault.Of(err) == fault.Cancelled {
		return port.Live{}, l.unheard(within, int(host.Load()))
	}
	return live, err
}

// send sends r, and notes which process is the host.
func (l line) send(r *http.Request, host *atomic.Int64) (port.Live, error) {
	ctx := r.Context()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := dialFolder(ctx, l.dir)
		if err != nil {
			return nil, refused{err}
		}
		if _, pid, err := peerOf(c); err == nil {
			host.Store(int64(pid))
		}
		return c, nil
	}}
	answer, err := transport.RoundTrip(r)
	no := refused{}
	errors.As(err, &no)
	switch {
	case ctx.Err() != nil:
		return port.Live{}, fault.New(fault.Cancelled, "ask the serving host: %w", context.Cause(ctx))
	case no.error != nil && fault.Of(no.error) == fault.Denied:
		return port.Live{}, no.error
	case no.error != nil, err != nil && r.Method == http.MethodGet: // a host that is killed lets go of its socket last
		return port.Live{}, errGone
	case err != nil:
		return port.Live{}, fault.WithHint(fault.New(fault.Transient, "ask the serving host: it ended before it answered: %w", err),
			"run the command again; %s says why it ended", filepath.Join(l.dir, "host.log"))
	}
	defer answer.Body.Close()
	live, err := decodeAnswer(answer.StatusCode, io.LimitReader(answer.Body, 4<<20))
	if err != nil && ctx.Err() != nil {
		err = fault.New(fault.Cancelled, "ask the serving host: %w", context.Cause(ctx))
	}
	return live, err
}

// decodeAnswer reads what the host says.
func decodeAnswer(status int, body io.Reader) (port.Live, error) {
	const way = "stop the host that runs (kill its process) and run vishwa apply: it may be of another version of vishwa"
	switch status {
	case http.StatusOK:
		var l port.Live
		if err := json.NewDecoder(body).Decode(&l); err != nil {
			return port.Live{}, fault.WithHint(fault.New(fault.Conflict, "read the serving host's answer: %w", err), way)
		}
		return l, nil
	case http.StatusServiceUnavailable:
		return port.Live{}, errLeaving
	case http.StatusNotFound:
		return port.Live{}, errOther
	case http.StatusForbidden:
		return port.Live{}, fault.WithHint(fault.New(fault.Denied, "ask the serving host: it does not know this vishwa: the sealing key is another one than when it began"),
			"end the host's process (vishwa host) and run vishwa apply: what it served is laid out anew")
	case http.StatusUnprocessableEntity:
		var c complaint
		if err := json.NewDecoder(body).Decode(&c); err == nil && strings.TrimSpace(c.Message) != "" {
			return port.Live{}, c.err()
		}
	}
	return port.Live{}, fault.WithHint(fault.New(fault.Conflict, "ask the serving host: it answers %d", status), way)
}
