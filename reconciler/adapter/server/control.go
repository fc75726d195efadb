// How the host is spoken to: small JSON over HTTP on a Unix socket in its state
// folder, which nobody but its user can reach.
package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// protocol is spoken by both sides; a host of another one is left alone.
const protocol = "/v1/releases/"

// demand asks for an order to be served, with the environment that is never
// written down. Revive asks for the order of this key as it stands already.
type demand struct {
	Order  order    `json:"order"`
	Env    []string `json:"env"`
	Revive bool     `json:"revive,omitempty"`
}

// complaint is an error on its way through the socket.
type complaint struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Way     string `json:"way,omitempty"`
}

func complain(err error) complaint {
	return complaint{Kind: fault.Of(err).String(), Message: err.Error(), Way: fault.Way(err)}
}

func (c complaint) err() error {
	kind := fault.Internal
	for k := fault.Internal; k <= fault.Cancelled; k++ {
		if k.String() == c.Kind {
			kind = k
		}
	}
	err := fault.New(kind, "%s", c.Message)
	if c.Way != "" {
		err = fault.Hint(err, "%s", c.Way)
	}
	return err
}

// errGone says that no host answers.
var errGone = errors.New("the serving host does not answer")

const socket = "control.sock"

// dialFolder connects to the socket in dir.
func dialFolder(ctx context.Context, dir string) (net.Conn, error) {
	path, free, err := short(filepath.Join(dir, socket))
	if err != nil {
		return nil, err
	}
	defer free()
	return (&net.Dialer{}).DialContext(ctx, "unix", path)
}

// listenFolder makes the socket in dir, in place of one that a dead host left.
func listenFolder(dir string) (net.Listener, error) {
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
	return l, nil
}

// ask sends one request to the host of dir; an answer of the host's that is an
// error comes back with its kind.
func ask(ctx context.Context, dir, method, name string, d *demand) (port.Live, error) {
	var body io.Reader
	if d != nil {
		raw, err := json.Marshal(d)
		if err != nil {
			return port.Live{}, fmt.Errorf("encode release: %w", err)
		}
		body = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://host"+protocol+name, body)
	if err != nil {
		return port.Live{}, fmt.Errorf("ask the serving host: %w", err)
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := dialFolder(ctx, dir)
		if err != nil {
			return nil, refused{err}
		}
		return c, nil
	}}
	answer, err := transport.RoundTrip(r)
	no := refused{}
	switch {
	case ctx.Err() != nil:
		return port.Live{}, fault.New(fault.Cancelled, "ask the serving host: %w", context.Cause(ctx))
	case errors.As(err, &no), err != nil && method == http.MethodGet: // a host that is killed lets go of its socket last
		return port.Live{}, errGone
	case err != nil:
		return port.Live{}, fault.Hint(fault.New(fault.Transient, "ask the serving host: it ended before it answered: %w", err),
			"run the command again; %s says why it ended", filepath.Join(dir, "host.log"))
	}
	defer answer.Body.Close()
	return decodeAnswer(answer.StatusCode, io.LimitReader(answer.Body, 4<<20))
}

// decodeAnswer reads what the host says.
func decodeAnswer(status int, body io.Reader) (port.Live, error) {
	const way = "stop the host that runs (kill its process) and run vishwa apply: it may be of another version of vishwa"
	switch status {
	case http.StatusOK:
		var l port.Live
		if err := json.NewDecoder(body).Decode(&l); err != nil {
			return port.Live{}, fault.Hint(fault.New(fault.Conflict, "read the serving host's answer: %w", err), way)
		}
		return l, nil
	case http.StatusServiceUnavailable:
		return port.Live{}, errGone // on its way out
	case http.StatusUnprocessableEntity:
		var c complaint
		if err := json.NewDecoder(body).Decode(&c); err == nil && strings.TrimSpace(c.Message) != "" {
			return port.Live{}, c.err()
		}
	}
	return port.Live{}, fault.Hint(fault.New(fault.Conflict, "ask the serving host: it answers %d", status), way)
}
