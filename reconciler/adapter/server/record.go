// What is asked and answered goes to the log of predictions: beside the answer, never in its
// way. The bodies that the proxy holds anyway are handed on; of those that stream, as much is
// kept as a log takes.

package server

import (
	"crypto/rand"
	"net/http"
	"time"

	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog"
)

// HeaderPrediction names the row that an answer is logged as: labels that come later are
// joined by it. Who sends an id with the request has the same one back.
const HeaderPrediction = "X-Vishwa-Prediction"

// idHeaders are where a request may bring its id, the first of them first.
var idHeaders = []string{"X-Request-Id", "Ce-Id"}

// mostLogged is how much of a body is kept for the log, where the proxy does not hold it anyway.
const mostLogged = 1 << 20

// soughtIn is the most bytes of a body that its id is looked for in while the answer waits.
const soughtIn = 16 << 10

// record is one exchange on its way to the log.
type record struct {
	log   *predictionlog.Log
	x     predictions.Exchange
	began time.Time
	skip  bool // it is not sampled
	known bool // its id is
}

// newRecord begins to record r; nil where nothing is logged.
func newRecord(log *predictionlog.Log, w http.ResponseWriter, r *http.Request, now time.Time) *record {
	if log == nil || r.Method != http.MethodPost {
		return nil
	}
	rec := &record{log: log, began: now, x: predictions.Exchange{Time: now, Arm: armOnly, Path: r.URL.Path}}
	rec.x.Request.Encoding = r.Header.Get("Content-Encoding")
	for _, name := range idHeaders {
		if id := r.Header.Get(name); id != "" {
			rec.identify(id, w)
			break
		}
	}
	return rec
}

func (r *record) identify(id string, w http.ResponseWriter) {
	id = predictions.CleanID(id)
	r.x.ID, r.known, r.skip = id, true, !r.log.Sampled(id)
	w.Header().Set(HeaderPrediction, id)
}

// asked takes a body that is held as a whole.
func (r *record) asked(raw []byte, w http.ResponseWriter) {
	if r == nil {
		return
	}
	if !r.known && (len(raw) <= soughtIn || !predictions.MayHaveID(raw)) {
		id := predictions.RequestID(raw)
		if id == "" {
			id = rand.Text()
		}
		r.identify(id, w)
	}
	if !r.skip {
		r.x.Request.Bytes = raw
	}
}

// by says who answers.
func (r *record) by(v *visit) {
	if r != nil && v.arm == armAsked { // somebody tries it: that says nothing of what it is asked when it serves
		r.skip = true
	}
	if r != nil && v.at != nil {
		r.x.Model, r.x.Release, r.x.Arm = string(v.at.model), string(v.at.key), v.arm
	}
}

// keep appends what goes by to a body, as far as a log takes it.
func (r *record) keep(to *predictions.Body, b []byte) {
	if r.skip {
		return
	}
	*to = kept(*to, b)
}

// end hands the exchange to the log.
func (r *record) end(h http.Header) {
	if r == nil || r.skip { // where its id is not known yet the log finds it, and samples by it
		return
	}
	if r.x.Latency == 0 {
		r.took()
	}
	r.x.Response.Encoding = h.Get("Content-Encoding")
	r.log.Add(r.x)
}

// passing is a request's body that is recorded as it goes by.
type passing struct {
	body interface{ Read([]byte) (int, error) }
	rec  *record
}

func (p passing) Read(b []byte) (int, error) {
	n, err := p.body.Read(b)
	p.rec.keep(&p.rec.x.Request, b[:n])
	return n, err
}

func (passing) Close() error { return nil } // the server that received the request closes it

// recorded is the writer of an answer that is recorded.
type recorded struct {
	http.ResponseWriter
	rec *record
}

func (w *recorded) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorded) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.rec.x.Status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorded) Write(b []byte) (int, error) {
	if w.rec.x.Status == 0 {
		w.rec.x.Status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.rec.keep(&w.rec.x.Response, b[:n])
	return n, err
}

// settle finds the id of an exchange that has none yet, so that both rows of it have the same.
func (r *record) settle(body []byte) {
	if r == nil || r.known {
		return
	}
	id := predictions.RequestID(body)
	if id == "" {
		id = rand.Text()
	}
	id = predictions.CleanID(id)
	r.x.ID, r.known, r.skip = id, true, r.skip || !r.log.Sampled(id)
}

// took notes that the answer is complete.
func (r *record) took() { r.x.Latency = time.Since(r.began) }

// again hands a second answer to the same request to the log.
func (r *record) again(x predictions.Exchange) {
	if r == nil || r.skip {
		return
	}
	x.Time, x.ID, x.Path, x.Request = r.x.Time, r.x.ID, r.x.Path, r.x.Request
	r.log.Add(x)
}
