// Package register is a web server of one process that lists what is known so far, as a CSV file: where
// the data of a demo comes from, and grows.
package register

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Register lists rows. Its zero value lists none, and is not to be copied.
type Register struct {
	URL string // of the file, once it listens

	mu   sync.Mutex
	rows []byte
	http http.Server
}

// ServeHTTP answers with the rows, whose ETag changes when they do.
func (r *Register) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	rows := r.Rows()
	w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(rows)))
	http.ServeContent(w, q, "register.csv", time.Time{}, bytes.NewReader(rows))
}

// Listen begins with these rows, under a name that the URL ends with.
func (r *Register) Listen(name string, rows []byte) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	r.Add(rows)
	r.http.Handler, r.URL = r, "http://"+l.Addr().String()+"/"+name
	go func() { _ = r.http.Serve(l) }() // it ends with Close
	return nil
}

// Rows are those so far.
func (r *Register) Rows() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.rows)
}

// Add lists more.
func (r *Register) Add(rows []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, rows...)
}

// Close ends it.
func (r *Register) Close() error { return r.http.Close() }
