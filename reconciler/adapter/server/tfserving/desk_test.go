// What lies in the store altogether is served as what lies in a folder is, and nobody writes over what another wrote.

package tfserving

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/vishwaops/vishwa/reconciler/adapter/server/tfserving/tfservingtest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/machine/conditional"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
)

func TestAllInTheStoreKeepsTheServersPromises(t *testing.T) {
	porttest.Server(t, func(t *testing.T) porttest.Serving { return serving(allInStore(t)) })
}

func TestAConfigInTheStoreIsHeldAndHealed(t *testing.T) {
	for name, c := range map[string]struct {
		drift func(s *stage)
		says  string
	}{
		"its config is taken out": {func(s *stage) { s.put("models.config", "model_config_list {}\n") }, "models.config has it no more"},
		"models.config is gone":   {func(s *stage) { _ = os.Remove(filepath.Join(s.folder, "models.config")) }, "models.config has it no more"},
		"its label is moved": {func(s *stage) {
			s.put("models.config", strings.ReplaceAll(s.read("models.config"), "value: 1", "value: 9"))
		}, "its config in models.config was changed"},
		"a file is gone":     {func(s *stage) { _ = os.Remove(filepath.Join(s.folder, "models/one/1/saved_model.pb")) }, "files of version 1 were changed or removed"},
		"its record is gone": {func(s *stage) { _ = os.RemoveAll(filepath.Join(s.folder, "one")) }, "what is recorded of it in serving/tfserving/main/one of the store is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			s := allInStore(t)
			s.apply(s.release("other", "1"))
			r := s.release("one", "1")
			first := s.apply(r)
			c.drift(s)
			if l := s.observe("one"); l.Health != port.Failing || !strings.Contains(l.Message, c.says) || l.Key != r.Key {
				t.Fatalf("observed %+v", l)
			}
			if healed := s.apply(r); healed.Health != port.Ready || healed.URL != first.URL || !strings.Contains(s.ask(healed), `"1"`) {
				t.Fatalf("healed %+v", healed)
			}
		})
	}
}

// TestAnotherReplicaKnowsWhatTheStoreServes, without a disk of the first.
func TestAnotherReplicaKnowsWhatTheStoreServes(t *testing.T) {
	s := allInStore(t)
	s.apply(s.release("one", "1"))
	s.server = s.open("another", s.key)
	if l := s.apply(s.release("one", "2")); !strings.Contains(s.ask(l), `"2"`) {
		t.Errorf("%+v", l)
	}
	stranger, err := seal.KeyOf(bytes.Repeat([]byte{8}, 32))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.open("stranger", stranger).Apply(t.Context(), s.release("one", "3")); fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "another Vishwa serves model one") {
		t.Errorf("a stranger's: %v", err)
	}
	if _, err := s.server.Apply(t.Context(), port.Release{Name: "one"}); err != nil {
		t.Fatal(err)
	}
	if keys := s.kept(); len(keys) != 1 || keys[0] != "serving/tfserving/main/models.config" {
		t.Errorf("it is retired, and the store has %q", keys)
	}
}

// forgetful writes over everything, whatever it is asked.
type forgetful struct{ port.Bucket }

func (f forgetful) PutIf(ctx context.Context, key string, r io.ReaderAt, size int64, _ string) (port.Object, error) {
	return f.Put(ctx, key, r, size)
}

func TestAStoreThatWritesOverOthersIsRefused(t *testing.T) {
	s := allInStore(t)
	whole := s.shelf
	s.shelf = func() (port.Bucket, error) { b, err := whole(); return forgetful{b}, err }
	s.begin()
	was := s.kept()
	if _, err := s.server.Apply(t.Context(), s.release("one", "1")); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "If-None-Match") || fault.HintOf(err) == "" {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}
	if now := s.kept(); len(now) != len(was) {
		t.Errorf("%q is left in the store", now)
	}
}

// dying is a bucket of a process that is killed before it changes anything for the nth time.
type dying struct {
	*minds
	left *atomic.Int32
}

var errKilled = errors.New("killed")

func (d dying) dead() error {
	if d.left.Add(-1) < 0 {
		return fault.New(fault.Transient, "write: %w", errKilled)
	}
	return nil
}

func (d dying) Put(ctx context.Context, key string, r io.ReaderAt, size int64) (port.Object, error) {
	if err := d.dead(); err != nil {
		return port.Object{}, err
	}
	return d.minds.Put(ctx, key, r, size)
}

func (d dying) PutIf(ctx context.Context, key string, r io.ReaderAt, size int64, etag string) (port.Object, error) {
	if err := d.dead(); err != nil {
		return port.Object{}, err
	}
	return d.minds.PutIf(ctx, key, r, size, etag)
}

func (d dying) Delete(ctx context.Context, keys ...string) error {
	if err := d.dead(); err != nil {
		return err
	}
	return d.minds.Delete(ctx, keys...)
}

// TestAChangeInTheStoreIsGoneOnWithFromAnyStep: killed before each of its writes, what served serves on, and the next apply ends it.
func TestAChangeInTheStoreIsGoneOnWithFromAnyStep(t *testing.T) {
	for n := int32(0); ; n++ {
		s := allInStore(t)
		first := s.apply(s.release("one", "1"))
		whole, err := s.shelf()
		if err != nil {
			t.Fatal(err)
		}
		left := &atomic.Int32{}
		left.Store(n)
		mortal, well := dying{whole.(*minds), left}, s.shelf
		s.shelf = func() (port.Bucket, error) { return mortal, nil }
		s.begin()
		r := s.release("one", "2")
		_, err = s.server.Apply(t.Context(), r)
		if err != nil && !errors.Is(err, errKilled) {
			t.Fatalf("before write %d: %v", n, err)
		}
		if got := s.ask(first); !strings.Contains(got, `"1"`) && !strings.Contains(got, `"2"`) {
			t.Errorf("killed before write %d: %s", n, got)
		}
		s.shelf = well
		s.begin()
		if l := s.apply(r); l.Health != port.Ready || !strings.Contains(s.ask(l), `"2"`) {
			t.Errorf("killed before write %d, and gone on with: %+v", n, l)
		}
		for _, said := range s.double.Said() {
			t.Errorf("killed before write %d: the server refused a config: %s", n, said)
		}
		versions := 0
		for _, k := range s.kept() {
			if strings.HasSuffix(k, "/saved_model.pb") {
				versions++
			}
		}
		if versions != 1 {
			t.Errorf("killed before write %d: %q are left", n, s.kept())
		}
		if err == nil {
			if n < 7 {
				t.Errorf("a change has %d writes", n)
			}
			return
		}
	}
}

// TestTwoWhoWriteAtOnceLoseNothing: of two installations that release side by side on a double of S3, and on a real MinIO.
func TestTwoWhoWriteAtOnceLoseNothing(t *testing.T) {
	for name, endpoint := range map[string]func(t *testing.T) string{
		"double": func(t *testing.T) string {
			web := httptest.NewServer(peers.S3())
			t.Cleanup(web.Close)
			return web.URL
		},
		"minio": func(t *testing.T) string { return peers.MinIO(t) },
	} {
		t.Run(name, func(t *testing.T) {
			s, at := inS3(t, endpoint(t))
			stranger, err := seal.KeyOf(bytes.Repeat([]byte{8}, 32))
			if err != nil {
				t.Fatal(err)
			}
			const each = 3
			var all sync.WaitGroup
			for n, of := range []port.Server{s.server, s.open("other", stranger)} {
				for i := range each {
					r := s.release(fmt.Sprintf("m%d-%d", n, i), "1")
					all.Go(func() {
						if _, err := of.Apply(t.Context(), r); err != nil {
							t.Errorf("%s: %v (%s)", r.Name, err, fault.HintOf(err))
						}
					})
				}
			}
			all.Wait()
			text := at.text(t, "serving/tfserving/main/models.config")
			for n := range 2 {
				for i := range each {
					if name := fmt.Sprintf("m%d-%d", n, i); !strings.Contains(text, `"`+name+`"`) || len(s.double.Loaded(name)) != 1 {
						t.Errorf("%s is lost: %s", name, text)
					}
				}
			}
			l := s.apply(s.release("m0-0", "2"))
			if !strings.Contains(s.ask(l), `"2"`) || !strings.HasPrefix(between(text, "base_path: \"", "\""), "s3://tests/vishwa/serving/tfserving/main/models/") {
				t.Errorf("%+v of %s", l, text)
			}
			if _, err := s.server.Apply(t.Context(), port.Release{Name: "m0-0"}); err != nil {
				t.Fatal(err)
			}
			if text := at.text(t, "serving/tfserving/main/models.config"); strings.Contains(text, "m0-0") || !strings.Contains(text, "m1-2") {
				t.Errorf("it is retired: %s", text)
			}
		})
	}
}

func between(text, from, to string) string {
	_, rest, _ := strings.Cut(text, from)
	out, _, _ := strings.Cut(rest, to)
	return out
}

// inS3 is a stage whose server reads everything from a bucket of S3.
func inS3(t *testing.T, endpoint string) (*stage, s3) {
	t.Helper()
	const login = "minioadmin"
	c, err := minio.New(strings.TrimPrefix(endpoint, "http://"), &minio.Options{Creds: credentials.NewStaticV4(login, login, "")})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.MakeBucket(t.Context(), "tests", minio.MakeBucketOptions{}); err != nil && !strings.Contains(err.Error(), "exist") {
		t.Fatal(err)
	}
	b, err := bucket.S3(bucket.S3Options{Bucket: "tests", Prefix: "vishwa", Endpoint: endpoint, AccessKey: login, SecretKey: login})
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, bucket: t.TempDir(), state: t.TempDir(), whole: true, shelf: func() (port.Bucket, error) { return b, nil }}
	s.folder = filepath.Join(s.bucket, "serving/tfserving/main")
	const empty = "model_config_list {}\n"
	if _, err := b.Put(t.Context(), "serving/tfserving/main/models.config", strings.NewReader(empty), int64(len(empty))); err != nil {
		t.Fatal(err)
	}
	s.double = tfservingtest.New(t, s.folder, contents)
	s.double.Mount("s3://tests/vishwa", s.bucket)
	s.double.Before(func() error { return tfservingtest.Mirror(t.Context(), b, s.bucket) })
	s.url = s.double.URL
	s.begin()
	return s, s3{b}
}

// s3 is a bucket that tests read.
type s3 struct{ port.Bucket }

func (b s3) text(t *testing.T, key string) string {
	t.Helper()
	body, _, err := b.Get(t.Context(), key, port.All)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	raw, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestWhatAnotherReplicaServesIsNotTakenAway by one that read before the other wrote.
func TestWhatAnotherReplicaServesIsNotTakenAway(t *testing.T) {
	s := allInStore(t)
	s.apply(s.release("one", "1"))
	late := s.server.(*server)
	p := place{"main", late.o.Servers["main"]}
	root, err := late.enter(p)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	w := &work{server: late, name: "one", place: p, root: root}
	if w.rec, _, err = late.readRecord(t.Context(), root, "one"); err != nil {
		t.Fatal(err)
	}
	s.server = s.open("another", s.key)
	two := s.release("one", "2")
	l := s.apply(two)
	was := s.kept()
	if err := w.clear(t.Context()); !errors.Is(err, conditional.ErrOvertaken) || fault.Of(err) != fault.Conflict {
		t.Errorf("the late one: %v", err)
	}
	w.number, w.made = 2, true
	w.undo(errKilled)
	if now := s.kept(); !slices.Equal(now, was) || s.observe("one").Health != port.Ready || !strings.Contains(s.ask(l), `"2"`) {
		t.Errorf("the store has %q and had %q", now, was)
	}
}
