// A server that keeps artifacts in a bucket: what is put there, what a ledger of two releases comes to, and what is insisted on.

package tracker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/tracker/mlflowtest"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// counted is a bucket that counts what is put, and fails once left is used up.
type counted struct {
	port.Bucket
	mu   sync.Mutex
	puts map[string]int
	cut  *cutting
}

func (c *counted) Put(ctx context.Context, key string, r io.ReaderAt, size int64) (port.Object, error) {
	if c.cut != nil && c.cut.left.Load() >= 0 && c.cut.left.Add(-1) < 0 {
		c.cut.left.Store(0)
		return port.Object{}, fault.New(fault.Transient, "cut off")
	}
	o, err := c.Bucket.Put(ctx, key, r, size)
	if err == nil { // else somebody's failure ended it
		c.mu.Lock()
		c.puts[key]++
		c.mu.Unlock()
	}
	return o, err
}

func (c *counted) sent() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.puts {
		n += m
	}
	return n
}

type content struct{ *bytes.Reader }

func (content) Close() error { return nil }

// naming is a bucket that holds bytes against their name itself.
type naming struct {
	*counted
	named map[digest.Digest]bool
}

func (n naming) PutNamed(ctx context.Context, key string, r io.ReaderAt, size int64, name digest.Digest) (port.Object, error) {
	n.mu.Lock()
	n.named[name] = true
	n.mu.Unlock()
	return n.Put(ctx, key, r, size)
}

// once is content that fails whoever reads it before it is sent.
type once struct{ *bytes.Reader }

func (once) Read([]byte) (int, error) { return 0, errors.New("it was read from its beginning") }
func (once) Close() error             { return nil }

// filesBench is a server that keeps artifacts in a bucket.
type filesBench struct {
	spec   schemas.MLflowTracker
	rest   rest
	in     *counted
	opened []*schemas.S3
	writes func() int
}

func (b *filesBench) tracker(writer string, cut *cutting) port.Tracker {
	b.in.cut = cut
	o := Options{Own: own, Env: env(nil), Writer: writer, Sleep: atOnce, Bucket: func(at *schemas.S3, _ port.Env) (port.Bucket, error) {
		b.opened = append(b.opened, at)
		return b.in, nil
	}}
	if cut != nil {
		o.Transport = cut
	}
	return MLflow(b.spec, o)
}

// released is a ledger of this test's own, of two releases: a folder and a single file.
func released(t *testing.T) (p port.Projection, files map[digest.Digest][]byte) {
	p = trackerKeys(t)
	files = map[digest.Digest][]byte{}
	put := func(path, text string) digest.File {
		d := digest.Of([]byte(text))
		files[d] = []byte(text)
		return digest.File{Path: path, Digest: d, Size: int64(len(text))}
	}
	folder := digest.Manifest{put("MLmodel", "flavors: {}\nartifact_path: model\n"), put("data/one.bin", "one"), put("data/two.bin", strings.Repeat("two", 1000))}
	single := put("model.ubj", t.Name())
	p.Models[0].Versions[0].Model = port.Artifact{Name: "model", Digest: folder.Digest(), Size: folder.Size(), Files: folder}
	p.Models[0].Versions[1].Model = port.Artifact{Name: "model.ubj", Digest: single.Digest, Size: single.Size}
	for i := range p.Models[0].Versions {
		p.Models[0].Versions[i].Digest = p.Models[0].Versions[i].Model.Digest
	}
	p.Content = func(_ context.Context, d digest.Digest) (io.ReadCloser, error) {
		raw, is := files[d]
		if !is {
			return nil, fault.New(fault.Missing, "%s", d)
		}
		return content{bytes.NewReader(raw)}, nil
	}
	return p, files
}

func trackerKeys(t *testing.T) port.Projection {
	key := func(what string) digest.Digest { return digest.Of([]byte(t.Name() + what)) }
	at := time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
	return port.Projection{Ledger: key("ledger").Hex(), Heal: true,
		Runs: []port.TrackerRun{{Key: key("run"), Entry: 7, Name: "training/iris", Started: at, Finished: at.Add(time.Minute), Params: map[string]string{"depth": "3"}, Metrics: map[string]float64{"auc": 0.9, "test.auc": 0.8},
			Inputs: map[string]digest.Digest{"test": digest.Of([]byte("rows")), "tes": digest.Of(nil)}}},
		Models: []port.TrackerModel{{Name: "m-" + key("m").Hex()[:8] + ".x",
			Versions: []port.TrackerVersion{{Key: key("v1"), Entry: 8, Run: key("run")}, {Key: key("v2"), Entry: 12}},
			Serves:   map[string]digest.Digest{"production": key("v1"), "staging": key("v2")}}}}
}

// shownVersion is a version as the registry has it.
type shownVersion struct {
	Version string `json:"version"`
	Source  string `json:"source"`
	Run     string `json:"run_id"`
	Tags    []tag  `json:"tags"`
}

func (b *filesBench) versions(t *testing.T, name string) (out map[string]shownVersion) {
	t.Helper()
	var all struct {
		Versions []shownVersion `json:"model_versions"`
	}
	b.rest.ask(t, "GET", "model-versions/search?filter=name%3D%27"+name+"%27", nil, &all)
	out = map[string]shownVersion{}
	for _, v := range all.Versions {
		out[tagged(v.Tags)[tagKey]] = v
	}
	if len(out) != len(all.Versions) {
		t.Errorf("%d versions of %d keys", len(all.Versions), len(out))
	}
	return out
}

// whole insists that each version is of a model that is ready and has its files.
func (b *filesBench) whole(t *testing.T, p port.Projection) {
	t.Helper()
	versions := b.versions(t, p.Models[0].Name)
	for _, v := range p.Models[0].Versions {
		shown := versions[string(v.Key)]
		id := strings.TrimPrefix(shown.Source, "models:/")
		var got struct {
			Model loggedAnswer `json:"model"`
		}
		b.rest.ask(t, "GET", "logged-models/"+id, nil, &got)
		if got.Model.Info.Status != modelReady || tagged(got.Model.Info.Tags)[tagKey] != string(v.Key) {
			t.Errorf("model %s is %+v", id, got.Model)
		}
		at := strings.TrimPrefix(got.Model.Info.At, b.spec.Models.URL+"/")
		want := map[string]int64{}
		for _, f := range v.Model.Files {
			want[at+"/"+f.Path] = f.Size
		}
		if v.Model.Files == nil {
			want[at+"/"+v.Model.Name] = v.Model.Size
		}
		there := map[string]int64{}
		for o, err := range b.in.List(t.Context(), at+"/") {
			if err != nil {
				t.Fatal(err)
			}
			there[o.Key] = o.Size
		}
		if !maps.Equal(want, there) {
			t.Errorf("of version %s %v is there, and not %v", shown.Version, there, want)
		}
	}
}

// scored insists that the model of the run has what the run came to, once, with the data set that a metric is of; and that the run has nothing twice.
func (b *filesBench) scored(t *testing.T, p port.Projection) {
	t.Helper()
	var got struct {
		Model struct {
			Data struct {
				Metrics []struct {
					Key    string  `json:"key"`
					Value  float64 `json:"value"`
					Set    string  `json:"dataset_name"`
					Digest string  `json:"dataset_digest"`
				} `json:"metrics"`
			} `json:"data"`
		} `json:"model"`
	}
	v := p.Models[0].Versions[0]
	b.rest.ask(t, "GET", "logged-models/"+strings.TrimPrefix(b.versions(t, p.Models[0].Name)[string(v.Key)].Source, modelSource), nil, &got)
	var lines []string
	for _, m := range got.Model.Data.Metrics {
		lines = append(lines, fmt.Sprint(m.Key, " ", m.Value, " ", m.Set, " ", m.Digest))
	}
	slices.Sort(lines)
	if want := []string{"auc 0.9  ", "test.auc 0.8 test " + digest.Of([]byte("rows")).Hex()[:32]}; !slices.Equal(lines, want) {
		t.Errorf("the model has %q, and not %q", lines, want)
	}
	for _, r := range b.rest.show(t, b.spec.Experiment, p.Runs[0].Key) {
		if !slices.Equal(r.Points["auc"], []float64{0.9}) || !slices.Equal(r.Points["test.auc"], []float64{0.8}) {
			t.Errorf("the run has %v", r.Points)
		}
	}
}

func (b *filesBench) record(t *testing.T, p port.Projection) port.Recorded {
	t.Helper()
	r, err := b.tracker("one", nil).Record(t.Context(), p, false)
	if err != nil {
		t.Fatalf("record: %v (%s)", err, fault.HintOf(err))
	}
	return r
}

type failing struct{ error }

func (f failing) Read([]byte) (int, error) { return 0, f.error }

// doubled is a bench of the double; its answers go through between, if there is one.
func doubled(t *testing.T, between func(http.Handler) http.Handler) *filesBench {
	s := mlflowtest.New()
	s.Root = "s3://mlflow/root"
	var h http.Handler = s
	if between != nil {
		h = between(s)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	dir, err := bucket.Dir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &filesBench{spec: schemas.MLflowTracker{URL: srv.URL, Experiment: "files", Models: &schemas.S3{URL: "s3://mlflow/root"}}, rest: rest{srv.URL},
		in: &counted{Bucket: dir, puts: map[string]int{}}, writes: func() int { return wrote(strings.Join(s.Log(), "\n")) }}
}
