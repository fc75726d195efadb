// What is logged of both arms is counted once a request, and once in all.

package app

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func TestArmsAreReadFromTheLogOnceEach(t *testing.T) {
	since := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	dir, serving := filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "state", "repository", "serving")
	above := 0.25
	spec := &schemas.Deployment{Log: &schemas.PredictionLog{Dir: dir}, Rollout: &schemas.Rollout{
		Canary:   &schemas.Canary{},
		Analyses: map[string]schemas.Analysis{"slow": {Log: &schemas.LogShare{Column: "latency", Above: &above}, Margin: 0.01}},
	}}
	d := &schemas.Declaration{Kind: "Deployment", Metadata: schemas.Metadata{Name: "price"}, Spec: spec}
	key, other := digest.Of([]byte("new")), digest.Of([]byte("older"))
	part := func(name string, rows ...string) {
		t.Helper()
		text := "time,id,arm,release,latency\n"
		for _, r := range rows {
			text += r + "\n"
		}
		p := filepath.Join(dir, "price", name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	row := func(second int, arm string, key digest.Digest, latency string) string {
		return fmt.Sprintf("2026-11-28T12:00:%02dZ,%d,%s,%s,%s", second, second, arm, key, latency)
	}
	part("a.csv",
		row(1, "canary", key, "0.5"), row(2, "canary", key, "0.1"), row(3, "canary", other, "0.9"), row(4, "stable", key, "0.9"),
		row(5, "baseline", other, "0.1"), row(6, "canary", key, ""), row(7, "canary", key, "0.5"), row(7, "canary", key, "0.1"))
	l := armsLog{serving, filepath.Join(t.TempDir(), "cache"), port.Env{Now: func() time.Time { return since.Add(time.Hour) }, Lookup: os.LookupEnv}, lookWithin, nil, nil}
	look := func(l armsLog, t0 port.Trial) (canary, baseline rollout.Sample) {
		t.Helper()
		e, err := l.evidence(t.Context(), d, t0)
		if err != nil {
			t.Fatal(err)
		}
		return e.Canary["latency above 0.25"], e.Baseline["latency above 0.25"]
	}
	trial := port.Trial{Key: key, Since: since}
	if c, b := look(l, trial); c != (rollout.Sample{N: 3, Sum: 1.5, Squares: 1.25}) || b != (rollout.Sample{N: 1}) {
		t.Fatalf("canary %+v, baseline %+v", c, b)
	}
	part("a.csv") // what was read is not read again
	part("b.csv", row(10, "canary", key, "0.3"))
	if c, _ := look(l, trial); c != (rollout.Sample{N: 4, Sum: 2.5, Squares: 2.25}) {
		t.Fatalf("behind what was read: %+v", c)
	}
	if c, _ := look(l, trial); c.N != 4 {
		t.Fatalf("read twice: %+v", c)
	}
	if c, _ := look(l, port.Trial{Key: key, Since: since.Add(10 * time.Second)}); c.N != 1 {
		t.Fatalf("a trial that began later: %+v", c)
	}
	part("c.parquet", "nothing of the kind")
	if _, err := l.evidence(t.Context(), d, trial); fault.Of(err) != fault.Corrupt || !strings.Contains(err.Error(), "c.parquet") {
		t.Fatalf("what cannot be read: %v", err)
	}
	spec.Rollout.Analyses = map[string]schemas.Analysis{"errors": {Metric: "error_rate", Margin: 0.01}}
	if e, err := l.evidence(t.Context(), d, trial); err != nil || e.Canary != nil {
		t.Fatalf("nothing asks for the log: %+v, %v", e, err)
	}
}

// TestAClockThatIsOffDecidesNothingAndIsSaid: rows of both are by the clock of one host, so that what its clock hides is hidden of both, whoever is worse.
func TestAClockThatIsOffDecidesNothingAndIsSaid(t *testing.T) {
	noon := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	above := 0.25
	key := digest.Of([]byte("new"))
	for name, c := range map[string]struct {
		since, rows, now time.Time
		n                int64
		says             string
	}{
		"all clocks agree":                   {noon, noon.Add(time.Minute), noon.Add(time.Hour), 100, ""},
		"the host is a little ahead":         {noon, noon.Add(4 * time.Minute), noon, 100, ""},
		"the host is hours ahead":            {noon, noon.Add(3 * time.Hour), noon.Add(time.Minute), 0, "200 rows of the log of predictions have a time that is in the future"},
		"the host was set back":              {noon, noon.Add(-2 * time.Hour), noon.Add(-2 * time.Hour), 0, "the release is tried since 2026-11-28T12:00:00Z, which is in the future"},
		"set back behind what was read":      {noon, noon.Add(3 * time.Hour), noon.Add(3 * time.Hour), 100, ""},
		"the controller is an hour behind":   {noon, noon.Add(time.Minute), noon.Add(-time.Hour), 0, "the release is tried since 2026-11-28T12:00:00Z, which is in the future"},
		"the controller is an hour in front": {noon, noon.Add(time.Minute), noon.Add(2 * time.Hour), 100, ""},
	} {
		dir := filepath.Join(t.TempDir(), "log")
		spec := &schemas.Deployment{Log: &schemas.PredictionLog{Dir: dir}, Rollout: &schemas.Rollout{Canary: &schemas.Canary{},
			Analyses: map[string]schemas.Analysis{"slow": {Log: &schemas.LogShare{Column: "latency", Above: &above}, Margin: 0.01}}}}
		d := &schemas.Declaration{Kind: "Deployment", Metadata: schemas.Metadata{Name: "price"}, Spec: spec}
		text := "time,id,arm,release,latency\n"
		for i := range 100 { // the canary is slow, always
			at := c.rows.Add(time.Duration(i) * time.Millisecond).Format(time.RFC3339Nano)
			text += fmt.Sprintf("%s,c%d,canary,%s,0.9\n%s,b%d,baseline,%s,0.1\n", at, i, key, at, i, key)
		}
		part := filepath.Join(dir, "price", c.rows.Format("date=2006-01-02/hour=15"), "a.csv")
		if err := os.MkdirAll(filepath.Dir(part), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(part, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		now := c.now
		l := armsLog{filepath.Join(t.TempDir(), "state", "repository", "serving"), filepath.Join(t.TempDir(), "cache"), port.Env{Now: func() time.Time { return now }, Lookup: os.LookupEnv}, lookWithin, nil, nil}
		trial := port.Trial{Key: key, Since: c.since}
		e, err := l.evidence(t.Context(), d, trial)
		if err != nil {
			t.Fatal(err)
		}
		if got, base := e.Canary["latency above 0.25"].N, e.Baseline["latency above 0.25"].N; got != c.n || base != c.n || !strings.HasPrefix(e.Unread, c.says) || c.says == "" && e.Unread != "" {
			t.Errorf("%s: %d and %d were seen; %q", name, got, base, e.Unread)
		}
		if name == "set back behind what was read" {
			now = noon.Add(time.Minute)
			if e, err := l.evidence(t.Context(), d, trial); err != nil || e.Canary["latency above 0.25"].N != c.n || !strings.HasPrefix(e.Unread, "the log of predictions is read up to 2026-11-28T15:00:00Z, which is in the future") {
				t.Errorf("%s: %+v, %v", name, e, err)
			}
		}
		weight, forever := 50, rollout.Canary{Steps: []rollout.Step{{Weight: new(int)}, {Analyses: []string{"slow"}}},
			Analyses: map[string]rollout.Analysis{"slow": {Metric: "latency above 0.25", Margin: 0.01, Deadline: time.Hour}}}
		forever.Steps[0].Weight = &weight
		at := rollout.State{Change: rollout.Change{Key: key, Phase: rollout.Progressing, Step: 1, Weight: weight}, Since: c.now}
		does := rollout.Decide(forever, at, e, c.now.Add(time.Minute))
		if want := map[bool]rollout.Do{true: rollout.RollBack, false: rollout.Wait}[c.n > 0]; does.Do != want || c.says != "" && !strings.Contains(does.Why, c.says) {
			t.Errorf("%s: it does %s, since %s", name, does.Do, does.Why)
		}
		if does = rollout.Decide(forever, at, e, c.now.Add(2*time.Hour)); c.n == 0 && does.Do != rollout.Hold {
			t.Errorf("%s: at its deadline it does %s, since %s", name, does.Do, does.Why)
		}
	}
}

// TestArmsAreReadFromATopicThatGrows: rows of one hour come between two looks.
func TestArmsAreReadFromATopicThatGrows(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "asked"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	since := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	above := 0.25
	d := &schemas.Declaration{Kind: "Deployment", Metadata: schemas.Metadata{Name: "price"}, Spec: &schemas.Deployment{
		Log: &schemas.PredictionLog{Kafka: &schemas.LogTopic{Brokers: c.ListenAddrs(), Topic: "asked"}},
		Rollout: &schemas.Rollout{Canary: &schemas.Canary{}, Analyses: map[string]schemas.Analysis{
			"slow": {Log: &schemas.LogShare{Column: "latency", Above: &above}, Margin: 0.01},
		}},
	}}
	key := digest.Of([]byte("new"))
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic("asked"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	l := armsLog{t.TempDir(), t.TempDir(), port.Env{Now: func() time.Time { return since.Add(time.Minute) }, Lookup: os.LookupEnv}, lookWithin, nil, nil}
	for n := range 3 {
		at := since.Add(time.Duration(n+1) * time.Second)
		row := fmt.Sprintf(`{"time":%q,"id":"%d","arm":"canary","release":%q,"latency":0.5}`, at.Format(time.RFC3339), n, key)
		if err := client.ProduceSync(t.Context(), &kgo.Record{Value: []byte(row), Timestamp: at, Headers: []kgo.RecordHeader{{Key: "vishwa-deployment", Value: []byte("price")}}}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		e, err := l.evidence(t.Context(), d, port.Trial{Key: key, Since: since})
		if got := e.Canary["latency above 0.25"].N; err != nil || got != int64(n+1) {
			t.Fatalf("%v of %d rows were seen: %v", got, n+1, err)
		}
	}
}

// TestALogThatDoesNotAnswerKeepsNobody: the watch over other deployments goes on, and a pass too.
func TestALogThatDoesNotAnswerKeepsNobody(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel takes the connections, and nobody answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	above := 0.25
	d := &schemas.Declaration{Kind: "Deployment", Metadata: schemas.Metadata{Name: "price"}, Spec: &schemas.Deployment{
		Log: &schemas.PredictionLog{Kafka: &schemas.LogTopic{Brokers: []string{silent.Addr().String()}, Topic: "asked"}},
		Rollout: &schemas.Rollout{Canary: &schemas.Canary{}, Analyses: map[string]schemas.Analysis{
			"slow": {Log: &schemas.LogShare{Column: "latency", Above: &above}, Margin: 0.01},
		}},
	}}
	l := armsLog{t.TempDir(), t.TempDir(), port.Env{Now: time.Now, Lookup: os.LookupEnv}, 300 * time.Millisecond, nil, nil}
	began := time.Now()
	_, err = l.evidence(t.Context(), d, port.Trial{Key: digest.Of([]byte("new")), Since: began})
	if took := time.Since(began); fault.Of(err) != fault.Transient || !strings.Contains(err.Error(), "did not answer within 300ms") || took > 10*time.Second {
		t.Errorf("after %s: %v", took, err)
	}
}

// TestGaugesAreReadForWhatIsTried: each at its own server, where the caller lets it be asked; what has no value says why.
func TestGaugesAreReadForWhatIsTried(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		value := map[string]string{"high": `[1, "0.4"]`, "low": `[1, "0.2"]`}[r.Form.Get("query")]
		if value == "" {
			fmt.Fprint(w, `{"status": "success", "data": {"resultType": "vector", "result": []}}`)
			return
		}
		fmt.Fprintf(w, `{"status": "success", "data": {"resultType": "scalar", "result": %s}}`, value)
	}))
	t.Cleanup(web.Close)
	most := 0.3
	ask := func(query string) schemas.Analysis {
		return schemas.Analysis{Gauge: &schemas.Gauge{Prometheus: &schemas.PrometheusGauge{URL: web.URL, Query: query, Max: &most}}}
	}
	d := &schemas.Declaration{Kind: "Deployment", Metadata: schemas.Metadata{Name: "price"}, Spec: &schemas.Deployment{Rollout: &schemas.Rollout{
		Canary: &schemas.Canary{}, Analyses: map[string]schemas.Analysis{"high": ask("high"), "low": ask("low"), "none": ask("none"), "errors": {Metric: "error_rate", Margin: 0.1}},
	}}}
	env := port.Env{Now: time.Now, Lookup: os.LookupEnv}
	l := armsLog{t.TempDir(), t.TempDir(), env, lookWithin, []string{"127.0.0.1"}, nil}
	e, err := l.seen(t.Context(), d, port.Trial{Key: digest.Of([]byte("new"))})
	if err != nil || len(e.Gauges) != 3 || !e.Gauges["high"].Beyond || e.Gauges["high"].Says != "0.4, and at most 0.3 is allowed" ||
		!e.Gauges["low"].Known || e.Gauges["low"].Beyond || e.Gauges["none"] != (rollout.Reading{Says: "it has no value"}) {
		t.Errorf("%+v, %v", e.Gauges, err)
	}
	l.allow = nil
	e, err = l.seen(t.Context(), d, port.Trial{Key: digest.Of([]byte("new"))})
	if got := e.Gauges["high"]; err != nil || got.Known || got.Beyond || !strings.Contains(got.Says, "cannot be asked") {
		t.Errorf("a private address that nobody allows: %+v, %v", got, err)
	}
}
