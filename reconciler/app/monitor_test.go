// What a monitor reads of a log is what was answered, under names that no client takes over.

package app

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/adapter/server"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func TestNoClientWritesTheColumnsThatAMonitorReads(t *testing.T) {
	dir := t.TempDir()
	part := `time,id,status,prediction,score,feature.area,feature.time,feature.prediction,feature.id,feature.label
2026-11-28T12:00:00Z,a,200,1,0.9,55,soon,0,b,
2026-11-28T12:01:00Z,b,400,,,9999,,,,
2026-11-28T12:02:00Z,c,0,,,9999,,,,
`
	if err := os.WriteFile(filepath.Join(dir, "a.csv"), []byte(part), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "b.parquet"), []byte("PAR1 or not"), 0o600); err != nil {
		t.Fatal(err)
	}
	objects, err := bucket.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	l := &logged{Reader: predictionlog.Read(t.Context(), objects, predictionlog.Query{})}
	defer l.Close()
	var got []string
	for {
		row, err := l.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		var cells []string
		for _, name := range []string{"time", "id", "prediction", "score", "area"} {
			at := slices.Index(l.Columns(), name)
			if at < 0 {
				t.Fatalf("there is no column %s among %q", name, l.Columns())
			}
			cells = append(cells, string(row.Cells[at]))
		}
		got = append(got, strings.Join(cells, " "))
	}
	if want := []string{"2026-11-28T12:00:00Z a 1 0.9 55"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if notes := l.Notes(); !slices.Equal(notes, []string{"1 file of the log cannot be read"}) {
		t.Errorf("%q", notes)
	}
	seen := map[string]bool{}
	for _, name := range l.Columns() {
		if seen[name] {
			t.Errorf("two columns are called %s", name)
		}
		seen[name] = true
	}
}

// A log in a bucket is declared as a source of data is, and leads this process to no address that
// only this machine sees.
func TestALogsEndpointIsReachedAsAWebServerIs(t *testing.T) {
	asked := false
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked = true
		fmt.Fprint(w, `<ListBucketResult></ListBucketResult>`)
	}))
	defer s.Close()
	at := &schemas.PredictionLog{S3: &schemas.S3{URL: "s3://logs/here", Endpoint: s.URL}}
	lookup := func(name string) (string, bool) {
		return "x", strings.HasSuffix(name, "_KEY") || strings.HasSuffix(name, "_KEY_ID")
	}
	for _, allow := range [][]string{nil, {"127.0.0.1"}} {
		objects, prefix, err := server.OpenPredictions(t.TempDir(), "one", at, server.Access{Env: port.Env{Lookup: lookup}, Guarded: true, Allow: allow})
		if err == nil {
			r := predictionlog.Read(t.Context(), objects, predictionlog.Query{Prefix: prefix})
			_, err = r.Next()
			r.Close()
		}
		if errors.Is(err, io.EOF) != (allow != nil) || asked != (allow != nil) {
			t.Errorf("with %q: %v, asked %v", allow, err, asked)
		}
	}
}
