// Package sink takes what the loggers of KServe and Seldon send, CloudEvents in HTTP's binary
// mode: a request and its answer come as two events, in any order, are paired by id and
// logged as one exchange. What never gets its other half is logged as what it is. Who sends
// is never believed to be well-meaning: everything is bounded.
package sink

import (
	"cmp"
	"crypto/subtle"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog"
)

// Options say what is taken and where it goes. A zero field has its default.
type Options struct {
	Log      predictionlog.Options // Dir is the folder of all logs: each has Dir/NAMESPACE/SERVICE
	Token    string                // what senders must know, as a bearer token or as a password; "" lets in everybody
	Wait     time.Duration         // for the other half of a pair: 1 minute
	Body     int64                 // bytes of an event: 4 MiB
	Services int                   // that are logged; of more, events are refused: 512
	Now      func() time.Time
	Report   *slog.Logger
}

const (
	mostHalves = 16 << 10  // that wait for their other half
	mostBytes  = 128 << 20 // of their bodies
	atOnce     = 64        // events that are read at once
	ahead      = 5 * time.Minute
	late       = 24 * time.Hour // by which an event may come: brokers send again
)

// The types of events: KServe's and Seldon's.
var (
	requests  = map[string]bool{"org.kubeflow.serving.inference.request": true, "io.seldon.serving.inference.request": true}
	responses = map[string]bool{"org.kubeflow.serving.inference.response": true, "io.seldon.serving.inference.response": true}
)

// Sink is a handler of events. Close it.
type Sink struct {
	o      Options
	turns  chan struct{}
	mu     sync.Mutex
	closed bool
	logs   map[string]*predictionlog.Log
	halves map[pair]*half
	order  []pair // as they came; those that were paired are passed over
	bytes  int64
	counts Counts
}

// pair names a request and its answer.
type pair struct{ log, id string }

// half is an exchange of which one side has come.
type half struct {
	x        predictions.Exchange
	at       time.Time // when it came here
	answered bool      // it is the answer's side
}

// Counts say what became of events.
type Counts struct {
	Events  int64 // taken
	Pairs   int64 // of which a row was made
	Alone   int64 // logged without their other half
	Refused int64 // that were not taken
}

// New is a sink.
func New(o Options) *Sink {
	o.Wait, o.Body, o.Services = cmp.Or(o.Wait, time.Minute), cmp.Or(o.Body, 4<<20), cmp.Or(o.Services, 512)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Report == nil {
		o.Report = slog.New(slog.DiscardHandler)
	}
	return &Sink{o: o, turns: make(chan struct{}, atOnce), logs: map[string]*predictionlog.Log{}, halves: map[pair]*half{}}
}

// Counts tell what became of events so far.
func (s *Sink) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// ServeHTTP takes one event. A sender that is told 4xx is not to send it again.
func (s *Sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, why := s.serve(w, r)
	if status >= 400 {
		s.mu.Lock()
		s.counts.Refused++
		s.mu.Unlock()
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="vishwa sink", Bearer`)
		}
		http.Error(w, why, status)
		return
	}
	w.WriteHeader(status)
}

func (s *Sink) serve(w http.ResponseWriter, r *http.Request) (status int, why string) {
	if !s.knows(r) {
		return http.StatusUnauthorized, "send the token of this sink, as a bearer token or as a password"
	}
	if r.Method != http.MethodPost {
		return http.StatusMethodNotAllowed, "events come by POST"
	}
	select {
	case s.turns <- struct{}{}:
		defer func() { <-s.turns }()
	case <-r.Context().Done():
		return http.StatusServiceUnavailable, "too many events at once"
	}
	e, why := eventOf(r.Header, s.o.Now())
	if why != "" {
		return http.StatusBadRequest, why
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.o.Body))
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		return http.StatusRequestEntityTooLarge, "the event is too large"
	}
	if err != nil {
		return http.StatusBadRequest, "the event ended before it was all there"
	}
	if !s.add(e, predictions.Body{Bytes: body, Encoding: r.Header.Get("Content-Encoding")}) {
		return http.StatusServiceUnavailable, "no log has room for this service"
	}
	return http.StatusAccepted, ""
}

// knows tells whether a sender knows the token.
func (s *Sink) knows(r *http.Request) bool {
	if s.o.Token == "" {
		return true
	}
	_, said, _ := r.BasicAuth()
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		said = bearer
	}
	return subtle.ConstantTimeCompare([]byte(said), []byte(s.o.Token)) == 1
}

// event is what the headers of one say.
type event struct {
	pair     pair
	at       time.Time
	answered bool
	arm      string
	model    string
	release  string
}

// label is a name as Kubernetes has them: nothing that leads out of a folder.
var label = lazyregexp.New(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// eventOf reads an event's headers; why is what is wrong with them.
func eventOf(h http.Header, now time.Time) (e event, why string) {
	kind := h.Get("Ce-Type")
	e.answered = responses[kind]
	if !e.answered && !requests[kind] {
		return e, "Ce-Type is neither an inference request nor a response: send CloudEvents in binary mode"
	}
	namespace, service := cmp.Or(h.Get("Ce-Namespace"), "default"), h.Get("Ce-Inferenceservicename")
	if !label.MatchString(namespace) || !label.MatchString(service) {
		return e, "Ce-Namespace or Ce-Inferenceservicename is not a name of Kubernetes"
	}
	e.pair.log = namespace + "/" + service
	// Seldon gives each event an id, and both the request's; KServe gives both one.
	e.pair.id = predictions.CleanID(cmp.Or(h.Get("Ce-Requestid"), h.Get("Ce-Id")))
	if e.pair.id == "" {
		return e, "Ce-Id is missing"
	}
	e.at = now
	if t, err := time.Parse(time.RFC3339Nano, h.Get("Ce-Time")); err == nil && t.Before(now.Add(ahead)) && t.After(now.Add(-late)) {
		e.at = t // else files would be of hours that nobody removes, and of as many as there are events
	}
	short := func(name string) string {
		v := h.Get(name)
		return strings.ToValidUTF8(v[:min(len(v), 200)], "")
	}
	e.arm, e.model, e.release = cmp.Or(short("Ce-Endpoint"), "default"), cmp.Or(short("Ce-Vishwamodel"), short("Ce-Modelid")), short("Ce-Vishwarelease")
	return e, ""
}

// add takes one side of an exchange; false where there is no room for another log.
func (s *Sink) add(e event, body predictions.Body) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	log := s.logFor(e.pair.log)
	if log == nil {
		return false
	}
	s.counts.Events++
	s.expire(s.o.Now())
	if !log.Sampled(e.pair.id) {
		return true
	}
	h, there := s.halves[e.pair]
	if there && h.answered != e.answered {
		s.remove(e.pair, h)
		h.merge(e, body)
		s.counts.Pairs++
		log.Add(h.x)
		return true
	}
	if there { // the same side twice: a sender that tries again
		return true
	}
	h = &half{at: s.o.Now(), answered: e.answered, x: predictions.Exchange{ID: e.pair.id, Time: e.at, Path: "/" + e.pair.log}}
	h.merge(e, body)
	s.halves[e.pair] = h
	s.order = append(s.order, e.pair)
	s.bytes += int64(len(body.Bytes))
	for len(s.halves) > mostHalves || s.bytes > mostBytes {
		s.alone()
	}
	return true
}

// merge adds one side.
func (h *half) merge(e event, body predictions.Body) {
	h.x.Arm, h.x.Model, h.x.Release = cmp.Or(h.x.Arm, e.arm), cmp.Or(h.x.Model, e.model), cmp.Or(h.x.Release, e.release)
	if !e.answered {
		if h.answered { // the answer came first
			h.x.Latency = max(0, h.x.Time.Sub(e.at))
		}
		h.x.Time, h.x.Request = e.at, body
		return
	}
	h.x.Response = body
	h.x.Status = http.StatusOK // neither logger sends answers of another status
	if !h.answered {
		h.x.Latency = max(0, e.at.Sub(h.x.Time))
	}
}

func (s *Sink) remove(p pair, h *half) {
	delete(s.halves, p)
	s.bytes -= int64(len(h.x.Request.Bytes) + len(h.x.Response.Bytes))
}

// alone logs the oldest half as it is. A request whose answer does not come has the status 0:
// it failed, or its answer was lost.
func (s *Sink) alone() {
	for len(s.order) > 0 {
		p := s.order[0]
		s.order = s.order[1:]
		if h := s.halves[p]; h != nil {
			s.remove(p, h)
			s.counts.Alone++
			s.logs[p.log].Add(h.x)
			return
		}
	}
}

// expire logs the halves that have waited long enough.
func (s *Sink) expire(now time.Time) {
	for len(s.order) > 0 {
		h := s.halves[s.order[0]]
		if h != nil && now.Sub(h.at) < s.o.Wait {
			return
		}
		if h == nil {
			s.order = s.order[1:]
			continue
		}
		s.alone()
	}
}

// Expire logs what has waited long enough; to be called now and then, as events may stop.
func (s *Sink) Expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(s.o.Now())
}

// logFor is the log of a service, opened with its first event; nil: there are too many, or it
// cannot be.
func (s *Sink) logFor(name string) *predictionlog.Log {
	if l := s.logs[name]; l != nil || s.closed || len(s.logs) >= s.o.Services {
		return l
	}
	o := s.o.Log
	o.Dir = filepath.Join(o.Dir, filepath.FromSlash(name))
	l, err := predictionlog.Open(o)
	if err != nil {
		s.o.Report.Error("events are not logged", "service", name, "error", err)
		return nil
	}
	s.logs[name] = l
	return l
}

// Close logs what waits, and writes it.
func (s *Sink) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.halves) > 0 {
		s.alone()
	}
	s.closed = true
	for _, l := range s.logs {
		l.Close()
	}
}
