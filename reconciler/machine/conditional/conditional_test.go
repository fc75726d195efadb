// Laws of files that several write to.

package conditional_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/machine/conditional"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
)

func s3(t *testing.T) port.Bucket {
	t.Helper()
	web := httptest.NewServer(peers.S3())
	t.Cleanup(web.Close)
	b, err := bucket.S3(bucket.S3Options{Bucket: "tests", Endpoint: web.URL, AccessKey: "k", SecretKey: "s"})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func below(t *testing.T, b port.Bucket) *conditional.Files {
	t.Helper()
	f, err := conditional.Below(b, "some/place")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestNobodyWritesOverWhatTheyDidNotRead: of many who add a line each, all lines are there.
func TestNobodyWritesOverWhatTheyDidNotRead(t *testing.T) {
	b := s3(t)
	var all sync.WaitGroup
	for n := range 8 {
		mine := below(t, b)
		all.Go(func() {
			if err := mine.Holds(t.Context()); err != nil {
				t.Error(err)
			}
			for {
				was, err := mine.Read(t.Context(), "lines", 1<<20)
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Error(err)
					return
				}
				err = mine.Write(t.Context(), "lines", append(was, fmt.Sprintf("%d\n", n)...))
				if err == nil {
					return
				}
				if !errors.Is(err, conditional.ErrOvertaken) || fault.Of(err) != fault.Conflict || fault.HintOf(err) == "" {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	text, err := below(t, b).Read(t.Context(), "lines", 1<<20)
	if err != nil || strings.Count(string(text), "\n") != 8 {
		t.Errorf("%q, %v", text, err)
	}
	for o := range b.List(t.Context(), "") {
		if o.Key != "some/place/lines" {
			t.Errorf("%s is left", o.Key)
		}
	}
}

// deafened loses the answers to what it writes.
type deafened struct {
	port.Bucket
	lost bool
}

func (d *deafened) PutIf(ctx context.Context, key string, r io.ReaderAt, size int64, etag string) (port.Object, error) {
	o, err := d.Bucket.(port.ConditionalPutter).PutIf(ctx, key, r, size, etag)
	if err == nil && !d.lost { // it is sent again, as after a connection that was cut
		d.lost = true
		return d.PutIf(ctx, key, r, size, etag)
	}
	return o, err
}

// TestWhatWasWrittenOnceIsNoConflict where it was sent twice, as its first answer was lost.
func TestWhatWasWrittenOnceIsNoConflict(t *testing.T) {
	f := below(t, &deafened{Bucket: s3(t)})
	if err := f.Write(t.Context(), "one", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := f.Write(t.Context(), "one", []byte("y")); err != nil {
		t.Errorf("after that, it is not known what is there: %v", err)
	}
	if there, err := f.Has(t.Context(), "on"); err != nil || there {
		t.Errorf("the beginning of a name is one: %v", err)
	}
	if err := f.Remove(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	if err := f.Write(t.Context(), "one", []byte("z")); err != nil {
		t.Error(err)
	}
}

func TestWhatSomebodyElseWroteIsNotRemoved(t *testing.T) {
	b := s3(t)
	mine, theirs := below(t, b), below(t, b)
	if err := mine.Write(t.Context(), "one", []byte("mine")); err != nil {
		t.Fatal(err)
	}
	if _, err := theirs.Read(t.Context(), "one", 100); err != nil {
		t.Fatal(err)
	}
	if err := theirs.Write(t.Context(), "one", []byte("theirs")); err != nil {
		t.Fatal(err)
	}
	for what, f := range map[string]*conditional.Files{"it is another than was written": mine, "it was never read": below(t, b)} {
		if err := f.Remove(t.Context(), "one"); !errors.Is(err, conditional.ErrOvertaken) || fault.Of(err) != fault.Conflict || fault.HintOf(err) == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	if text, err := mine.Read(t.Context(), "one", 100); err != nil || string(text) != "theirs" {
		t.Errorf("%q, %v", text, err)
	}
	for range 2 { // what is not there is no error
		if err := mine.Remove(t.Context(), "one"); err != nil {
			t.Error(err)
		}
	}
	if _, err := theirs.Read(t.Context(), "one", 100); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestAPlaceWithoutConditionsIsRefused(t *testing.T) {
	d, err := bucket.Dir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conditional.Below(d, "x"); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
		t.Error(err)
	}
}
