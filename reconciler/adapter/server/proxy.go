// The public port's side: requests go to whichever process serves now, and none
// is lost while that changes. A gate says who serves; a request enters it, holds
// on to one backend until it is answered, and leaves.

package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/egress"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog"
)

// Headers on every answer, so that it can be explained and verified. On a request, HeaderRelease asks for a release that has no part
// of the requests.
const (
	HeaderModel   = "X-Vishwa-Model"   // digest of the model that answered
	HeaderRelease = "X-Vishwa-Release" // key of the release that answered
)

// idle is how long a connection to a served process is kept for the next request.
// It is shorter than what servers commonly keep theirs (gunicorn 2 s, uvicorn and
// Node 5 s): a server that closes a connection just as a request is sent on it
// would lose that request, since a POST cannot be sent twice.
const idle = time.Second

// streamed is how long a part of an answer whose length is known may wait for the next one. What is there as a whole is then sent by one write: sent at
// once, headers and body are two, the first of them by a goroutine of its own. An answer of no known length streams at once.
const streamed = 5 * time.Millisecond

// backend is one process that answers.
type backend struct {
	addr       string
	key, model digest.Digest
	transport  *http.Transport
	busy       sync.WaitGroup // requests under way; grows only under the gate's lock
}

// refused wraps an error of connecting: no byte of the request was sent.
type refused struct{ error }

func newBackend(addr string, key, model digest.Digest, dial egress.Dial) *backend {
	return &backend{addr: addr, key: key, model: model, transport: &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dial(ctx, network, addr)
			if err != nil {
				return nil, refused{err}
			}
			return c, nil
		},
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     idle,
		DisableCompression:  true, // pass on what is asked for, as it is
	}}
}

// drain waits for the requests under way, no longer than bound.
func (b *backend) drain(bound time.Duration) {
	done := make(chan struct{})
	fault.Go(func() { b.busy.Wait(); close(done) }, func(error) {}) // whoever waits has a bound
	select {
	case <-done:
	case <-time.After(bound):
	}
}

// visit is one request's stay at the gate.
type visit struct {
	at    *backend
	arm   string
	tally *tally       // of the arm; nil where one release has all of the traffic
	twin  *twin        // nil: it is sent once
	cut   atomic.Int32 // how its body was cut short
}

func (v *visit) move(to route) {
	if v.at != nil {
		v.at.busy.Done()
	}
	v.at, v.arm, v.tally = to.to, to.arm, to.tally
}

// leave gives back who answered; as which arm is kept.
func (v *visit) leave() {
	if v.at != nil {
		v.at.busy.Done()
		v.at = nil
	}
}

// ended counts the request, once it is answered or it is known that it will not be.
func (v *visit) ended(failed bool) {
	if v != nil && v.tally != nil {
		v.tally.add(failed)
	}
}

type visitKey struct{}

var errNobody = errors.New("nobody answers")

// proxy answers the public port from whoever has the traffic.
type proxy struct {
	gate    *trafficSwitch
	hold    func() time.Duration
	bounds  func() (still time.Duration, limits Limits)
	clients counted
	logs    *atomic.Pointer[predictionlog.Log]
	back    httputil.ReverseProxy
	log     *slog.Logger
}

func newProxy(g *trafficSwitch, hold func() time.Duration, bounds func() (time.Duration, Limits), log *slog.Logger) *proxy {
	p := &proxy{gate: g, hold: hold, bounds: bounds, logs: &atomic.Pointer[predictionlog.Log]{}, log: log}
	p.back = httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "served"}) // RoundTrip knows the address
			r.Out.Host = r.In.Host
			r.SetXForwarded()
			unsaid(r.Out.Header)
			unsaid(r.Out.Trailer)
		},
		Transport:     p,
		FlushInterval: streamed,
		BufferPool:    &buffers,
		ModifyResponse: func(r *http.Response) error {
			v, _ := r.Request.Context().Value(visitKey{}).(*visit)
			sign(r.Header, v)
			v.ended(r.StatusCode >= http.StatusInternalServerError)
			r.Header.Del(HeaderPrediction) // it is ours to say
			return nil
		},
		ErrorHandler: p.sorry,
		ErrorLog:     slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	return p
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := newRecord(p.logs.Load(), w, r, time.Now())
	v := &visit{twin: p.gate.mirrors().twinOf(r, p.log)}
	if rec != nil {
		w = &recorded{w, rec}
	}
	if v.twin == nil {
		defer rec.end(w.Header())
		p.answer(w, r, v, rec)
		return
	}
	w = &twinned{w, v.twin}
	complete := false // else whoever answers broke off in the middle
	defer func() { v.twin.answered(complete, w.Header(), v, rec) }()
	p.answer(w, r, v, rec)
	complete = true
}

// answer has r answered; rec is nil where that is not recorded.
func (p *proxy) answer(w http.ResponseWriter, r *http.Request, v *visit, rec *record) {
	still, limits := p.bounds()
	if who, known := client(r); known {
		if !p.clients.enter(who, limits.PerClient, math.MaxInt) {
			w.Header().Set("Retry-After", "1")
			answerError(w, http.StatusTooManyRequests, "too many requests of this client are under way; wait for one to be answered")
			return
		}
		defer p.clients.leave(who)
	}
	if r.ContentLength > limits.Body {
		refuse(w, cutLarge, limits)
		return
	}
	rc := http.NewResponseController(w)
	_ = rc.SetWriteDeadline(time.Time{}) // of the request before
	pulse := newPulse(still, rc)
	defer func() { _ = rc.SetWriteDeadline(time.Now().Add(still)) }() // for what is not sent yet
	defer func() {
		rec.by(v)
		v.leave()
	}()
	out := r.WithContext(context.WithValue(r.Context(), visitKey{}, v))
	if r.Body != nil && r.Body != http.NoBody {
		out.Body = &slow{body: r.Body, pulse: pulse, left: limits.Body, how: &v.cut}
		if r.ContentLength > 0 && r.ContentLength <= held {
			var whole bytes.Buffer
			whole.Grow(int(min(r.ContentLength, soughtIn)) + bytes.MinRead) // no more than little, before it has come
			if _, err := whole.ReadFrom(out.Body); err != nil {
				refuse(w, v.cut.Load(), limits)
				return
			}
			rec.asked(whole.Bytes(), w)
			v.twin.holds(whole.Bytes())
			out.Body = io.NopCloser(&whole)
		} else {
			v.twin.streams()
			if rec != nil {
				out.Body = passing{out.Body, rec}
			}
		}
	}
	p.back.ServeHTTP(&taking{w, pulse}, out)
}

// RoundTrip sends r to whoever has the traffic now; where that one cannot be
// reached, nothing was sent and the next one is waited for.
func (p *proxy) RoundTrip(r *http.Request) (*http.Response, error) {
	v := r.Context().Value(visitKey{}).(*visit)
	until := time.Now().Add(p.hold())
	if r.Body != nil && r.Body != http.NoBody {
		// A failed connection closes the body without reading it; the server that
		// received the request closes it anyway when the handler is done.
		r.Body = keptOpen{r.Body}
	}
	for {
		to := p.gate.enter(r.Context(), until, v.at, r.Header.Get(HeaderRelease))
		b := to.to
		v.move(to)
		if b == nil {
			return nil, errNobody
		}
		out := *r
		address := *r.URL
		address.Host = b.addr
		out.URL = &address
		v.twin.sent(r)
		answer, err := b.transport.RoundTrip(&out)
		v.twin.began()
		if answer != nil {
			answer.Request = r
		}
		if no := (refused{}); err == nil || !errors.As(err, &no) || r.Context().Err() != nil {
			return answer, err
		}
		if v.arm != armStable { // another answers in its place
			v.ended(true)
		}
	}
}

type keptOpen struct {
	body interface{ Read([]byte) (int, error) }
}

func (k keptOpen) Read(b []byte) (int, error) { return k.body.Read(b) }
func (keptOpen) Close() error                 { return nil }

// sorry answers for a process that did not.
func (p *proxy) sorry(w http.ResponseWriter, r *http.Request, err error) {
	v, _ := r.Context().Value(visitKey{}).(*visit)
	if v != nil && v.cut.Load() != 0 {
		_, limits := p.bounds()
		refuse(w, v.cut.Load(), limits)
		return
	}
	sign(w.Header(), v)
	if r.Context().Err() == nil { // who asked and went away says nothing of who answers
		v.ended(true)
	} else if v != nil {
		v.twin.gone()
	}
	status, text := http.StatusBadGateway, "the served process ended before it answered"
	if errors.Is(err, errNobody) {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(p.hold()/time.Second))))
		status, text = http.StatusServiceUnavailable, "the served process is not running; it is being restarted"
	}
	answerError(w, status, text)
}

func sign(h http.Header, v *visit) {
	if v == nil || v.at == nil {
		return
	}
	h.Set(HeaderRelease, string(v.at.key))
	if v.at.model != "" {
		h.Set(HeaderModel, string(v.at.model))
	} else {
		h.Del(HeaderModel)
	}
}

// buffers are reused between answers.
var buffers pool

type pool struct{ sync.Pool }

const bufferSize = 32 << 10

func (p *pool) Get() []byte {
	if b, ok := p.Pool.Get().(*[bufferSize]byte); ok {
		return b[:]
	}
	return make([]byte, bufferSize)
}

func (p *pool) Put(b []byte) { p.Pool.Put((*[bufferSize]byte)(b)) }
