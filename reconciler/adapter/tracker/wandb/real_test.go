// What was written is what the real wandb uploads: make test-wandb.

package wandb

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// wandbServer is as much of a server of W&B as wandb sync asks for, and keeps what is uploaded.
type wandbServer struct {
	mu      sync.Mutex
	runs    map[string]map[string]any // by name: the variables of the first UpsertBucket
	history map[string][]string       // lines, by the path of the run
	summary map[string]string
	ended   map[string]int
}

func (s *wandbServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		in, _ = gzip.NewReader(r.Body)
	}
	raw, _ := io.ReadAll(in)
	answer := map[string]any{}
	if r.URL.Path == "/graphql" {
		answer["data"] = s.asked(raw)
	} else {
		s.streamed(strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/files/"), "/file_stream"), raw)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *wandbServer) asked(raw []byte) map[string]any {
	var q struct {
		Query     string         `json:"query"`
		Variables map[string]any `json:"variables"`
	}
	_ = json.Unmarshal(raw, &q)
	switch {
	case strings.Contains(q.Query, "upsertBucket"):
		name, _ := q.Variables["name"].(string)
		if s.runs[name] == nil {
			s.runs[name] = q.Variables
		}
		of := map[string]any{"id": "p", "name": q.Variables["project"], "entity": map[string]any{"id": "e", "name": q.Variables["entity"]}}
		return map[string]any{"upsertBucket": map[string]any{"inserted": true, "bucket": map[string]any{"id": "b", "name": name, "displayName": q.Variables["displayName"], "project": of}}}
	case strings.Contains(q.Query, "createRunFiles"):
		return map[string]any{"createRunFiles": map[string]any{"runID": "r", "uploadHeaders": []any{}, "files": []any{}}}
	}
	return map[string]any{}
}

func (s *wandbServer) streamed(run string, raw []byte) {
	var sent struct {
		Files map[string]struct {
			Offset  int
			Content []string
		}
		Complete bool
		ExitCode int
	}
	_ = json.Unmarshal(raw, &sent)
	if h, any := sent.Files["wandb-history.jsonl"]; any {
		s.history[run] = append(s.history[run][:h.Offset], h.Content...)
	}
	for _, line := range sent.Files["wandb-summary.json"].Content {
		s.summary[run] = line
	}
	if sent.Complete {
		s.ended[run] = sent.ExitCode
	}
}

// longCourse logs n steps, over many blocks of the log; the first two are no numbers.
func longCourse(n int) func(context.Context) (port.TrackerLog, error) {
	c := port.TrackerSeries{Name: "loss", Values: make([]float64, n), Steps: make([]int64, n), Times: make([]int64, n)}
	for i := range c.Values {
		c.Values[i], c.Steps[i], c.Times[i] = float64(i), int64(i), int64(i+1)
	}
	c.Values[0], c.Values[1] = math.NaN(), math.Inf(1)
	return func(context.Context) (port.TrackerLog, error) {
		return port.TrackerLog{Series: []port.TrackerSeries{c}}, nil
	}
}

func TestWandBItself(t *testing.T) {
	venv := os.Getenv("VISHWA_MLFLOW")
	if venv == "" {
		t.Skip("VISHWA_MLFLOW names no environment with wandb: make test-wandb makes one")
	}
	s := &wandbServer{runs: map[string]map[string]any{}, history: map[string][]string{}, summary: map[string]string{}, ended: map[string]int{}}
	srv := httptest.NewServer(s)
	defer srv.Close()
	home := t.TempDir()
	p := wandbProjection(t)
	long := p.Runs[0]
	long.Key, long.Entry, long.Metrics = digest.Of([]byte("long")), 8, map[string]float64{"last": 1}
	long.Logged = longCourse(20000)
	p.Runs = append(p.Runs, long)
	if _, err := New(schemas.WandBTracker{Project: "homes", Entity: "team"}, home, time.Now).Record(t.Context(), p, false); err != nil {
		t.Fatal(err)
	}
	folders, _ := filepath.Glob(filepath.Join(home, "wandb", "offline-run-*"))
	sync := exec.Command(filepath.Join(venv, "bin", "wandb"), append([]string{"sync"}, folders...)...)
	sync.Dir = home
	sync.Env = append(os.Environ(), "HOME="+home, "WANDB_BASE_URL="+srv.URL, "WANDB_API_KEY="+strings.Repeat("a", 40), "WANDB_ERROR_REPORTING=false", "PATH="+filepath.Join(venv, "bin")+":"+os.Getenv("PATH"))
	out, err := sync.CombinedOutput()
	if err != nil || len(folders) != 2 {
		t.Fatalf("wandb sync of %q: %v\n%s", folders, err, out)
	}
	t.Logf("%s", out)
	s.mu.Lock()
	defer s.mu.Unlock()
	at := "team/homes/" + wandbID(p.Ledger, p.Runs[0].Key)
	run := s.runs[filepath.Base(at)]
	config := fmt.Sprint(run["config"])
	if run["displayName"] != "training/a:b" || run["groupName"] != "training/a" || run["notes"] != "data changed" || run["commit"] != strings.Repeat("a", 40) || run["repo"] != "https://git.example/a" ||
		!strings.Contains(config, `"depth":{"value":3}`) || !strings.Contains(config, string(p.Runs[0].Key)) {
		t.Errorf("the run is uploaded as %v", run)
	}
	if h := strings.Join(s.history[at], "\n"); len(s.history[at]) != 4 || !strings.Contains(h, `"loss":9`) || !strings.Contains(h, `"auc":0.5`) || !strings.Contains(s.summary[at], `"loss":2`) {
		t.Errorf("its history is %s, its summary %s", h, s.summary[at])
	}
	at = "team/homes/" + wandbID(p.Ledger, long.Key)
	if h := s.history[at]; len(h) != 20001 || !strings.Contains(h[0], "NaN") || !strings.Contains(h[1], "Infinity") || !strings.Contains(h[19999], strconv.Itoa(19999)) {
		t.Errorf("of the long one, %d steps: %q", len(h), h[:min(3, len(h))])
	}
	if code, ended := s.ended[at]; !ended || code != 0 {
		t.Errorf("it ended: %v", s.ended)
	}
	if r, err := New(schemas.WandBTracker{Project: "homes", Entity: "team"}, home, time.Now).Record(t.Context(), p, false); err != nil || r.Writes != 0 || len(r.Drift) != 0 {
		t.Errorf("after they were uploaded: %+v, %v", r, err)
	}
}
