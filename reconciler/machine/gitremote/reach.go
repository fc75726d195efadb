// Package gitremote is the way to a Git remote: where it is and how it is reached by what Git's own program
// says of the user's clone, how fast it has to answer, and what is said of it to people. It holds no
// objects and no refs.
//
// A remote is asked as go-git goes: each question is given up when the remote leaves it without an answer,
// and nothing but the address that was given says where it is asked.
package gitremote

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/client"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"golang.org/x/net/proxy"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
)

// Paces are how fast a remote has to answer; what is zero is as usual.
type Paces struct {
	Ask  dial.Pace // which refs there are, and the ledger's own entries
	Work dial.Pace // git's program: a clone may keep the other side busy for long before it sends
}

// usual has plan end within half a minute. A remote that works on its answer says
// so every few seconds; of a ledger it has little to work on.
var usual = Paces{
	Ask:  dial.Pace{Window: 20 * time.Second, Least: 2000, Whole: 10 * time.Minute},
	Work: dial.Pace{Window: 5 * time.Minute, Least: 100 << 10, Whole: 12 * time.Hour},
}

// OrUsual is p with what is usual in place of zeros.
func (p Paces) OrUsual() Paces {
	if p.Ask == (dial.Pace{}) {
		p.Ask = usual.Ask
	}
	if p.Work == (dial.Pace{}) {
		p.Work = usual.Work
	}
	return p
}

// Direct are the connections over HTTP, which are kept for the next question.
var Direct = httpx.Transport(httpx.Options{Header: -1})

// Reach is a remote that is about to be asked.
type Reach struct {
	to   transport.Transport
	ep   *transport.Endpoint
	pace dial.Pace
	wire *wire // over SSH; nil: what goes over is not counted here

	scripts string // folder of what begins the user's own program for SSH; "" is none
}

// NewReach makes ready to ask ep; what goes over HTTP goes by road.
func NewReach(ep *transport.Endpoint, pace dial.Pace, road http.RoundTripper) (*Reach, error) {
	r := &Reach{ep: ep, pace: pace}
	switch ep.Protocol {
	case "http", "https":
		// A redirect to elsewhere is followed without credentials, and by the first
		// question alone.
		r.to = githttp.NewClient(&http.Client{Transport: dial.Paced(road, pace)})
		r.pace = dial.Pace{Whole: pace.Whole}
		return r, nil
	case "ssh":
		r.wire = &wire{}
		r.ep.Proxy = transport.ProxyOptions{URL: wires.add(r.wire)}
	case "file":
		r.pace = dial.Pace{Whole: pace.Whole} // a program of this machine, which may have much to do
	default:
		r.pace = dial.Pace{Whole: pace.Window} // nothing tells what goes over
	}
	to, err := client.NewClient(ep)
	r.to = to
	return r, err
}

// Folder is the remote's folder, where it is one of this machine.
func (r *Reach) Folder() (path string, is bool) { return r.ep.Path, r.ep.Protocol == "file" }

// Close lets the remote go.
func (r *Reach) Close() {
	if r.wire != nil {
		wires.drop(r.ep.Proxy.URL)
		r.wire.cut()
	}
	if r.scripts != "" {
		_ = os.RemoveAll(r.scripts)
	}
}

// Refs opens a session in which the remote gives, and has it say what it has.
func (r *Reach) Refs(ctx context.Context, auth transport.AuthMethod) (transport.UploadPackSession, *packp.AdvRefs, error) {
	s, err := During(ctx, r, func(context.Context) (transport.UploadPackSession, error) {
		return r.to.NewUploadPackSession(r.service(transport.UploadPackServiceName), auth)
	})
	return asked(ctx, r, s, err)
}

// Takes opens a session in which the remote takes, and has it say what it has.
func (r *Reach) Takes(ctx context.Context, auth transport.AuthMethod) (transport.ReceivePackSession, *packp.AdvRefs, error) {
	s, err := During(ctx, r, func(context.Context) (transport.ReceivePackSession, error) {
		return r.to.NewReceivePackSession(r.service(transport.ReceivePackServiceName), auth)
	})
	return asked(ctx, r, s, err)
}

func asked[S transport.Session](ctx context.Context, r *Reach, s S, err error) (S, *packp.AdvRefs, error) {
	if err != nil {
		r.Close()
		return s, nil, err
	}
	adv, err := During(ctx, r, s.AdvertisedReferencesContext)
	if err != nil {
		_ = s.Close()
		r.Close()
	}
	return s, adv, err
}

// During is f, for as long as the remote keeps its pace. What f has not ended by then
// is left to itself, and closed when it ends.
func During[T any](ctx context.Context, r *Reach, f func(context.Context) (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	m := dial.NewMeter(r.pace, cancel)
	defer m.Done()
	if r.wire != nil {
		r.wire.meter.Store(m)
		defer r.wire.meter.Store(nil)
		m.Wait()
	}
	ended := make(chan outcome, 1)
	fault.Go(func() {
		v, err := f(inner)
		ended <- outcome{v, err}
	}, func(err error) { ended <- outcome{err: err} })
	select {
	case o := <-ended:
		return o.value, m.Why(o.err)
	case <-inner.Done():
	}
	if r.wire != nil {
		r.wire.cut()
	}
	grace := time.NewTimer(time.Second)
	defer grace.Stop()
	select {
	case o := <-ended:
		if o.err == nil {
			closed(o.value)
		}
	case <-grace.C:
		fault.Go(func() {
			if o := <-ended; o.err == nil {
				closed(o.value)
			}
		}, func(error) {}) // nobody waits for what is closed
	}
	var none T
	return none, context.Cause(inner)
}

func closed(v any) {
	if c, ok := v.(io.Closer); ok {
		_ = c.Close()
	}
}

// Plainly is what went wrong on the way, without the address, which everybody knows, and
// without what may be secret in another.
func Plainly(err error) string {
	var slow *dial.Slow
	var late *dial.Late
	var at *url.Error
	switch {
	case errors.As(err, &slow):
		return slow.Error()
	case errors.As(err, &late):
		return late.Error()
	case errors.As(err, &at):
		err = at.Err
	}
	return Redact(err.Error())
}

// wire is the connection of one session over SSH.
type wire struct {
	meter atomic.Pointer[dial.Meter]
	mu    sync.Mutex
	conn  net.Conn
	over  bool
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	if w.conn != nil {
		_ = w.conn.Close()
	}
}

// Dial is proxy.Dialer's.
func (w *wire) Dial(network, addr string) (net.Conn, error) {
	return w.DialContext(context.Background(), network, addr)
}

// DialContext connects as go-git would have: through the environment's proxy, if any.
func (w *wire) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dial.Connect)
	defer cancel()
	c, err := proxy.Dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		_ = c.Close()
		return nil, net.ErrClosed
	}
	w.conn = counted{c, w}
	return w.conn, nil
}

// counted tells the meter of now what goes over.
type counted struct {
	net.Conn
	w *wire
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.countBytes(n)
	return n, err
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.countBytes(n)
	return n, err
}

func (c counted) countBytes(n int) {
	if m := c.w.meter.Load(); m != nil {
		m.Moved(n)
	}
}

// switchboard finds the wire of an endpoint: a proxy's address is all that go-git's SSH
// lets say how to connect.
type switchboard struct {
	once sync.Once
	last atomic.Int64
	all  sync.Map // address -> *wire
}

const scheme = "vishwa-wire"

var wires switchboard

func (s *switchboard) add(w *wire) string {
	s.once.Do(func() {
		proxy.RegisterDialerType(scheme, func(u *url.URL, _ proxy.Dialer) (proxy.Dialer, error) {
			w, ok := s.all.Load(u.String())
			if !ok {
				return nil, errors.New("the remote was left meanwhile")
			}
			return w.(*wire), nil
		})
	})
	at := scheme + "://" + strconv.FormatInt(s.last.Add(1), 10)
	s.all.Store(at, w)
	return at
}

func (s *switchboard) drop(at string) { s.all.Delete(at) }
