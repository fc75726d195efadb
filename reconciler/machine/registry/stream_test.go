// A stream arrives whole or not at all, and is sent on where it was cut.

package registry

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/registrytest"
)

func artifactsAt(t *testing.T, address, name string) *Artifacts {
	t.Helper()
	_, host, _ := strings.Cut(address, "://")
	a, err := OpenArtifacts(Options{pause: time.Millisecond}, host+"/"+name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// stream sends p in writes of odd sizes.
func stream(t *testing.T, a *Artifacts, p []byte) (ocispec.Descriptor, error) {
	t.Helper()
	return a.Stream(t.Context(), "it", int64(len(p)), func(w io.Writer) error {
		for b := bytes.NewBuffer(p); b.Len() > 0; {
			if _, err := w.Write(b.Next(700_001)); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestAStreamArrivesThoughTheWayIsCut(t *testing.T) {
	p := noise(40<<20 + 12345)
	for name, meddled := range map[string]meddle{
		"nothing happens": nil,
		"a piece is lost": func() meddle {
			lose := nth(3, asks("PATCH", "uploads"))
			return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if lose(r) {
					panic(http.ErrAbortHandler)
				}
				next.ServeHTTP(w, r)
			}
		}(),
		"an answer is lost": func() meddle {
			lose := nth(1, asks("PUT", "uploads"))
			return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if lose(r) {
					next.ServeHTTP(discarding{http.Header{}}, r)
					panic(http.ErrAbortHandler)
				}
				next.ServeHTTP(w, r)
			}
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			between := peers.NewBetween(t, registrytest.Memory())
			if meddled != nil {
				between.Meddle(meddled)
			}
			a := artifactsAt(t, between.URL, "team/x")
			d, err := stream(t, a, p)
			if err != nil || d.Digest != godigest.FromBytes(p) || d.Size != int64(len(p)) {
				t.Fatalf("%+v, %v", d, err)
			}
			body, err := a.Blob(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			defer body.Close()
			if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, p) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

type discarding struct{ header http.Header }

func (d discarding) Header() http.Header         { return d.header }
func (d discarding) Write(p []byte) (int, error) { return len(p), nil }
func (d discarding) WriteHeader(int)             {}

// TestWhatArrivedOfAStreamIsNotSentAgain: a registry is asked how much has.
func TestWhatArrivedOfAStreamIsNotSentAgain(t *testing.T) {
	between := peers.NewBetween(t, peers.Proxy(t, "http://"+registrytest.New(t, "", "").Address))
	var cuts, sent atomic.Int64
	between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPatch {
			r.Body = &short{r.Body, 12 << 20, &sent}
			if cuts.Add(1) > 2 {
				r.Body.(*short).left = 1 << 40
			}
		}
		next.ServeHTTP(w, r)
	})
	p := noise(40<<20 + 12345)
	d, err := stream(t, artifactsAt(t, between.URL, "x"), p)
	if err != nil || d.Digest != godigest.FromBytes(p) {
		t.Fatalf("%+v, %v", d, err)
	}
	if n := sent.Load(); cuts.Load() < 3 || n > int64(len(p))+(4<<20) {
		t.Errorf("%d bytes were sent of %d, in %d requests", n, len(p), cuts.Load())
	}
}

// short is a body that is cut off.
type short struct {
	io.ReadCloser
	left int64
	sent *atomic.Int64
}

func (s *short) Read(p []byte) (int, error) {
	if s.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := s.ReadCloser.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	s.sent.Add(int64(n))
	return n, err
}

// TestSmallerPiecesWhereLargeOnesAreRefused: by a proxy before a registry.
func TestSmallerPiecesWhereLargeOnesAreRefused(t *testing.T) {
	between := peers.NewBetween(t, registrytest.Memory())
	between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.ContentLength > 33<<20 {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		next.ServeHTTP(w, r)
	})
	p := noise(70 << 20)
	if d, err := stream(t, artifactsAt(t, between.URL, "x"), p); err != nil || d.Digest != godigest.FromBytes(p) {
		t.Fatalf("%+v, %v", d, err)
	}
}

// TestAStreamThatFailsLeavesNothing: what could not be read to its end is no blob.
func TestAStreamThatFailsLeavesNothing(t *testing.T) {
	between := peers.NewBetween(t, registrytest.Memory())
	var named atomic.Int32
	between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Query().Get("digest") != "" {
			named.Add(1)
		}
		next.ServeHTTP(w, r)
	})
	a := artifactsAt(t, between.URL, "x")
	broken := errors.New("it is corrupt")
	_, err := a.Stream(t.Context(), "it", 40<<20, func(w io.Writer) error {
		if _, err := w.Write(noise(20<<20 + 5)); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) || named.Load() != 0 {
		t.Errorf("%v, named %d times", err, named.Load())
	}
}

// TestWhatARegistrySaysOfAPushIsTold: what, where, and what to do.
func TestWhatARegistrySaysOfAPushIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		path, body string
		code       int
		want       fault.Kind
		hint       string
	}{
		"no credentials":                   {"uploads", `{"errors":[{"code":"UNAUTHORIZED"}]}`, 401, fault.Denied, "docker login"},
		"not allowed":                      {"uploads", `{"errors":[{"code":"DENIED","message":"hunter2"}]}`, 403, fault.Denied, "docker login"},
		"no room":                          {"uploads", `{"errors":[{"code":"DENIED","message":"adding 1 GiB would exceed the quota, hunter2"}]}`, 403, fault.Denied, "quota"},
		"immutable tag":                    {"manifests/stable", `{"errors":[{"code":"DENIED","message":"tag is immutable, hunter2"}]}`, 403, fault.Conflict, "by its digest"},
		"immutable tag, as ECR has it":     {"manifests/stable", `{"errors":[{"code":"TAG_INVALID","message":"The image tag 'stable' already exists in the 'hunter2' repository and cannot be overwritten because the tag is immutable."}]}`, 400, fault.Conflict, "by its digest"},
		"immutable tag, as Harbor has it":  {"manifests/stable", `{"errors":[{"code":"PRECONDITION","message":"Failed to process request due to 'hunter2:stable' configured as immutable."}]}`, 412, fault.Conflict, "by its digest"},
		"no room, as Harbor has it":        {"manifests/", `{"errors":[{"code":"PROJECTPOLICYVIOLATION","message":"adding 1.0 MiB of storage resource, which when updated to current usage of hunter2 will exceed the configured upper limit"}]}`, 412, fault.Denied, "quota"},
		"no room, as ECR has it":           {"manifests/", `{"errors":[{"code":"LIMIT_EXCEEDED","message":"hunter2"}]}`, 400, fault.Denied, "quota"},
		"other bytes":                      {"manifests/", `{"errors":[{"code":"DIGEST_INVALID"}]}`, 400, fault.Transient, "a proxy that changes what passes"},
		"too large":                        {"uploads", "", 413, fault.Invalid, "any proxy before it"},
		"its disk is full":                 {"uploads", "", 507, fault.Transient, "make room there"},
		"read only":                        {"uploads", `{"errors":[{"code":"UNSUPPORTED","message":"The repository is in read only mode"}]}`, 405, fault.Transient, "read-only while its garbage is collected"},
		"a manifest that it does not take": {"manifests/", `{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid"}]}`, 400, fault.Invalid, "a registry of OCI 1.1"},
		"a name":                           {"uploads", `{"errors":[{"code":"NAME_UNKNOWN","message":"repository does not exist"}]}`, 404, fault.Missing, "make the repository"},
		"a blob is gone":                   {"manifests/", `{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}`, 404, fault.Transient, "garbage"},
	} {
		t.Run(name, func(t *testing.T) {
			between := peers.NewBetween(t, registrytest.Memory())
			between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if writes(r.Method) && strings.Contains(r.URL.Path, c.path) {
					w.Header().Set("Content-Type", "application/json")
					w.WriteHeader(c.code)
					_, _ = io.WriteString(w, c.body)
					return
				}
				next.ServeHTTP(w, r)
			})
			a := artifactsAt(t, between.URL, "x")
			_, err := stream(t, a, noise(1000))
			if err == nil {
				raw := []byte(`{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageIndex + `","manifests":[]}`)
				err = a.PushManifest(t.Context(), ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: godigest.FromBytes(raw), Size: int64(len(raw))}, raw, "stable")
			}
			if fault.Of(err) != c.want || err == nil || !strings.Contains(fault.HintOf(err), c.hint) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v (%v; %s), want %v", err, fault.Of(err), fault.HintOf(err), c.want)
			}
		})
	}
}

// TestAnUploadIsNotLedAway: credentials go with it.
func TestAnUploadIsNotLedAway(t *testing.T) {
	for _, to := range []string{"http://elsewhere.invalid/v2/x/blobs/uploads/1", "https://elsewhere.invalid/up"} {
		between := peers.NewBetween(t, registrytest.Memory())
		between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method == http.MethodPost {
				w.Header().Set("Location", to)
				w.WriteHeader(http.StatusAccepted)
				return
			}
			next.ServeHTTP(w, r)
		})
		if _, err := stream(t, artifactsAt(t, between.URL, "x"), noise(1000)); fault.Of(err) != fault.Denied {
			t.Errorf("%s: %v", to, err)
		}
	}
}
