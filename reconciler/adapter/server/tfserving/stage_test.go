// A stage is a folder of models, with a TensorFlow Serving that reads it: the double, or a real one where a test is told
// of it.

package tfserving

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/server/tfserving/tfservingtest"
	"github.com/vishwaops/vishwa/reconciler/adapter/store"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

// contents loads what is written in saved_model.pb: a version, or how it fails.
func contents(dir string, gone <-chan struct{}) (func([]byte) ([]byte, error), func(), error) {
	raw, err := os.ReadFile(filepath.Join(dir, "saved_model.pb"))
	switch {
	case err != nil:
		return nil, nil, err
	case string(raw) == "exit":
		return nil, nil, errors.New("Op type not registered 'Evil'")
	case string(raw) == "never":
		<-gone
		return nil, nil, errors.New("it was not loaded")
	}
	return func([]byte) ([]byte, error) { return fmt.Appendf(nil, `{"predictions":[%q]}`, raw), nil }, func() {}, nil
}

type stage struct {
	t      *testing.T
	folder string
	url    string
	seenAs string
	bucket string // that versions lie in; empty: the folder
	whole  bool   // models.config lies in it as well
	shelf  func() (port.Bucket, error)
	state  string
	key    seal.Key
	store  port.Store
	server port.Server
	double *tfservingtest.Server
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, folder: t.TempDir(), state: t.TempDir()}
	s.put("models.config", "model_config_list {}\n")
	s.double = tfservingtest.New(t, s.folder, contents)
	s.url = s.double.URL
	s.begin()
	return s
}

// begin has a server of ours, as one that was begun anew has it.
func (s *stage) begin() {
	s.t.Helper()
	var err error
	if s.store == nil {
		if s.store, err = store.Dir(filepath.Join(s.state, "store")); err != nil {
			s.t.Fatal(err)
		}
		if s.key, err = seal.KeyOf(bytes.Repeat([]byte{7}, 32)); err != nil {
			s.t.Fatal(err)
		}
	}
	s.server = s.open("state", s.key)
}

// inStore is a stage whose server reads versions from the store, a bucket that a folder plays.
func inStore(t *testing.T) *stage {
	t.Helper()
	s := newStage(t)
	s.bucket = t.TempDir()
	s.double.Mount("s3://tests/vishwa", s.bucket)
	s.begin()
	return s
}

// allInStore is a stage whose server reads everything from the store, a bucket that a folder plays.
func allInStore(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, bucket: t.TempDir(), state: t.TempDir(), whole: true}
	s.folder = filepath.Join(s.bucket, "serving/tfserving/main")
	s.put("models.config", "model_config_list {}\n")
	s.double = tfservingtest.New(t, s.folder, contents)
	s.double.Mount("s3://tests/vishwa", s.bucket)
	s.url = s.double.URL
	files, err := bucket.Dir(s.bucket)
	if err != nil {
		t.Fatal(err)
	}
	minding := &minds{Bucket: files}
	s.shelf = func() (port.Bucket, error) { return minding, nil }
	s.begin()
	return s
}

// minds is a bucket that knows conditions, as S3's are.
type minds struct {
	port.Bucket
	mu sync.Mutex
}

func (m *minds) PutIf(ctx context.Context, key string, r io.ReaderAt, size int64, etag string) (port.Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	is, err := m.Stat(ctx, key)
	if err != nil && fault.Of(err) != fault.Missing {
		return port.Object{}, err
	}
	if is.ETag != etag {
		return port.Object{}, fault.New(fault.Conflict, "%s has changed", key)
	}
	return m.Put(ctx, key, r, size)
}

// kept are the keys in the bucket.
func (s *stage) kept() (keys []string) {
	s.t.Helper()
	shelf, err := bucket.Dir(s.bucket)
	if err != nil {
		s.t.Fatal(err)
	}
	for o, err := range shelf.List(s.t.Context(), "") {
		if err != nil {
			s.t.Fatal(err)
		}
		keys = append(keys, o.Key)
	}
	return keys
}

func (s *stage) open(dir string, key seal.Key) port.Server {
	shelf, at := s.shelf, schemas.ModelServer{Folder: s.folder, URL: s.url, SeenAs: s.seenAs, InStore: s.bucket != ""}
	if shelf == nil {
		shelf = func() (port.Bucket, error) { return bucket.Dir(s.bucket) }
	}
	if s.whole {
		at.Folder = ""
	}
	return New(Options{
		Shelf: shelf, At: "s3://tests/vishwa",
		Env: port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Lookup: os.LookupEnv}, Store: s.store, Dir: filepath.Join(s.state, dir), Seal: key,
		Servers: map[string]schemas.ModelServer{"main": at}, Pace: 10 * time.Millisecond, Unload: 2 * time.Second,
	})
}

func (s *stage) put(name, text string) {
	s.t.Helper()
	at := filepath.Join(s.folder, name)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		s.t.Fatal(err)
	}
	_ = os.Remove(at)
	if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) read(name string) string {
	raw, _ := os.ReadFile(filepath.Join(s.folder, name))
	return string(raw)
}

func (s *stage) file(text string) digest.File {
	s.t.Helper()
	d, n, err := s.store.Put(s.t.Context(), strings.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	return digest.File{Digest: d, Size: n}
}

// release serves version: a SavedModel in a folder of the model, next to what is not loaded.
func (s *stage) release(name, version string) port.Release {
	s.t.Helper()
	var files digest.Manifest
	for p, text := range map[string]string{"m/saved_model.pb": version, "m/variables/variables.index": "index of " + version, "report.json": "{}"} {
		f := s.file(text)
		f.Path = p
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b digest.File) int { return strings.Compare(a.Path, b.Path) })
	return s.of(name, version, files)
}

func (s *stage) of(name, version string, files digest.Manifest) port.Release {
	return port.Release{Name: name, Key: digest.Of([]byte(name + version)), Model: port.Artifact{Digest: files.Digest(), Files: files}, Timeout: 20 * time.Second,
		TFServing: &port.TFServingRelease{TFServingTarget: schemas.TFServingTarget{Server: "main"}}}
}

func (s *stage) apply(r port.Release) port.Live {
	s.t.Helper()
	return porttest.Serve(s.t, s.server, r)
}

func (s *stage) observe(name string) port.Live {
	s.t.Helper()
	return porttest.Look(s.t, s.server, name)
}

// ask has a model answer.
func (s *stage) ask(l port.Live) string {
	s.t.Helper()
	a, err := http.Post(l.URL+":predict", "application/json", strings.NewReader(`{"instances":[[1,2]]}`))
	if err != nil {
		s.t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != http.StatusOK {
		s.t.Fatalf("%s %v %s", a.Status, err, body)
	}
	return string(body)
}

// gone takes what a server does not have for an answer of nobody.
type gone struct{}

func (gone) RoundTrip(r *http.Request) (*http.Response, error) {
	a, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && a.StatusCode == http.StatusNotFound {
		a.Body.Close()
		return nil, errors.New("there is no such model")
	}
	return a, err
}

// stuck is a store that hands over one thing never.
type stuck struct {
	port.Store
	never digest.Digest
}

func (s stuck) Get(ctx context.Context, d digest.Digest) (io.ReadCloser, error) {
	if d == s.never {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Store.Get(ctx, d)
}
