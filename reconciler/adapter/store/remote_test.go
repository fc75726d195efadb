// A store on a bucket keeps the port's promises, and what one machine puts another has.

package store

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

// machine is a store of one machine on a bucket that is the folder at path.
func machine(t testing.TB, path string) (port.Store, dir) {
	t.Helper()
	b, err := bucket.Dir(path)
	if err != nil {
		t.Fatal(err)
	}
	near := open(t, filepath.Join(t.TempDir(), "near"))
	return On(b, near), near.(dir)
}

func TestASharedStoreKeepsThePromises(t *testing.T) {
	porttest.Store(t, func(t *testing.T) (port.Store, func(digest.Digest)) {
		all := filepath.Join(t.TempDir(), "bucket")
		s, near := machine(t, all)
		return s, func(d digest.Digest) {
			if err := os.Remove(near.file(d)); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(all, Key(d))
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b[len(b)/2] ^= 1
			os.Chmod(path, 0o600)
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestWhatOneMachinePutsAnotherHas, and has brought only once.
func TestWhatOneMachinePutsAnotherHas(t *testing.T) {
	all := filepath.Join(t.TempDir(), "bucket")
	one, _ := machine(t, all)
	other, near := machine(t, all)
	d, _, err := one.Put(t.Context(), strings.NewReader("weights"))
	if err != nil {
		t.Fatal(err)
	}
	if has, err := other.Has(t.Context(), d); err != nil || !has {
		t.Fatal(has, err)
	}
	read := func() string {
		t.Helper()
		in, err := other.Get(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		b, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if got := read(); got != "weights" {
		t.Fatal(got)
	}
	if has, err := near.Has(t.Context(), d); err != nil || !has {
		t.Fatal("it is not kept near", err)
	}
	if err := os.RemoveAll(all); err != nil {
		t.Fatal(err)
	}
	if got := read(); got != "weights" {
		t.Fatal("it is asked for again")
	}
}

// down is a bucket that does not answer.
type down struct{ port.Bucket }

func (down) Stat(context.Context, string) (port.Object, error) {
	return port.Object{}, fault.New(fault.Transient, "no answer")
}

// TestABucketThatIsDownIsToldAndNothingIsLost: what was to be put is put the next time.
func TestABucketThatIsDownIsToldAndNothingIsLost(t *testing.T) {
	all := filepath.Join(t.TempDir(), "bucket")
	b, err := bucket.Dir(all)
	if err != nil {
		t.Fatal(err)
	}
	near := open(t, filepath.Join(t.TempDir(), "near"))
	if _, _, err := On(down{b}, near).Put(t.Context(), strings.NewReader("model")); fault.Of(err) != fault.Transient {
		t.Fatal(err)
	}
	s := On(b, near)
	d, _, err := s.Put(t.Context(), strings.NewReader("model"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(all, Key(d))); err != nil {
		t.Fatal(err)
	}
}
