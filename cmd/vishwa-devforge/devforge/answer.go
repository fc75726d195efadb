// Answers: held back until they are whole, in GitHub's shape, or streamed and cut
// where a fault wants it.

package devforge

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
)

// answer holds an answer back until it is whole.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

func (a *answer) sendTo(w http.ResponseWriter) {
	for k, v := range a.header {
		w.Header()[k] = v
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	w.WriteHeader(a.status)
	w.Write(a.body.Bytes())
}

// json makes v the answer.
func (a *answer) json(status int, v any) {
	if v == nil {
		a.WriteHeader(status)
		return
	}
	raw, err := json.Marshal(v)
	if err != nil {
		a.refuse(refuse(http.StatusInternalServerError, "Server Error"))
		return
	}
	a.WriteHeader(status)
	a.body.Write(raw)
}

// refuse makes p the answer, in GitHub's shape.
func (a *answer) refuse(p *Problem) {
	for k, v := range p.Header {
		a.header[k] = v
	}
	docs := p.Docs
	if docs == "" {
		docs = "https://docs.github.com/rest"
	}
	body := object{"message": p.Message, "documentation_url": docs, "status": strconv.Itoa(p.Status)}
	if len(p.Errors) > 0 {
		body["errors"] = p.Errors
	}
	a.status = 0
	a.body.Reset()
	a.json(p.Status, body)
}

// watched sees the status of an answer that is streamed, and cuts it where asked.
type watched struct {
	http.ResponseWriter
	status int
	tell   func(status int) // before the client sees it, so that a count is never behind
	cut    int              // bytes until the cut; negative: never
	broken bool
}

func (w *watched) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		w.tell(status)
		if w.cut >= 0 {
			w.Header().Del("Content-Length")
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *watched) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.cut < 0 {
		return w.ResponseWriter.Write(b)
	}
	n := min(w.cut, len(b))
	w.ResponseWriter.Write(b[:n])
	w.cut -= n
	if w.cut == 0 {
		w.broken = true
		w.Flush()
	}
	return len(b), nil // what writes need not know
}

// Flush lets Git's progress through.
func (w *watched) Flush() {
	if fl, ok := w.ResponseWriter.(http.Flusher); ok {
		fl.Flush()
	}
}
