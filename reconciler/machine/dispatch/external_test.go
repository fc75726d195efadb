// What external work leaves is counted before it is fetched, and who goes on writing is found out.

package dispatch

import (
	"bytes"
	"context"
	"io"
	"iter"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/adapter/store"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
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

// folders lists what some tools write for a folder, without end.
type folders struct{ port.Bucket }

func (folders) List(_ context.Context, prefix string) iter.Seq2[port.Object, error] {
	return func(yield func(port.Object, error) bool) {
		for yield(port.Object{Key: prefix + "f/"}, nil) {
		}
	}
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
	if err := of(folders{shelf}, "external/a/"); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "objects") {
		t.Errorf("folders without end: %v", err)
	}
	if _, err := shelf.Put(t.Context(), "external/c/metrics.json", strings.NewReader(`{"auc": 1}`), 10); err != nil {
		t.Fatal(err)
	}
	training := port.Job{Model: true}
	if _, err := (Outside{Shelf: growing{shelf}, Prefix: "external/c/", Store: kept, Most: 1000}).Result(t.Context(), training); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "written again") {
		t.Errorf("metrics that grow: %v", err)
	}
}

// TestAnArtifactOfAPipelineIsFoundByItsTaskAndName: as old and new servers lay it out, a folder
// as well as a file; what was written twice is refused, and other work has no such paths.
func TestAnArtifactOfAPipelineIsFoundByItsTaskAndName(t *testing.T) {
	there := map[string]int64{
		"artifacts/p/run/build/table":             1,
		"artifacts/p/run/train/0b3e/model/w":      1,
		"artifacts/p/run/train/0b3e/model/deep/w": 1,
		"artifacts/p/run/again/1/out":             1,
		"artifacts/p/run/again/2/out":             1,
		"artifacts/p/run/train":                   1,
		"table":                                   1,
	}
	pipeline := &schemas.External{Kubeflow: &schemas.ExternalPipeline{Artifacts: true}}
	for declared, want := range map[string]string{
		"artifacts/build/table": "artifacts/p/run/build/table",
		"artifacts/train/model": "artifacts/p/run/train/0b3e/model",
		"artifacts/train/other": "artifacts/train/other",
		"table":                 "table",
		"artifacts/again/out":   "",
	} {
		if at, err := artifactOf(there, declared, pipeline); at != want || (want == "") != (fault.Of(err) == fault.Invalid && err != nil) {
			t.Errorf("%s is at %q, %v", declared, at, err)
		}
		if at, err := artifactOf(there, declared, &schemas.External{Airflow: &schemas.ExternalDAG{}}); at != declared || err != nil {
			t.Errorf("of a DAG, %s is at %q, %v", declared, at, err)
		}
	}
}
