// Buckets keep the promises of their port: a folder, and a real MinIO where there is one.

package bucket

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
)

func TestDirIsABucket(t *testing.T) {
	porttest.Bucket(t, func(t *testing.T) port.Bucket {
		b, err := Dir(filepath.Join(t.TempDir(), "remote"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}

// TestDirFollowsNoLinkOut: a link in the folder does not lead out of it.
func TestDirFollowsNoLinkOut(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	b, err := Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Get(t.Context(), "link/secret", port.All); err == nil {
		t.Error("it was read")
	}
	if _, err := b.Put(t.Context(), "link/mine", strings.NewReader("y"), 1); err == nil {
		t.Error("it was written")
	}
}

// TestAnswersHaveTheirKind: what a server refuses is told as what happens next, and
// without the signature of the request.
func TestAnswersHaveTheirKind(t *testing.T) {
	for code, c := range map[string]struct {
		status int
		want   fault.Kind
		way    string
	}{
		"AccessDenied":         {403, fault.Denied, "credentials"},
		"ExpiredToken":         {400, fault.Denied, "renew"},
		"RequestTimeTooSkewed": {403, fault.Denied, "clock"},
		"NoSuchKey":            {404, fault.Missing, ""},
		"NoSuchBucket":         {404, fault.Missing, "make the bucket"},
		"InvalidArgument":      {400, fault.Invalid, ""},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(c.status)
			fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>no</Message></Error>`, code)
		}))
		b, err := S3(S3Options{Bucket: "bucket", Endpoint: srv.URL, AccessKey: "AKIDEXAMPLE", SecretKey: "hunter2hunter2"})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = b.Get(t.Context(), "k", port.All)
		srv.Close()
		if fault.Of(err) != c.want || err == nil || !strings.Contains(fault.HintOf(err), c.way) {
			t.Errorf("%s: %v (%v; %s), want %v", code, err, fault.Of(err), fault.HintOf(err), c.want)
		}
		for _, secret := range []string{"hunter2", "Signature", "AKIDEXAMPLE"} {
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%s tells %s: %v", code, secret, err)
			}
		}
	}
}

// TestWithoutCredentialsNothingIsAsked but where the machine's role would be.
func TestWithoutCredentialsNothingIsAsked(t *testing.T) {
	between := peers.NewBetween(t, peers.S3())
	between.Meddle(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		t.Errorf("%s %s was asked for", r.Method, r.URL)
		w.WriteHeader(http.StatusForbidden)
	})
	role := httptest.NewServer(http.NotFoundHandler())
	defer role.Close()
	b, err := S3(S3Options{Bucket: "bucket", Endpoint: between.URL, Lookup: func(string) (string, bool) { return "", false }, metadata: role.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Stat(t.Context(), "k"); fault.Of(err) != fault.Denied || err == nil || !strings.Contains(fault.HintOf(err), "AWS_ACCESS_KEY_ID") {
		t.Errorf("%v (%s), want Denied", err, fault.HintOf(err))
	}
}

// TestObjectsArePutWithTheirAccess, in one piece and in parts.
func TestObjectsArePutWithTheirAccess(t *testing.T) {
	between := peers.NewBetween(t, peers.S3())
	var said []string
	between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if acl := r.Header.Get("X-Amz-Acl"); acl != "" {
			said = append(said, r.Method+" "+acl)
		}
		next.ServeHTTP(w, r)
	})
	b, err := S3(S3Options{Bucket: "bucket", Endpoint: between.URL, AccessKey: "x", SecretKey: "x", Access: map[string]string{"acl": "bucket-owner-full-control"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, leastPart + 1} {
		if _, err := b.Put(t.Context(), fmt.Sprint(size), bytes.NewReader(make([]byte, size)), int64(size)); err != nil {
			t.Fatal(err)
		}
	}
	if want := "PUT bucket-owner-full-control, POST bucket-owner-full-control"; strings.Join(said, ", ") != want {
		t.Errorf("%q, want %q", said, want)
	}
}

// TestShortAnswersAreNoEnd: a body that ends before what was promised is no whole object.
func TestShortAnswersAreNoEnd(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.Header().Set("ETag", `"x"`)
		w.Header().Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
		_, _ = io.WriteString(w, "only this")
	}))
	defer srv.Close()
	b, err := S3(S3Options{Bucket: "bucket", Endpoint: srv.URL, Anonymous: true})
	if err != nil {
		t.Fatal(err)
	}
	body, _, err := b.Get(t.Context(), "k", port.All)
	if err == nil {
		_, err = io.ReadAll(body)
		body.Close()
	}
	if fault.Of(err) != fault.Transient || err == nil {
		t.Errorf("%v (%v), want Transient", err, fault.Of(err))
	}
}

// TestBusyServersAreAskedAgain: 503 SlowDown passes.
func TestBusyServersAreAskedAgain(t *testing.T) {
	var asked atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(503)
			_, _ = io.WriteString(w, `<?xml version="1.0"?><Error><Code>SlowDown</Code></Error>`)
			return
		}
		w.Header().Set("ETag", `"x"`)
		w.Header().Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
		w.Header().Set("Content-Length", "3")
	}))
	defer srv.Close()
	b, err := S3(S3Options{Bucket: "bucket", Endpoint: srv.URL, Anonymous: true})
	if err != nil {
		t.Fatal(err)
	}
	if o, err := b.Stat(t.Context(), "k"); err != nil || o.Size != 3 {
		t.Errorf("%+v, %v after %d requests", o, err, asked.Load())
	}
}

// TestRealMinIO runs the suite against MinIO, which make test-real installs.
func TestRealMinIO(t *testing.T) {
	endpoint := peers.MinIO(t)
	n := 0
	porttest.Bucket(t, func(t *testing.T) port.Bucket { n++; return made(t, endpoint, fmt.Sprintf("suite-%d", n)) })
	t.Run("large objects go in parts", func(t *testing.T) {
		b := made(t, endpoint, "large")
		big := make([]byte, 40<<20+7)
		_, _ = rand.Read(big)
		if _, err := b.Put(t.Context(), "big", bytes.NewReader(big), int64(len(big))); err != nil {
			t.Fatal(err)
		}
		body, o, err := b.Get(t.Context(), "big", port.All)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, big) || o.Size != int64(len(big)) {
			t.Errorf("%d bytes came back, %v", len(got), err)
		}
	})
	t.Run("false credentials are Denied", func(t *testing.T) {
		b, err := S3(S3Options{Bucket: "large", Endpoint: endpoint, AccessKey: "minioadmin", SecretKey: "wrongwrong"})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.Get(t.Context(), "big", port.All); fault.Of(err) != fault.Denied || err == nil {
			t.Errorf("%v, want Denied", err)
		}
	})
}

func made(t *testing.T, endpoint, name string) port.Bucket {
	t.Helper()
	b, err := S3(S3Options{Bucket: name, Prefix: "some/prefix", Endpoint: endpoint, AccessKey: "minioadmin", SecretKey: "minioadmin"})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.(*s3).c.MakeBucket(t.Context(), name, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestNoBucketIsOnTheLink: a declaration's endpoint does not ask for a cloud's metadata.
func TestNoBucketIsOnTheLink(t *testing.T) {
	b, err := S3(S3Options{Bucket: "bucket", Endpoint: "http://169.254.169.254", AccessKey: "x", SecretKey: "x"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := b.Stat(ctx, "latest/meta-data"); fault.Of(err) != fault.Denied || err == nil || !strings.Contains(fault.HintOf(err), "endpoint") {
		t.Errorf("%v (%v), want Denied", err, fault.Of(err))
	}
}
