// The town that the floods come to: every port of a reconciler a map, and a forge on a square.

package controller

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"testing/fstest"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/attest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
)

var base, change = strings.Repeat("1", 40), strings.Repeat("2", 40)

const declared = `apiVersion: vishwa.dev/v1alpha1
kind: Project
metadata: {name: p}
spec: {environments: {staging: {}}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Dataset
metadata: {name: d}
spec: {source: {path: d.csv}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Transform
metadata: {name: t}
spec: {run: [python, t.py], code: [t.py], inputs: {d: dataset/d}, outputs: {o: o.csv}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Training
metadata: {name: e}
spec: {run: [python, t.py], code: [t.py], inputs: {o: "transform/t:o"}, candidates: {one: {params: {auc: 0.9}}}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Model
metadata: {name: m}
spec: {from: training/e, select: {metric: auc}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Deployment
metadata: {name: s}
spec: {model: model/m, environment: staging, target: {local: {run: [python, t.py], code: [t.py]}}}
`

func files(rows string) fs.FS {
	return fstest.MapFS{"vishwa.yaml": {Data: []byte(declared)}, "d.csv": {Data: []byte(rows)}, "t.py": {Data: []byte("# t\n")}}
}

// town holds what the ports stand for, how they fail, and what was shown to people.
type town struct {
	mu      sync.Mutex
	facts   ledger.Facts
	entries []ledger.Entry
	bytes   map[digest.Digest][]byte
	served  map[string]port.Release
	tries   int
	apply   func(n int) error // how the n-th try to deploy fails; nil: it does not
	sign    func(n int) error
	put     func(n int) error // what only the pull request brings
	result  func(n int) *port.Result

	comment             string
	edited, swept       time.Time
	edits, marks, rolls int
	flips               int
	shown               map[string]string // mark or deployment -> state
	texts               map[string]string
	turned              []string
}

func newTown() *town {
	return &town{bytes: map[digest.Digest][]byte{}, served: map[string]port.Release{}, shown: map[string]string{}, texts: map[string]string{}}
}

func (w *town) house() *pass.Reconciler {
	return &pass.Reconciler{
		Observers: pass.Observers{Repo: land{w}, Ledger: w, Server: host{w}, Store: shelf{w}}, Runner: engine{Runner: nil, town: w},
		Signer: pass.ModelSigner{Store: shelf{w}, Sign: notary{w}.model, Verifier: notary{w}},
		Hands:  func(context.Context, string, string) ([]port.Hand, error) { return nil, nil },
		Lock:   func(ctx context.Context, _ func(string)) (context.Context, func(), error) { return ctx, func() {}, nil },
		Actor:  pass.Actor{Name: "main"}, Now: time.Now,
	}
}

func (w *town) next() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tries++
	return w.tries
}

type land struct{ *town }

func (land) Head(context.Context) (port.Revision, error) {
	return port.Revision{SHA: base, Branch: "main"}, nil
}

func (land) Open(_ context.Context, sha string) (fs.FS, error) {
	if sha == change {
		return files("x\n7\n"), nil
	}
	return files("x\n1\n"), nil
}

func (w *town) Facts(context.Context) (*ledger.Facts, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.facts.Clone(), w.began()
}

func (w *town) began() error {
	if w.facts.Count > 0 {
		return nil
	}
	return w.facts.Fold(ledger.Entry{Action: ledger.Genesis}, digest.Of(nil))
}

func (w *town) Append(_ context.Context, e ledger.Entry) (ledger.Entry, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.began(); err != nil {
		return e, err
	}
	e = ledger.Recheck(&w.facts, e)
	e.Seq, e.Prev, e.Time = w.facts.Count, w.facts.Head, time.Now().UTC()
	w.entries = append(w.entries, e)
	return e, w.facts.Fold(e, digest.Of(fmt.Append(nil, e.Seq)))
}

type shelf struct{ *town }

func (s shelf) Has(_ context.Context, d digest.Digest) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.bytes[d]
	return ok, nil
}

func (s shelf) Get(_ context.Context, d digest.Digest) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.bytes[d]
	if !ok {
		return nil, fault.New(fault.Missing, "%s is not in the store", d)
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

func (s shelf) Put(_ context.Context, r io.Reader) (digest.Digest, int64, error) {
	b, err := io.ReadAll(r)
	if string(b) == "x\n7\n" && s.put != nil {
		return "", 0, s.put(s.next())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes[digest.Of(b)] = b
	return digest.Of(b), int64(len(b)), err
}

type engine struct {
	port.Runner
	*town
}

func (r engine) Start(ctx context.Context, j port.Job) (port.Run, error) {
	if r.result != nil {
		return port.Run{Key: j.Key, State: port.Done, Result: r.result(r.next())}, nil
	}
	out := port.Result{Outputs: map[string]port.Artifact{}, Started: time.Unix(1, 0).UTC(), Finished: time.Unix(2, 0).UTC()}
	d, n, err := shelf{r.town}.Put(ctx, strings.NewReader(fmt.Sprint(j.Inputs, j.Params)))
	for name := range j.Outputs {
		out.Outputs[name] = port.Artifact{Name: name, Digest: d, Size: n}
	}
	if j.Model {
		m := digest.Manifest{{Path: "model.json", Digest: d, Size: n}}
		out.Model, out.Metrics = &port.Artifact{Digest: m.Digest(), Size: n, Files: m}, map[string]float64{"auc": 0.9}
	}
	return port.Run{Key: j.Key, State: port.Done, Result: &out}, err
}

func (engine) Poll(_ context.Context, key digest.Digest) (port.Run, error) {
	return port.Run{}, fault.New(fault.Missing, "no run %s", key)
}

func (engine) Logs(context.Context, digest.Digest, int64) ([]byte, error) { return nil, nil }

type host struct{ *town }

func (h host) Observe(_ context.Context, name string) (port.Live, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, ok := h.served[name]
	if !ok {
		return port.Live{}, nil
	}
	return port.Live{Key: r.Key, Model: r.Model.Digest, Health: port.Ready}, nil
}

func (h host) Apply(_ context.Context, r port.Release) (port.Live, error) {
	if h.apply != nil {
		return port.Live{}, h.apply(h.next())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.served[r.Name] = r
	return port.Live{Key: r.Key, Health: port.Ready}, nil
}

// notary believes whatever it has signed itself.
type notary struct{ *town }

func (n notary) Verify(_ context.Context, b []byte) ([]byte, port.Identity, error) {
	return b, port.Identity{Name: "main", Role: port.Build}, nil
}

func (n notary) model(_ context.Context, m port.Artifact, p attest.Provenance) (signature, provenance []byte, err error) {
	if n.sign != nil {
		return nil, nil, n.sign(n.next())
	}
	if signature, err = attest.StateModel(m.Name, m.Files); err == nil {
		provenance, err = attest.StateProvenance(p, m)
	}
	return signature, provenance, err
}

type meadow struct{}

func (meadow) Merge(context.Context, string, string) (string, []string, error) {
	return change, nil, nil
}
func (meadow) Merges(context.Context, string, string, int) ([]string, error) { return nil, nil }
func (meadow) Contains(context.Context, string, string) (bool, error)        { return true, nil }

// square is a forge with one pull request, of somebody who may write.
type square struct {
	port.Forge // nothing else is asked
	*town
}

func (s *square) Pull(_ context.Context, n int) (port.PullRequest, error) {
	return port.PullRequest{Number: n, Author: port.Account{Login: "asha"}, Base: "main", Head: "topic", HeadSHA: change}, nil
}
func (s *square) Permission(context.Context, string) (port.Permission, error) {
	return port.Writing, nil
}
func (s *square) Comments(context.Context, int, time.Time) ([]port.Comment, error) {
	return nil, nil
}
func (s *square) Reviews(context.Context, int) ([]port.Review, error) { return nil, nil }

func (s *square) OwnComment(context.Context, int, string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.comment, nil
}

func (s *square) UpsertComment(_ context.Context, _ int, _, body string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.comment != body {
		s.edits++
		s.comment, s.edited = body, time.Now()
	}
	return "", nil
}

func (s *square) ReportStatus(_ context.Context, m port.CommitStatus) error {
	raw, err := json.Marshal(m)
	s.show(&s.marks, m.Name+"@"+m.SHA, fmt.Sprint(m.State), string(raw))
	return err
}

func (s *square) ReportDeployment(_ context.Context, r port.Deployment) error {
	s.show(&s.rolls, r.Key, fmt.Sprint(r.State), fmt.Sprint(r.State, r.Description, r.URL))
	return nil
}

func (s *square) show(n *int, what, state, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.texts[what] != text {
		s.texts[what] = text
		*n++
	}
	if s.shown[what] != state {
		s.shown[what] = state
		s.flips++
		s.turned = append(s.turned, what+" "+state)
	}
}
