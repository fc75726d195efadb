// A release that is sent requests which another one has answered. It is never in the way of an answer: it is asked once that one
// has gone out, by a bounded number at once, and what has no room is counted and left out.

package server

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/port"
)

const (
	shadowsAtOnce = 32               // requests that are under way; with both bodies of each, 70 MiB
	shadowWithin  = 30 * time.Second // that one of them may take
)

// comparing lets one comparison run at a time: the host serves all deployments, and has memory and time to spare for one alone.
var comparing sync.Mutex

func compared(one, other predictions.Body, tolerance float64) (predictions.Difference, bool) {
	comparing.Lock()
	defer comparing.Unlock()
	return predictions.Compare(one, other, tolerance)
}

// mirror sends requests to a release a second time, and counts what came of it.
type mirror struct {
	under counted // requests that are under way

	mu    sync.Mutex
	how   *port.Shadow // nil: nothing is sent for now
	to    *instance
	told  time.Time // when somebody asked last who is told from others
	pairs port.Pairs
}

func newMirror() *mirror { return &mirror{} }

// set says what is sent from now on, and to whom.
func (m *mirror) set(how *port.Shadow, to *instance) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.how, m.to = how, to
}

// over ends m: nothing is sent any more.
func (m *mirror) over() *mirror {
	if m != nil {
		m.set(nil, nil)
	}
	return nil
}

// seen is what came of it by now; nil: nothing was ever to be sent.
func (m *mirror) seen() *port.Pairs {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.how == nil && m.pairs == (port.Pairs{}) {
		return nil
	}
	out := m.pairs
	return &out
}

// recount has the counts go on from what they were.
func (m *mirror) recount(from *port.Pairs) {
	if m != nil && from != nil && (from.Taken > 0 || from.Failed+from.Slower == 0 && from.Compared == from.Differ) { // else they are of a version that counted others
		m.count(func(p *port.Pairs) { *p = *from })
	}
}

func (m *mirror) count(do func(*port.Pairs)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	do(&m.pairs)
}

// twin is a request that is to be sent twice, and what the release that serves made of it.
type twin struct {
	m     *mirror
	who   string // asks; "" where that is not known
	log   *slog.Logger
	how   port.Shadow
	to    *instance
	out   *http.Request // as it was sent the first time
	body  []byte
	unfit bool // its body is not held
	at    time.Time
	took  time.Duration // until its answer began

	status int
	answer predictions.Body
}

// twinOf draws whether r is sent twice; nil: it is not.
func (m *mirror) twinOf(r *http.Request, log *slog.Logger) *twin {
	if m == nil {
		return nil
	}
	who, known := client(r)
	m.mu.Lock()
	how, to := m.how, m.to
	if known {
		m.told = time.Now()
	}
	m.mu.Unlock()
	if how == nil || !shadowed(*how, r) || mathrand.IntN(whole) >= how.Percent {
		return nil
	}
	return &twin{m: m, who: who, log: log, how: *how, to: to}
}

// holds takes the body of the request.
func (t *twin) holds(raw []byte) {
	if t != nil {
		t.body = raw
	}
}

// streams says that its body is not held, and cannot be sent again.
func (t *twin) streams() {
	if t != nil {
		t.unfit = true
	}
}

// sent takes the request as it goes out for the first time.
func (t *twin) sent(out *http.Request) {
	if t != nil {
		t.out, t.at = out, time.Now()
	}
}

// began is called when its first answer begins.
func (t *twin) began() {
	if t != nil {
		t.took = time.Since(t.at)
	}
}

// gone says that whoever asked went away before there was an answer. Who goes after it has had it.
func (t *twin) gone() {
	if t != nil {
		t.out = nil
	}
}

// twinned is the writer of an answer that is compared.
type twinned struct {
	http.ResponseWriter
	twin *twin
}

func (w *twinned) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *twinned) WriteHeader(status int) {
	if status >= http.StatusOK {
		w.twin.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *twinned) Write(b []byte) (int, error) {
	if w.twin.status == 0 {
		w.twin.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.twin.answer = kept(w.twin.answer, b[:n])
	return n, err
}

// kept is to with b behind it, as far as an answer is kept.
func kept(to predictions.Body, b []byte) predictions.Body {
	if room := mostLogged - len(to.Bytes); len(b) > room {
		b, to.Cut = b[:room], true
	}
	to.Bytes = append(to.Bytes, b...)
	return to
}

// answered is called when the first answer has gone out, with its headers and who gave it: the second request follows, where there is room.
// It takes over rec, which may be nil.
func (t *twin) answered(complete bool, h http.Header, v *visit, rec *record) {
	t.answer.Encoding = h.Get("Content-Encoding")
	if rec != nil {
		rec.took()
	}
	if !complete || t.out == nil || v.arm != armStable || v.cut.Load() != 0 || t.status == 0 { // there is no answer to compare with
		rec.end(h)
		return
	}
	if t.unfit {
		t.m.count(func(p *port.Pairs) { p.Unfit++ })
		rec.end(h)
		return
	}
	if !t.m.takes(t.who) {
		t.m.count(func(p *port.Pairs) { p.Dropped++ })
		rec.end(h)
		return
	}
	h = h.Clone()
	fault.Go(func() {
		defer t.m.under.leave(t.who)
		rec.settle(t.body)
		rec.end(h)
		t.send(rec)
	}, t.survive)
}

// takes tells whether there is room for one more request of who. Programs of this machine are not told from one another: where nobody is
// told from others they have all the room, and beside those who are, they are one client.
func (m *mirror) takes(who string) bool {
	m.mu.Lock()
	alone := who == "" && time.Since(m.told) > 2*shadowWithin
	m.mu.Unlock()
	if alone {
		return m.under.enter(who, shadowsAtOnce, shadowsAtOnce)
	}
	return m.under.enterFairly(who, shadowsAtOnce)
}

// survive keeps a fault of what is done with an answer that nobody gets from those who do get one: it ends nothing, and is said.
func (t *twin) survive(err error) {
	t.m.count(func(p *port.Pairs) {
		p.Pairs++
		p.Unread++
	})
	t.log.Error("a pair of answers could not be compared: report it", "path", t.out.URL.Path, "error", err, "stack", fault.Stack(err))
}

// send sends the request again, and compares.
func (t *twin) send(rec *record) {
	ctx, cancel := context.WithTimeout(context.Background(), shadowWithin)
	defer cancel()
	second := predictions.Exchange{Arm: port.ArmShadow, Second: true}
	var status int
	var took time.Duration
	b := t.to.gate.hold(t.to)
	if b != nil {
		began := time.Now()
		second.Model, second.Release = string(b.model), string(b.key)
		status, took = t.ask(ctx, b, &second.Response)
		b.busy.Done()
		second.Latency = time.Since(began)
	}
	if t.m.ended(t.to) { // it is no shadow any more: it may have been stopped in the middle
		return
	}
	second.Status = status
	rec.again(second)
	t.compare(status, took, second.Response)
}

// ask asks b; its status is 0 where it did not answer.
func (t *twin) ask(ctx context.Context, b *backend, answer *predictions.Body) (status int, took time.Duration) {
	again := t.out.Clone(ctx)
	again.URL = &url.URL{Scheme: "http", Host: b.addr, Path: t.out.URL.Path, RawPath: t.out.URL.RawPath, RawQuery: t.out.URL.RawQuery}
	again.Header.Set(HeaderShadow, "1")
	again.Header.Del("Expect")
	again.Header.Set("Accept-Encoding", readable(t.out.Header.Values("Accept-Encoding")))
	again.Trailer = nil
	again.Body, again.ContentLength = http.NoBody, 0
	if len(t.body) > 0 {
		again.Body, again.ContentLength = io.NopCloser(bytes.NewReader(t.body)), int64(len(t.body))
	}
	began := time.Now()
	r, err := b.transport.RoundTrip(again)
	took = time.Since(began)
	if err != nil {
		return 0, took
	}
	defer r.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(r.Body, mostLogged+1))
	if err != nil {
		return 0, took
	}
	*answer = kept(predictions.Body{Encoding: r.Header.Get("Content-Encoding")}, raw)
	return r.StatusCode, took
}

// readable is what a second answer may be compressed by: what can be compared, of what was asked for. So a release that begins to compress by
// something else is not taken for one that answers otherwise.
func readable(asked []string) string {
	for _, one := range strings.Split(strings.Join(asked, ","), ",") {
		name, quality, _ := strings.Cut(one, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") && !strings.HasSuffix(strings.TrimRight(quality, "0."), "q=") {
			return "gzip"
		}
	}
	return "identity"
}

func failed(status int) bool { return status == 0 || status >= http.StatusInternalServerError }
func good(status int) bool   { return status >= 200 && status < 300 }

// compare counts what the two made of the request. What the old release took shows something of the new one, and nothing else does but that
// the new one takes what the old one refuses: that is another answer.
func (t *twin) compare(status int, took time.Duration, answer predictions.Body) {
	var d predictions.Difference
	both, unread := false, false
	switch {
	case good(t.status) && good(status):
		d, both = compared(t.answer, answer, t.how.Tolerance)
		unread = !both
	case good(t.status) != good(status) && !failed(t.status) && !failed(status): // one of them refuses what the other takes
		both = true
	}
	t.m.count(func(p *port.Pairs) {
		p.Pairs++
		if failed(t.status) && !failed(status) {
			p.OldFailed++
		}
		if unread {
			p.Unread++
		}
		if both {
			p.Compared++
			if !d.Agree {
				p.Differ++
			}
			p.Numbers += int64(d.Numbers)
			p.Distance = min(p.Distance+d.Distance, math.MaxFloat64)
			p.Farthest = max(p.Farthest, d.Farthest)
		}
		if !good(t.status) {
			return
		}
		p.Taken++
		if t.how.Slower > 0 && took-t.took > t.how.Slower {
			p.Slower++
		}
		if failed(status) {
			p.Failed++
			return
		}
		p.Answered++
		p.Took += took
		p.OldTook += t.took
	})
}

// ended tells whether m sends nothing to u any more.
func (m *mirror) ended(u *instance) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.how == nil || m.to != u
}
