// Servers that hold the line and send nothing, and questions that are not asked again.

package bucket

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	dialling "github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// quick is an S3 bucket at h that is given up soon.
func quick(t *testing.T, h http.HandlerFunc, change ...func(*S3Options)) port.Bucket {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	o := S3Options{Bucket: "bucket", Endpoint: s.URL, AccessKey: "a", SecretKey: "b", Lookup: func(string) (string, bool) { return "", false },
		pace: dialling.Pace{Window: 400 * time.Millisecond, Least: 500}}
	for _, f := range change {
		f(&o)
	}
	b, err := S3(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// dripping sends head, then a byte now and then until the client is gone.
func dripping(head func(http.ResponseWriter), drip string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if head != nil {
			head(w)
			w.(http.Flusher).Flush()
		}
		for {
			select {
			case <-r.Context().Done():
				return
			case <-time.After(30 * time.Millisecond):
			}
			if drip != "" {
				_, _ = io.WriteString(w, drip)
				w.(http.Flusher).Flush()
			}
		}
	}
}

// TestAServerThatSendsNothingIsGivenUp: by every verb, after the second try.
func TestAServerThatSendsNothingIsGivenUp(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"silent":      dripping(nil, ""),
		"by the byte": dripping(func(w http.ResponseWriter) { w.Header().Set("Content-Length", "100000"); w.Header().Set("ETag", `"x"`) }, "x"),
		"stops":       dripping(func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<ListBucketResult>") }, ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := quick(t, h)
			for what, ask := range map[string]func() error{
				"list": func() error {
					for _, err := range b.List(t.Context(), "") {
						return err
					}
					return nil
				},
				"get": func() error {
					r, _, err := b.Get(t.Context(), "k", port.All)
					if err != nil {
						return err
					}
					defer r.Close()
					_, err = io.Copy(io.Discard, r)
					return err
				},
				"put": func() error { _, err := b.Put(t.Context(), "k", strings.NewReader("text"), 4); return err },
			} {
				if what == "put" && name != "silent" || what == "get" && name == "stops" {
					continue // an answer that has begun is one
				}
				began := time.Now()
				err := ask()
				if err == nil || fault.Of(err) != fault.Transient || fault.HintOf(err) == "" {
					t.Errorf("%s: it ends with %v", what, err)
				}
				if took := time.Since(began); took > 15*time.Second {
					t.Errorf("%s: it took %s", what, took)
				}
			}
		})
	}
}

// TestALargeObjectThatComesSlowlyIsTaken: it takes several windows, and each brings enough.
func TestALargeObjectThatComesSlowlyIsTaken(t *testing.T) {
	const size, piece = 20000, 500
	b := quick(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(size))
		w.Header().Set("ETag", `"x"`)
		w.Header().Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
		for range size / piece {
			_, _ = io.WriteString(w, strings.Repeat("x", piece))
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(40 * time.Millisecond):
			}
		}
	})
	r, _, err := b.Get(t.Context(), "k", port.All)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); err != nil || n != size {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// TestWhatIsRefusedIsAskedOnce: an address that must not be dialled, and a name that
// nobody has, are not tried again.
func TestWhatIsRefusedIsAskedOnce(t *testing.T) {
	var asked atomic.Int64
	b := quick(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) }, func(o *S3Options) { o.Guarded = true })
	began := time.Now()
	_, err := b.Stat(t.Context(), "k")
	if err == nil || fault.Of(err) != fault.Denied || !strings.Contains(err.Error(), "not a public address") || !strings.Contains(err.Error(), "s3://bucket/k") {
		t.Errorf("it ends with %v", err)
	}
	if took := time.Since(began); took > 2*time.Second || asked.Load() > 0 {
		t.Errorf("it took %s, and the server was asked %d times", took, asked.Load())
	}
}

// TestAGuardKnowsABucketsOwnName: where the bucket stands before the host's name, what is
// allowed of the host is allowed of it, and of no other.
func TestAGuardKnowsABucketsOwnName(t *testing.T) {
	yes, no := true, false
	for name, c := range map[string]struct {
		server string
		allow  []string
		style  *bool
		host   string
		more   string
	}{
		"the host":          {"S3.corp:9000", []string{"s3.corp"}, nil, "s3.corp", ""},
		"by its path":       {"s3.corp", []string{"s3.corp"}, &yes, "s3.corp", ""},
		"before its name":   {"s3.corp:9000", []string{"S3.CORP"}, &no, "bucket.s3.corp", "bucket.s3.corp"},
		"of one not named":  {"s3.corp", []string{"10.0.0.0/8"}, &no, "bucket.s3.corp", ""},
		"an address":        {"[::1]:9000", nil, nil, "::1", ""},
		"nothing of others": {"s3.evil", []string{"s3.corp"}, &no, "bucket.s3.evil", ""},
	} {
		host, allow := S3Options{Bucket: "bucket", PathStyle: c.style, Allow: c.allow}.named(c.server)
		want := c.allow
		if c.more != "" {
			want = append(slices.Clone(c.allow), c.more)
		}
		if host != c.host || !slices.Equal(allow, want) {
			t.Errorf("%s: %s, %v", name, host, allow)
		}
	}
}
