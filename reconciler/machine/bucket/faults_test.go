// What S3 and the way to it do wrong, and what comes of it: with a server in this
// process, and the same with a real MinIO.

package bucket

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
)

func TestFaults(t *testing.T) { faults(t, peers.S3(), false) }

func TestMemoryIsABucket(t *testing.T) {
	at := peers.NewBetween(t, peers.S3()).URL
	n := 0
	porttest.Bucket(t, func(t *testing.T) port.Bucket { n++; return made(t, at, fmt.Sprintf("suite-%d", n)) })
}

func TestRealFaults(t *testing.T) { faults(t, peers.Proxy(t, peers.MinIO(t)), true) }

// noise is bytes that nothing can guess.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

func faults(t *testing.T, server http.Handler, real bool) {
	n := 0
	open := func(t *testing.T) (*peers.Between, port.Bucket) {
		n++
		between := peers.NewBetween(t, server)
		return between, made(t, between.URL, fmt.Sprintf("faults-%d", n))
	}
	put := func(t *testing.T, b port.Bucket, key string, p []byte) {
		t.Helper()
		if _, err := b.Put(t.Context(), key, bytes.NewReader(p), int64(len(p))); err != nil {
			t.Fatalf("put %s: %v", key, err)
		}
	}
	get := func(t *testing.T, b port.Bucket, key string) ([]byte, error) {
		t.Helper()
		body, _, err := b.Get(t.Context(), key, port.All)
		if err != nil {
			return nil, err
		}
		defer body.Close()
		return io.ReadAll(body)
	}

	t.Run("a body that is cut goes on where it was", func(t *testing.T) {
		between, b := open(t)
		data := noise(3 << 20)
		put(t, b, "k", data)
		var from []string
		between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			from = append(from, r.Header.Get("Range"))
			next.ServeHTTP(peers.Cut(w, 1<<20), r)
		})
		if got, err := get(t, b, "k"); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if len(from) < 3 || from[0] != "" || !strings.HasPrefix(from[1], "bytes=") {
			t.Errorf("asked for %q", from)
		}
	})
	t.Run("what was cut and is another object now is a Conflict", func(t *testing.T) {
		between, b := open(t)
		put(t, b, "k", noise(2<<20))
		between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(peers.Cut(w, 1<<20), r)
		})
		body, _, err := b.Get(t.Context(), "k", port.All)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		between.Meddle(nil)
		put(t, b, "k", noise(2<<20+1))
		if got, err := io.ReadAll(body); fault.Of(err) != fault.Conflict || err == nil {
			t.Errorf("%d bytes, %v; want a Conflict", len(got), err)
		}
	})
	t.Run("a server that never ends what it begins is Transient", func(t *testing.T) {
		between, b := open(t)
		put(t, b, "k", noise(1<<20))
		between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(peers.Cut(w, 0), r)
		})
		if _, err := get(t, b, "k"); fault.Of(err) != fault.Transient || err == nil {
			t.Errorf("%v, want Transient", err)
		}
	})
	t.Run("an upload that is cut goes on where it was", func(t *testing.T) {
		between, b := open(t)
		data := noise(5*leastPart + 12345)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var begun, arrived atomic.Int64
		three := make(chan struct{})
		between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method == http.MethodPut && r.URL.Query().Has("partNumber") {
				if begun.Add(1) > 3 {
					<-three
					cancel() // as the process that ends
					panic(http.ErrAbortHandler)
				}
				if next.ServeHTTP(w, r); arrived.Add(1) == 3 {
					close(three)
				}
				return
			}
			next.ServeHTTP(w, r)
		})
		_, err := b.Put(ctx, "k", bytes.NewReader(data), int64(len(data)))
		if fault.Of(err) != fault.Cancelled || err == nil {
			t.Fatalf("%v, want Cancelled", err)
		}
		if _, err := b.Stat(t.Context(), "k"); fault.Of(err) != fault.Missing || err == nil {
			t.Errorf("half of it is there: %v", err)
		}
		u, err := b.(*s3).begun(t.Context(), "k")
		parts := u.there
		if err != nil || len(parts) == 0 {
			t.Fatalf("%d parts have arrived, %v", len(parts), err)
		}
		var again atomic.Int64
		between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method == http.MethodPut && r.URL.Query().Has("partNumber") {
				again.Add(1)
			}
			next.ServeHTTP(w, r)
		})
		put(t, b, "k", data)
		if got := int(again.Load()); got != 6-len(parts) {
			t.Errorf("%d parts were sent again after %d of 6 had arrived", got, len(parts))
		}
		if got, err := get(t, b, "k"); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes came back, %v", len(got), err)
		}
	})
	t.Run("an upload of other bytes is not gone on with", func(t *testing.T) {
		between, b := open(t)
		cutOff, other := noise(2*leastPart+1), noise(2*leastPart+1)
		other[leastPart+5] ^= 1
		between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method == http.MethodPost && r.URL.Query().Has("uploadId") {
				w.WriteHeader(http.StatusForbidden) // it is not completed
				return
			}
			next.ServeHTTP(w, r)
		})
		if _, err := b.Put(t.Context(), "k", bytes.NewReader(cutOff), int64(len(cutOff))); err == nil {
			t.Fatal("it was put")
		}
		between.Meddle(nil)
		put(t, b, "k", other)
		if got, err := get(t, b, "k"); err != nil || !bytes.Equal(got, other) {
			t.Errorf("other bytes came back, %v", err)
		}
	})
	t.Run("bytes that change on their way are sent again", func(t *testing.T) {
		between, b := open(t)
		for _, size := range []int{100, leastPart + 100} {
			data := noise(size)
			var once sync.Once
			between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if r.Method == http.MethodPut {
					once.Do(func() { r.Body = peers.Garble(r.Body) })
				}
				next.ServeHTTP(w, r)
			})
			key := fmt.Sprint(size)
			put(t, b, key, data)
			if got, err := get(t, b, key); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes: others are kept, %v", size, err)
			}
		}
	})
	t.Run("a line that always changes bytes keeps none of them", func(t *testing.T) {
		between, b := open(t)
		between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method == http.MethodPut {
				r.Body = peers.Garble(r.Body)
			}
			next.ServeHTTP(w, r)
		})
		if _, err := b.Put(t.Context(), "k", bytes.NewReader(noise(100)), 100); fault.Of(err) != fault.Transient || err == nil {
			t.Errorf("%v, want Transient", err)
		}
		between.Meddle(nil)
		if _, err := b.Stat(t.Context(), "k"); fault.Of(err) != fault.Missing || err == nil {
			t.Errorf("it is there: %v", err)
		}
	})
	t.Run("503 SlowDown: less is asked, all of it comes", func(t *testing.T) {
		between, b := open(t)
		const bears = 4
		var now, most, refused atomic.Int64
		between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			defer now.Add(-1)
			if n := now.Add(1); n > bears {
				refused.Add(1)
				slowDown(w)
				return
			} else if n > most.Load() {
				most.Store(n)
			}
			time.Sleep(5 * time.Millisecond)
			next.ServeHTTP(w, r)
		})
		var g errgroup.Group
		for i := range 200 {
			g.Go(func() error {
				_, err := b.Put(t.Context(), fmt.Sprint(i), strings.NewReader("x"), 1)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		// 64 at once would be refused thousands of times: once an answer and try.
		if n := refused.Load(); n == 0 || n > 400 {
			t.Errorf("it was refused %d times, for 200 objects", n)
		}
		if most.Load() < 2 {
			t.Errorf("at most %d were under way", most.Load())
		}
	})
	t.Run("a connection that breaks is made again", func(t *testing.T) {
		between, b := open(t)
		var n atomic.Int64
		between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if n.Add(1)%3 == 0 {
				panic(http.ErrAbortHandler)
			}
			next.ServeHTTP(w, r)
		})
		for i := range 9 {
			put(t, b, fmt.Sprint("k", i), []byte("text"))
		}
		if got, err := get(t, b, "k8"); err != nil || string(got) != "text" {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("a server that hangs is left when the caller goes", func(t *testing.T) {
		between, b := open(t)
		put(t, b, "k", noise(10))
		between.Meddle(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() })
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		began := time.Now()
		if _, _, err := b.Get(ctx, "k", port.All); fault.Of(err) != fault.Cancelled || err == nil {
			t.Errorf("%v, want Cancelled", err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
	})
	t.Run("what is left of an upload is tidied after a week", func(t *testing.T) {
		between, b := open(t)
		data := noise(leastPart + 1)
		between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method == http.MethodPost && r.URL.Query().Has("uploadId") {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		})
		if _, err := b.Put(t.Context(), "k", bytes.NewReader(data), int64(len(data))); err == nil {
			t.Fatal("it was put")
		}
		between.Meddle(nil)
		s := b.(*s3)
		left := func() int {
			l, err := s.core.ListMultipartUploads(t.Context(), s.bucket, s.prefix+"k", "", "", "", 10)
			if err != nil {
				t.Fatal(err)
			}
			return len(l.Uploads)
		}
		if err := s.Tidy(t.Context(), time.Now()); err != nil || left() != 1 {
			t.Errorf("%d are left on the first day, %v", left(), err)
		}
		if err := s.Tidy(t.Context(), time.Now().Add(8*24*time.Hour)); err != nil {
			t.Error(err)
		}
		if n := left(); !real && n != 0 { // MinIO lists uploads by their whole key alone, and tidies by itself
			t.Errorf("%d are left after a week", n)
		}
	})
}

func slowDown(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, `<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`)
}
