// What others do to runs: whoever may log into the experiment reads our tags and writes them where he likes.

package tracker

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/tracker/mlflowtest"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// everyRun are the runs of an experiment that have the tags of a ledger, as the server tells of them, by their ids.
func (s rest) everyRun(t *testing.T, experiment, ledger string) map[string]shownAnswer {
	t.Helper()
	var got struct {
		Runs []shownAnswer `json:"runs"`
	}
	s.ask(t, "POST", "runs/search", map[string]any{"experiment_ids": []string{s.experimentID(t, experiment)}, "filter": "tags.`" + tagLedger + "` = '" + ledger + "'", "run_view_type": "ALL", "max_results": 100}, &got)
	out := map[string]shownAnswer{}
	for _, r := range got.Runs {
		out[r.Info.ID] = r
	}
	return out
}

func (s rest) experimentID(t *testing.T, name string) string {
	t.Helper()
	var e experimentAnswer
	s.ask(t, "GET", "experiments/get-by-name?experiment_name="+name, nil, &e)
	return e.Experiment.ID
}

// logs has somebody log a run with tags, and end it as status says; "": it goes on.
func (s rest) logs(t *testing.T, experiment, status string, tags ...tag) (id string) {
	t.Helper()
	var made struct {
		Run runAnswer `json:"run"`
	}
	tags = slices.DeleteFunc(slices.Clone(tags), func(t tag) bool { return strings.HasPrefix(t.Key, "mlflow.") })
	s.ask(t, "POST", "runs/create", map[string]any{"experiment_id": experiment, "run_name": "theirs", "start_time": 1, "tags": tags}, &made)
	id = made.Run.Info.ID
	s.ask(t, "POST", "runs/log-batch", map[string]any{"run_id": id, "params": []tag{{"theirs", "yes"}}}, nil)
	if status != "" {
		s.ask(t, "POST", "runs/update", map[string]any{"run_id": id, "status": status, "end_time": 2}, nil)
	}
	return id
}

// copiedTags: whether somebody's run was there before ours or came later, whether it has the tags that anybody can guess or all of ours, and whether it
// ended: it is neither taken for ours, written to, brought back nor deleted.
func copiedTags(t *testing.T, url, experiment string) {
	s := rest{url}
	var e struct {
		ID string `json:"experiment_id"`
	}
	s.ask(t, "POST", "experiments/create", map[string]any{"name": experiment}, &e)
	key := digest.Of([]byte(t.Name()))
	at := time.UnixMilli(1e12)
	p := port.Projection{Ledger: digest.Of([]byte(experiment)).Hex(), Heal: true,
		Runs:   []port.TrackerRun{{Key: key, Entry: 3, Name: "training/ours", Started: at, Finished: at.Add(time.Second), Params: map[string]string{"depth": "3"}, Metrics: map[string]float64{"auc": 1}}},
		Models: []port.TrackerModel{{Name: "m-" + key.Hex()[:12], Versions: []port.TrackerVersion{{Key: key, Run: key, Digest: key}}}}}
	theirs := map[string]bool{}
	for _, status := range []string{"FINISHED", ""} {
		theirs[s.logs(t, e.ID, status, tag{tagLedger, p.Ledger}, tag{tagKey, string(key)}, tag{"vishwa.state", "whole"})] = true
	}
	gone := s.logs(t, e.ID, "FINISHED", tag{tagLedger, p.Ledger}, tag{tagKey, string(key)})
	s.ask(t, "POST", "runs/delete", map[string]string{"run_id": gone}, nil)
	theirs[gone] = true

	m := MLflow(schemas.MLflowTracker{URL: url, Experiment: experiment}, Options{Own: own, Env: env(nil), Writer: "one", Sleep: atOnce})
	record := func() port.Recorded {
		t.Helper()
		r, err := m.Record(t.Context(), p, false)
		if err != nil {
			t.Fatalf("%v (%s)", err, fault.HintOf(err))
		}
		return r
	}
	ours := func() (id string, of shownAnswer) {
		t.Helper()
		for i, r := range s.everyRun(t, experiment, p.Ledger) {
			switch {
			case !theirs[i] && id != "":
				t.Errorf("%s and %s are ours", id, i)
			case !theirs[i]:
				id, of = i, r
			case len(r.Data.Params) != 1 || len(r.Data.Metrics) != 0 || r.Info.Name != "theirs" || (r.Info.Stage == "deleted") != (i == gone):
				t.Errorf("somebody's run is %+v", r)
			}
		}
		return id, of
	}
	if r := record(); r.Runs != 1 || len(r.Drift) != 0 || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "left alone: 2 runs") {
		t.Errorf("recorded %+v", r)
	}
	id, own := ours()
	if own.Info.Name != "training/ours" || own.Info.Status != "FINISHED" || tagged(own.Data.Params)["depth"] != "3" {
		t.Fatalf("ours is %+v", own)
	}
	var versions struct {
		All []struct {
			Run string `json:"run_id"`
		} `json:"model_versions"`
	}
	s.ask(t, "GET", "model-versions/search?filter=name%3D%27"+p.Models[0].Name+"%27", nil, &versions)
	if len(versions.All) != 1 || versions.All[0].Run != id {
		t.Errorf("the version is of %+v, not of %s", versions.All, id)
	}
	for _, status := range []string{"FINISHED", ""} { // all that ours says of itself
		theirs[s.logs(t, e.ID, status, own.Data.Tags...)] = true
	}
	for _, p.Heal = range []bool{false, true} {
		if r := record(); r.Writes != 0 || len(r.Drift) != 0 {
			t.Errorf("heals %v: %+v", p.Heal, r)
		}
	}
	s.ask(t, "POST", "runs/delete", map[string]string{"run_id": id}, nil)
	if r := record(); len(r.Drift) != 1 || r.Writes != 1 {
		t.Errorf("ours was deleted: %+v", r)
	}
	if now, of := ours(); now != id || of.Info.Stage != "active" {
		t.Errorf("ours is %s, %s", now, of.Info.Stage)
	}
	s.ask(t, "POST", "runs/set-tag", map[string]string{"run_id": id, "key": tagProof, "value": "none"}, nil) // who takes the signature away
	theirs[id] = true
	if r, err := m.Record(t.Context(), p, true); err != nil || r.Runs != 1 {
		t.Errorf("without its signature: %+v, %v", r, err)
	}
}

func TestARunIsOursBySignature(t *testing.T) {
	srv := httptest.NewServer(mlflowtest.New())
	defer srv.Close()
	copiedTags(t, srv.URL, "copied")
}

// TestARunThatWasNotSignedIsGoneOnWith: by the process that made it. Another one makes its own, and leaves it.
func TestARunThatWasNotSignedIsGoneOnWith(t *testing.T) {
	s := mlflowtest.New()
	srv := httptest.NewServer(s)
	defer srv.Close()
	spec := schemas.MLflowTracker{URL: srv.URL, Experiment: "unsigned"}
	p := oneRun("l")
	cut := &cutting{}
	one := MLflow(spec, Options{Own: own, Env: env(nil), Writer: "one", Transport: cut, Sleep: atOnce})
	cut.left.Store(3) // the experiment with its signature, and the run
	if _, err := one.Record(t.Context(), p, false); fault.Of(err) != fault.Transient {
		t.Fatal(err)
	}
	cut.left.Store(-1)
	if there := (rest{srv.URL}).everyRun(t, "unsigned", "l"); len(there) != 1 {
		t.Fatalf("there are %v", there)
	}
	two := MLflow(spec, Options{Own: own, Env: env(nil), Writer: "two", Sleep: atOnce})
	if r, err := two.Record(t.Context(), p, true); err != nil || r.Runs != 1 || len(r.Notes) != 1 {
		t.Errorf("somebody else: %+v, %v", r, err)
	}
	if r, err := one.Record(t.Context(), p, false); err != nil || r.Runs != 1 || len(r.Notes) != 0 {
		t.Errorf("gone on with: %+v, %v", r, err)
	}
	if r, err := two.Record(t.Context(), p, false); err != nil || r.Writes != 0 || len(r.Notes) != 0 {
		t.Errorf("somebody else: %+v, %v", r, err)
	}
	if there := (rest{srv.URL}).everyRun(t, "unsigned", "l"); len(there) != 1 {
		t.Errorf("there are %v", there)
	}
}

// TestWhatIsRefusedIsMadeOnce: a run of which a part is refused for good is known again, however often it is tried.
func TestWhatIsRefusedIsMadeOnce(t *testing.T) {
	s := mlflowtest.New()
	srv := httptest.NewServer(s)
	defer srv.Close()
	p := oneRun("l")
	for i := range 2 {
		refusing := roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Body == nil {
				return http.DefaultTransport.RoundTrip(r)
			}
			raw, err := io.ReadAll(r.Body)
			if err != nil || strings.Contains(string(raw), `"metrics"`) {
				return &http.Response{StatusCode: 400, Body: io.NopCloser(strings.NewReader(`{"error_code": "INVALID_PARAMETER_VALUE"}`)), Request: r}, nil
			}
			r.Body = io.NopCloser(bytes.NewReader(raw))
			return http.DefaultTransport.RoundTrip(r)
		})
		m := MLflow(schemas.MLflowTracker{URL: srv.URL}, Options{Own: own, Env: env(nil), Writer: "one", Transport: refusing, Sleep: atOnce})
		if _, err := m.Record(t.Context(), p, false); fault.Of(err) != fault.Invalid {
			t.Errorf("try %d: %v", i, err)
		}
	}
	if there := (rest{srv.URL}).everyRun(t, "vishwa", "l"); len(there) != 1 {
		t.Errorf("there are %v", there)
	}
}

// TestWhoCannotSignMakesNothing: it would not be known again.
func TestWhoCannotSignMakesNothing(t *testing.T) {
	s := mlflowtest.New()
	srv := httptest.NewServer(s)
	defer srv.Close()
	none := Own{Sign: func(string) (string, error) { return "", errors.New("there is no key") }, Signed: own.Signed}
	m := MLflow(schemas.MLflowTracker{URL: srv.URL}, Options{Own: none, Env: env(nil), Sleep: atOnce})
	if r, err := m.Record(t.Context(), oneRun("l"), true); err != nil || r.Runs != 1 {
		t.Errorf("asked: %+v, %v", r, err)
	}
	if _, err := m.Record(t.Context(), oneRun("l"), false); err == nil || !strings.Contains(err.Error(), "there is no key") {
		t.Errorf("%v", err)
	}
	if log := strings.Join(s.Log(), " "); wrote(log) != 0 {
		t.Errorf("it was asked: %s", log)
	}
}

// TestAnothersExperimentIsNotRenamed: whatever it says of itself.
func TestAnothersExperimentIsNotRenamed(t *testing.T) {
	s := mlflowtest.New()
	srv := httptest.NewServer(s)
	defer srv.Close()
	by := rest{srv.URL}
	by.ask(t, "POST", "experiments/create", map[string]any{"name": "theirs", "tags": []tag{{tagLedger, "l"}, {tagExperiment, "vishwa"}, {tagProof, mac("anything")}}}, nil)
	p := oneRun("l")
	p.Heal = true
	m := MLflow(schemas.MLflowTracker{URL: srv.URL}, Options{Own: own, Env: env(nil), Sleep: atOnce})
	if r, err := m.Record(t.Context(), p, false); err != nil || len(r.Drift) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if by.experimentID(t, "theirs") == by.experimentID(t, "vishwa") || strings.Contains(strings.Join(s.Log(), " "), "experiments/update") {
		t.Errorf("it is not as it was: %v", s.Log())
	}
}

// sessionOf is a session of a tracker, for what is signed in it.
func sessionOf(m port.Tracker, p port.Projection, experiment string) *session {
	return &session{mlflow: m.(*mlflow), p: p, experiment: experiment}
}

// TestWhatIsOursOnAnotherServerIsNotOursHere: two servers of one ledger give the same ids, and whoever reads the signatures of one writes them on the other.
func TestWhatIsOursOnAnotherServerIsNotOursHere(t *testing.T) {
	p := oneRun("l")
	p.Heal = true
	from, to := mlflowtest.New(), mlflowtest.New()
	b, a := httptest.NewServer(from), httptest.NewServer(to)
	defer b.Close()
	defer a.Close()
	tracked := func(url string) port.Tracker {
		return MLflow(schemas.MLflowTracker{URL: url}, Options{Own: own, Env: env(nil), Writer: "one", Sleep: atOnce})
	}
	if r, err := tracked(b.URL).Record(t.Context(), p, false); err != nil || r.Runs != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	var e struct {
		Experiment struct {
			ID   string `json:"experiment_id"`
			Tags []tag  `json:"tags"`
		} `json:"experiment"`
	}
	rest{b.URL}.ask(t, "GET", "experiments/get-by-name?experiment_name=vishwa", nil, &e)
	there := rest{b.URL}.everyRun(t, "vishwa", "l")
	if len(there) != 1 || valueOf(e.Experiment.Tags, tagProof) == "" {
		t.Fatalf("there are %v, of %+v", there, e)
	}

	at := rest{a.URL}
	at.ask(t, "POST", "experiments/create", map[string]any{"name": "vishwa", "tags": e.Experiment.Tags}, nil)
	for id, r := range there {
		if theirs := at.logs(t, e.Experiment.ID, "FINISHED", r.Data.Tags...); theirs != id {
			t.Fatalf("it is %s, and not %s", theirs, id)
		}
	}
	if r, err := tracked(a.URL).Record(t.Context(), p, false); err != nil || r.Runs != 1 || len(r.Notes) != 1 {
		t.Errorf("a run of the other server is taken for ours: %+v, %v", r, err)
	}
	at.ask(t, "POST", "experiments/update", map[string]string{"experiment_id": e.Experiment.ID, "new_name": "theirs"}, nil)
	if r, err := tracked(a.URL).Record(t.Context(), p, false); err != nil || len(r.Drift) != 0 || at.experimentID(t, "theirs") != e.Experiment.ID {
		t.Errorf("an experiment of the other server is taken for ours: %+v, %v", r, err)
	}
}

// TestWhatIsSignedNamesThePlace: another server, workspace, experiment or ledger is another run; another spelling of the address is not.
func TestWhatIsSignedNamesThePlace(t *testing.T) {
	text := func(url, workspace, experiment, ledger string) string {
		m := MLflow(schemas.MLflowTracker{URL: url, Workspace: workspace}, Options{Own: own, Env: env(nil)})
		return sessionOf(m, port.Projection{Ledger: ledger}, experiment).records().Run("k", "1")
	}
	one := text("https://mlflow.example.com/team", "w", "5", "l")
	for _, same := range []string{"https://MLflow.Example.com:443/team/", "HTTPS://mlflow.example.com./team", "https://mlflow.example.com//team//"} {
		if text(same, "w", "5", "l") != one {
			t.Errorf("%s is another server: %s", same, text(same, "w", "5", "l"))
		}
	}
	for _, other := range []string{text("http://mlflow.example.com/team", "w", "5", "l"), text("https://mlflow.example.com:8443/team", "w", "5", "l"), text("https://mlflow.example.com/other", "w", "5", "l"),
		text("https://mlflow.example.com/team", "v", "5", "l"), text("https://mlflow.example.com/team", "w", "6", "l"), text("https://mlflow.example.com/team", "w", "5", "m"),
		text("https://mlflow.example.com/team", "w\"\nledger \"l", "5", "l")} {
		if other == one {
			t.Errorf("it is the same: %s", other)
		}
	}
}

// TestWhoWritesTagsHoldsNoRun: who began a run, and when, is what a controller signed, so a run that was given up is gone on with
// whatever its tags say. Of one that is under way they are left alone.
func TestWhoWritesTagsHoldsNoRun(t *testing.T) {
	now := env(nil).Now()
	for name, c := range map[string]struct {
		after time.Duration
		tags  map[string]string
		left  int
	}{
		"under way":                   {time.Minute, nil, 1},
		"given up":                    {time.Hour, nil, 0},
		"given up, and said to begin": {time.Hour, map[string]string{tagSince: fmt.Sprint(now.Add(time.Hour).UnixMilli())}, 0},
		"given up, and said to begin by another": {time.Hour,
			map[string]string{tagSince: fmt.Sprint(now.Add(time.Hour).UnixMilli()), tagWriter: "mallory", tagBegun: mac("begun")}, 0},
	} {
		s := mlflowtest.New()
		srv := httptest.NewServer(s)
		defer srv.Close()
		p, spec, cut := oneRun("l"), schemas.MLflowTracker{URL: srv.URL}, &cutting{}
		cut.left.Store(4) // the experiment with its signature, the run and its first batch
		if _, err := MLflow(spec, Options{Own: own, Env: env(nil), Writer: "one", Transport: cut, Sleep: atOnce}).Record(t.Context(), p, false); fault.Of(err) != fault.Transient {
			t.Fatal(err)
		}
		by := rest{srv.URL}
		id := slices.Collect(maps.Keys(by.everyRun(t, "vishwa", "l")))[0]
		for key, value := range c.tags {
			by.ask(t, "POST", "runs/set-tag", map[string]string{"run_id": id, "key": key, "value": value}, nil)
		}
		later := env(nil)
		later.Now = func() time.Time { return now.Add(c.after) }
		r, err := MLflow(spec, Options{Own: own, Env: later, Writer: "two", Sleep: atOnce}).Record(t.Context(), p, false)
		if err != nil || r.Left != c.left || r.Runs != 1-c.left {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// TestWhoEndedIsNotWaitedFor: a run that a process began which is there no more is gone on with at once; of others it is told that they write.
func TestWhoEndedIsNotWaitedFor(t *testing.T) {
	s := mlflowtest.New()
	srv := httptest.NewServer(s)
	defer srv.Close()
	p := oneRun("l")
	spec := schemas.MLflowTracker{URL: srv.URL}
	cut := &cutting{}
	cut.left.Store(4) // the experiment with its signature, the run and its first batch
	if _, err := MLflow(spec, Options{Own: own, Env: env(nil), Writer: "one", Transport: cut, Sleep: atOnce}).Record(t.Context(), p, false); fault.Of(err) != fault.Transient {
		t.Fatal(err)
	}
	if r, err := MLflow(spec, Options{Own: own, Env: env(nil), Writer: "two", Sleep: atOnce}).Record(t.Context(), p, false); err != nil || r.Left != 1 || r.Writes != 0 {
		t.Errorf("it may write: %+v, %v", r, err)
	}
	knows := own
	knows.Gone = func(writer string) bool { return writer == "one" }
	if r, err := MLflow(spec, Options{Own: knows, Env: env(nil), Writer: "two", Sleep: atOnce}).Record(t.Context(), p, false); err != nil || r.Left != 0 || r.Runs != 1 {
		t.Errorf("it ended: %+v, %v", r, err)
	}
}
