// Conditional requests: what has not changed is not sent again, and costs nothing of most
// rate limits.

package httpx

import (
	"bytes"
	"crypto/sha256"
	"io"
	"net/http"
	"sync"
)

const (
	mostKept  = 512
	longKept  = 1 << 20  // bytes of one answer
	totalKept = 16 << 20 // bytes of all
)

type kept struct {
	etag   string
	header http.Header
	body   []byte
	used   int
}

// Cache keeps short answers of Next to GETs that have an ETag, by URL and credential, at
// most 16 MiB of them.
type Cache struct {
	Next http.RoundTripper

	mu    sync.Mutex
	kept  map[string]*kept
	size  int
	clock int
}

// RoundTrip implements http.RoundTripper.
func (r *Cache) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet {
		return r.Next.RoundTrip(req)
	}
	who := sha256.Sum256([]byte(req.Header.Get("Authorization")))
	key := string(who[:]) + " " + req.URL.String()
	r.mu.Lock()
	old := r.kept[key]
	if old != nil {
		r.clock++
		old.used = r.clock
	}
	r.mu.Unlock()
	if old != nil {
		req = req.Clone(req.Context())
		req.Header.Set("If-None-Match", old.etag)
	}
	resp, err := r.Next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if old != nil && resp.StatusCode == http.StatusNotModified {
		Drain(resp)
		resp.StatusCode, resp.Status = http.StatusOK, "200 OK"
		resp.Header = old.header.Clone()
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(old.body)), int64(len(old.body))
		return resp, nil
	}
	if etag := resp.Header.Get("ETag"); resp.StatusCode == http.StatusOK && etag != "" {
		return resp, r.keep(key, etag, resp)
	}
	return resp, nil
}

// keep remembers resp where it is short, and leaves its body to be read.
func (r *Cache) keep(key, etag string, resp *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, longKept+1))
	if err != nil {
		resp.Body.Close()
		return err
	}
	if len(body) > longKept {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(body), resp.Body), resp.Body}
		return nil
	}
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(key)
	r.clock++
	if r.kept == nil {
		r.kept = map[string]*kept{}
	}
	r.kept[key] = &kept{etag: etag, header: resp.Header.Clone(), body: body, used: r.clock}
	r.size += len(body)
	for len(r.kept) > mostKept || r.size > totalKept {
		oldest := key
		for k, a := range r.kept {
			if a.used < r.kept[oldest].used {
				oldest = k
			}
		}
		r.forget(oldest)
	}
	return nil
}

// forget drops what is kept under key; r.mu is held.
func (r *Cache) forget(key string) {
	if a := r.kept[key]; a != nil {
		r.size -= len(a.body)
		delete(r.kept, key)
	}
}
