// What external work leaves is counted before it is fetched, and who goes on writing is found out.

package dispatch

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/adapter/store"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// growing gives more of each object than it was counted with.
type growing struct{ port.Bucket }

func (g growing) Get(ctx context.Context, key string, r port.Range) (io.ReadCloser, port.Object, error) {
	body, o, err := g.Bucket.Get(ctx, key, r)
	if err != nil {
		return nil, o, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(body, strings.NewReader(strings.Repeat("x", 1<<20))), body}, o, nil
}

func TestExternalWorkIsBounded(t *testing.T) {
	shelf, err := bucket.Dir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	kept, err := store.Dir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"external/a/out", "external/b/out", "external/b/other"} {
		if _, err := shelf.Put(t.Context(), name, bytes.NewReader(make([]byte, 600)), 600); err != nil {
			t.Fatal(err)
		}
	}
	job := port.Job{Outputs: map[string]string{"o": "out"}}
	of := func(shelf port.Bucket, prefix string) error {
		_, err := Outside{Shelf: shelf, Prefix: prefix, Store: kept, Most: 1000}.Result(t.Context(), job)
		return err
	}
	if err := of(shelf, "external/a/"); err != nil {
		t.Errorf("what it may: %v", err)
	}
	if err := of(shelf, "external/b/"); fault.Of(err) != fault.Invalid {
		t.Errorf("more than it may: %v", err)
	}
	if err := of(growing{shelf}, "external/a/"); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "written again") {
		t.Errorf("what grows: %v", err)
	}
}
