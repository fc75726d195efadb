// A log with its labels becomes data: the same log gives the same bytes, and what moves moves
// the token.

package source

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// logOf is a deployment that was asked about three homes on a day, and failed once.
type logOf struct {
	t      *testing.T
	dir    string
	labels string
	now    time.Time
}

func newLog(t *testing.T) *logOf {
	return &logOf{t: t, dir: t.TempDir(), labels: "id,sold\na,100\nc,300\n", now: time.Date(2026, 11, 29, 1, 0, 0, 0, time.UTC)}
}

func (l *logOf) ask(id string, at time.Time, status int, size any) {
	l.t.Helper()
	log, err := predictionlog.Open(predictionlog.Options{Dir: l.dir})
	if err != nil {
		l.t.Fatal(err)
	}
	log.Add(predictions.Exchange{Time: at, ID: id, Status: status, Request: predictions.Body{Bytes: fmt.Appendf(nil, `{"instances":[{"size":%v,"id":7}]}`, size)},
		Response: predictions.Body{Bytes: []byte(`{"predictions":[1.5]}`)}})
	log.Close()
}

func (l *logOf) open(spec schemas.LoggedData, last string) port.Source {
	l.t.Helper()
	spec.Deployment = schemas.Ref{Kind: schemas.KindDeployment, Name: "price"}
	env := port.Env{Now: func() time.Time { return l.now }, Log: slog.New(slog.DiscardHandler)}
	s, err := Open(schemas.DataSource{Predictions: &spec}, Options{
		Env: env, Last: last,
		Log: func(schemas.Ref, time.Time) (port.Objects, string, error) {
			b, err := bucket.Dir(l.dir)
			return b, "", err
		},
		Dataset: func(schemas.Ref) (port.Source, schemas.Format, error) {
			s, err := Open(schemas.DataSource{Path: "sold.csv"}, Options{Env: env, Tree: fstest.MapFS{"sold.csv": {Data: []byte(l.labels)}}})
			return s, schemas.Format{}, err
		},
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return s
}

func (l *logOf) fetch(spec schemas.LoggedData) (text, token string, err error) {
	s := l.open(spec, "")
	seen, err := s.Inspect(l.t.Context())
	if err != nil {
		return "", "", err
	}
	dir := l.t.TempDir()
	if err := s.Fetch(l.t.Context(), seen, dir, nil); err != nil {
		return "", seen.Token, err
	}
	raw, err := os.ReadFile(filepath.Join(dir, seen.Files[0].Path))
	return string(raw), seen.Token, err
}

func TestALogBecomesData(t *testing.T) {
	l := newLog(t)
	noon := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for i, id := range []string{"a", "b", "c", "a"} {
		l.ask(id, noon.Add(time.Duration(i)*time.Minute), 200, 100+i)
	}
	l.ask("bad", noon, 400, `"large"`)
	l.ask("today", noon.Add(13*time.Hour), 200, 1)

	all, token, err := l.fetch(schemas.LoggedData{})
	if err != nil || strings.Count(all, "\n") != 3 || strings.Contains(all, "today") || strings.Contains(all, "bad") {
		t.Fatalf("%v\n%s", err, all)
	}
	labelled := schemas.LoggedData{Window: "1d", Until: "2026-11-29", Labels: &schemas.Labels{Within: "30d", MinCoverage: 0.5}}
	got, first, err := l.fetch(labelled)
	const want = `{"time":"2026-11-28T12:00:00Z","id":"a","sampling":1.0,"prediction":1.5,"label":100,"feature.id":7,"size":100}
{"time":"2026-11-28T12:02:00Z","id":"c","sampling":1.0,"prediction":1.5,"label":300,"feature.id":7,"size":102}
`
	if err != nil || got != want || first == token {
		t.Fatalf("%v\n%s", err, got)
	}
	if again, second, _ := l.fetch(labelled); again != got || second != first {
		t.Error("the same log gives other bytes, or another token")
	}
	if seen, err := l.open(labelled, first).Inspect(t.Context()); err != nil || seen.Changed {
		t.Errorf("what did not move has moved: %v", err)
	}
	l.ask("tomorrow", noon.Add(30*time.Hour), 200, 1) // outside of the window
	if _, same, _ := l.fetch(labelled); same != first {
		t.Error("a row outside of the window moves the token")
	}
	l.labels += "b,200\n"
	more, second, err := l.fetch(labelled)
	if err != nil || second == first || strings.Count(more, "\n") != 3 {
		t.Errorf("a label that came is not there: %v\n%s", err, more)
	}
}

func TestTooFewLabelsAreNoData(t *testing.T) {
	l := newLog(t)
	if _, _, err := l.fetch(schemas.LoggedData{}); fault.Of(err) != fault.Missing {
		t.Errorf("an empty log: %v", err)
	}
	noon := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for _, id := range []string{"a", "b", "d", "e"} {
		l.ask(id, noon, 200, 1)
	}
	_, _, err := l.fetch(schemas.LoggedData{Labels: &schemas.Labels{MinCoverage: 0.8}})
	if fault.Of(err) != fault.Missing || !strings.Contains(err.Error(), "1 of 4") {
		t.Errorf("a quarter of the labels: %v", err)
	}
	l.labels = "id,sold\n"
	if _, _, err := l.fetch(schemas.LoggedData{Labels: &schemas.Labels{}}); fault.Of(err) != fault.Missing {
		t.Errorf("no labels: %v", err)
	}
}

func TestALogThatMovesWhileItIsReadIsAConflict(t *testing.T) {
	l := newLog(t)
	noon := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	l.ask("a", noon, 200, 1)
	s := l.open(schemas.LoggedData{}, "")
	seen, err := s.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.ask("b", noon, 200, 1)
	dir := t.TempDir()
	if err := s.Fetch(t.Context(), seen, dir, nil); fault.Of(err) != fault.Conflict {
		t.Errorf("%v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}
