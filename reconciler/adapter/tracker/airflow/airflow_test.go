// Airflow is told once of what is newest, by events that say of what they are, and of nothing else.

package airflow

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// airflows answers as Airflow 3 does of its assets.
type airflows struct {
	mu     sync.Mutex
	assets []string // URIs; their numbers begin with 1
	events []map[string]any
	fails  int // status of the next event that is made; 0: none
}

func (a *airflows) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	answer := func(status int, said any) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(said)
	}
	type m = map[string]any
	switch at := r.Method + " " + r.URL.Path; {
	case at == "POST /auth/token":
		var who map[string]string
		if _ = json.NewDecoder(r.Body).Decode(&who); who["password"] != "s3cr3t" {
			answer(http.StatusUnauthorized, m{})
			return
		}
		answer(http.StatusCreated, m{"access_token": "a-session"})
	case r.Header.Get("Authorization") != "Bearer a-session":
		answer(http.StatusUnauthorized, m{"detail": "s3cr3t"})
	case at == "GET /api/v2/assets":
		found := []m{}
		for i, uri := range a.assets {
			if strings.Contains(uri, r.URL.Query().Get("uri_pattern")) {
				found = append(found, m{"id": i + 1, "uri": uri})
			}
		}
		answer(http.StatusOK, m{"assets": paged(r, found), "total_entries": len(found)})
	case at == "GET /api/v2/assets/events":
		found := []m{}
		for _, e := range slices.Backward(a.events) {
			if fmt.Sprint(e["asset_id"]) == r.URL.Query().Get("asset_id") {
				found = append(found, e)
			}
		}
		answer(http.StatusOK, m{"asset_events": paged(r, found), "total_entries": len(found)})
	case at == "POST /api/v2/assets/events":
		if a.fails != 0 {
			answer(a.fails, m{})
			return
		}
		var e m
		if json.NewDecoder(r.Body).Decode(&e) != nil {
			answer(http.StatusUnprocessableEntity, m{})
			return
		}
		e["extra"].(m)["from_rest_api"] = true // as Airflow adds it
		a.events = append(a.events, e)
		answer(http.StatusOK, e)
	default:
		answer(http.StatusNotFound, m{})
	}
}

// paged is what Airflow gives at once: 100 at most, and 50 where no limit is said.
func paged(r *http.Request, found []map[string]any) []map[string]any {
	number := func(name string, usual int) int {
		n, err := strconv.Atoi(r.URL.Query().Get(name))
		if err != nil {
			return usual
		}
		return n
	}
	from := min(number("offset", 0), len(found))
	return found[from:min(from+min(number("limit", 50), 100), len(found))]
}

// said is what each event says.
func (a *airflows) said() (out []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.events {
		x, _ := e["extra"].(map[string]any)
		out = append(out, fmt.Sprint(e["asset_id"], " ", x["vishwa_of"], " ", x["vishwa_environment"], " ", x["vishwa_entry"], " ", x["vishwa_revision"]))
	}
	return out
}

func env(vars map[string]string) port.Env {
	return port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Lookup: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }}
}

// by is a controller, whose signature nobody else can make.
func by(e port.Env) Options {
	return Options{Env: e, Sleep: atOnce, Sign: func(text string) (string, error) { return string(digest.Of([]byte("a key of the tests" + text))), nil },
		Signed: func(text, proof string) bool { return proof == string(digest.Of([]byte("a key of the tests"+text))) }}
}

func atOnce(context.Context, time.Duration) error { return nil }

func told(t *testing.T, tr port.Tracker, p port.Projection, dry bool) port.Recorded {
	t.Helper()
	r, err := tr.Record(t.Context(), p, dry)
	if err != nil {
		t.Fatalf("%v (%s)", err, fault.HintOf(err))
	}
	return r
}

var (
	watchedData  = schemas.Ref{Kind: schemas.KindDataset, Name: "students"}
	watchedModel = schemas.Ref{Kind: schemas.KindModel, Name: "price"}
)

func announced() port.Projection {
	tags := func(revision string) map[string]string { return map[string]string{port.TagRevision: revision} }
	one, two := digest.Of([]byte("one")), digest.Of([]byte("two"))
	return port.Projection{Ledger: "l", Data: []port.TrackerData{{Name: "students", Entry: 3, Digest: one, Tags: tags("r3")}, {Name: "other", Entry: 4, Digest: two, Tags: tags("r4")}},
		Models: []port.TrackerModel{{Name: "price", Versions: []port.TrackerVersion{{Key: one, Entry: 5, Digest: one, Tags: tags("r5")}, {Key: two, Entry: 8, Digest: two, Tags: tags("r8")}},
			Moves: []port.TrackerMove{{Entry: 6, Environment: "staging", Key: one}, {Entry: 7, Environment: "production", Key: one}, {Entry: 9, Environment: "staging", Key: two}}}}}
}

func TestAirflowIsToldOfTheNewest(t *testing.T) {
	a := &airflows{assets: []string{"s3://acme/students-2", "s3://acme/students", "s3://acme/price", "s3://acme/served"}}
	srv := httptest.NewServer(a)
	t.Cleanup(srv.Close)
	spec := schemas.AirflowTracker{URL: srv.URL, Assets: []schemas.AirflowAsset{
		{Of: watchedData, Asset: "s3://acme/students"}, {Of: watchedModel, Asset: "s3://acme/price"}, {Of: watchedModel, Environment: "production", Asset: "s3://acme/served"},
		{Of: watchedModel, Environment: "nowhere", Asset: "s3://acme/served"}, {Of: watchedModel, Asset: "s3://acme/nobody's"},
	}}
	tr := New(spec, by(env(map[string]string{TokenVariable: "admin:s3cr3t"})))
	p := announced()
	if r := told(t, tr, p, true); r.Writes != 3 || len(a.said()) != 0 {
		t.Errorf("dry: %+v, %q", r, a.said())
	}
	r := told(t, tr, p, false)
	want := []string{"2 dataset/students <nil> 3 r3", "3 model/price <nil> 8 r8", "4 model/price production 7 r5"}
	if got := a.said(); !slices.Equal(got, want) || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "no asset s3://acme/nobody's") {
		t.Errorf("%q, want %q: %+v", got, want, r)
	}
	a.events = append(a.events, map[string]any{"asset_id": 4, "extra": map[string]any{"vishwa_entry": "many"}}, map[string]any{"asset_id": 4, "extra": nil})
	if r := told(t, tr, p, false); r.Writes != 0 {
		t.Errorf("told again: %+v", r)
	}
	a.events = a.events[:3]
	m := &p.Models[0]
	m.Moves = append(m.Moves, port.TrackerMove{Entry: 11, Environment: "production"}) // retired: nothing to wait for
	if r := told(t, tr, p, false); r.Writes != 0 {
		t.Errorf("%q of an environment that serves none", a.said()[3:])
	}
	m.Moves = append(m.Moves, port.TrackerMove{Entry: 12, Environment: "production", Key: m.Versions[0].Key}) // back to the first
	told(t, tr, p, false)
	if got := a.said()[3:]; fmt.Sprint(got) != "[4 model/price production 12 r5]" {
		t.Errorf("%q", got)
	}
	p.Ledger = "another" // of another repository: its entries have the same numbers
	if r := told(t, tr, p, false); r.Writes != 3 {
		t.Errorf("%+v", r)
	}
}

// TestNobodyKeepsAnEventFromBeingSent: whoever may send events knows what ours say, and sends it before.
func TestNobodyKeepsAnEventFromBeingSent(t *testing.T) {
	a := &airflows{assets: []string{"s3://acme/students", "s3://acme/others"}}
	srv := httptest.NewServer(a)
	t.Cleanup(srv.Close)
	tracker := func(o Options, assets ...string) port.Tracker {
		spec := schemas.AirflowTracker{URL: srv.URL}
		for _, asset := range assets {
			spec.Assets = append(spec.Assets, schemas.AirflowAsset{Of: watchedData, Asset: asset})
		}
		return New(spec, o)
	}
	mine := by(env(map[string]string{TokenVariable: "admin:s3cr3t"}))
	told(t, tracker(mine, "s3://acme/others"), announced(), false) // what is signed of another asset
	signed, _ := a.events[0]["extra"].(map[string]any)
	copied := func(change func(extra map[string]any)) {
		extra := maps.Clone(signed)
		change(extra)
		a.events = append(a.events, map[string]any{"asset_id": 1, "extra": extra})
	}
	copied(func(map[string]any) {})
	copied(func(extra map[string]any) { delete(extra, "vishwa_proof") })
	copied(func(extra map[string]any) { extra["vishwa_proof"] = "none" })
	copied(func(extra map[string]any) { extra["vishwa_proof"] = 7 })
	if r := told(t, tracker(mine, "s3://acme/students"), announced(), false); r.Writes != 1 {
		t.Fatalf("an event was not sent, as others sent what it says: %+v", r)
	}
	if r := told(t, tracker(mine, "s3://acme/students", "s3://acme/others"), announced(), false); r.Writes != 0 {
		t.Errorf("sent again: %+v", r)
	}
	mine.Sign = func(string) (string, error) { return "", fault.New(fault.Denied, "no keys") }
	later := announced()
	later.Data[0].Entry = 30
	if _, err := tracker(mine, "s3://acme/students").Record(t.Context(), later, false); fault.Of(err) != fault.Denied {
		t.Errorf("without keys: %v", err)
	}
	if r := told(t, tracker(mine, "s3://acme/students"), later, true); r.Writes != 1 { // looking needs none
		t.Errorf("%+v", r)
	}
}

// TestAirflowIsToldOnceAmongManyEvents: of others, and with many assets whose URIs begin alike.
func TestAirflowIsToldOnceAmongManyEvents(t *testing.T) {
	a := &airflows{}
	for i := range 150 {
		a.assets = append(a.assets, fmt.Sprintf("s3://acme/students-%d", i))
	}
	a.assets = append(a.assets, "s3://acme/students")
	srv := httptest.NewServer(a)
	t.Cleanup(srv.Close)
	spec := schemas.AirflowTracker{URL: srv.URL, Assets: []schemas.AirflowAsset{{Of: watchedData, Asset: "s3://acme/students"}}}
	tr := New(spec, by(env(map[string]string{TokenVariable: "admin:s3cr3t"})))
	if r := told(t, tr, announced(), false); r.Writes != 1 || len(r.Notes) != 0 {
		t.Fatalf("%+v", r)
	}
	for range 250 {
		a.events = append(a.events, map[string]any{"asset_id": 151, "extra": map[string]any{"by": "a DAG"}})
	}
	if r := told(t, tr, announced(), false); r.Writes != 0 {
		t.Errorf("told again after 250 events of others: %+v", r)
	}
}

func TestAirflowThatRefusesOrFails(t *testing.T) {
	a := &airflows{assets: []string{"s3://acme/students"}}
	srv := httptest.NewServer(a)
	t.Cleanup(srv.Close)
	declared := []schemas.AirflowAsset{{Of: watchedData, Asset: "s3://acme/students"}}
	for name, c := range map[string]struct {
		url, token string
		fails      int
		kind       fault.Kind
		says       string
	}{
		"no token":                 {srv.URL, "", 0, fault.Denied, "there is no token"},
		"a wrong password":         {srv.URL, "admin:guess", 0, fault.Denied, "401"},
		"a token that may not":     {srv.URL, "another", 0, fault.Denied, "401"},
		"in the clear":             {"http://airflow.example", "admin:s3cr3t", 0, fault.Denied, "in the clear"},
		"a login in its address":   {strings.Replace(srv.URL, "//", "//me:secret@", 1), "admin:s3cr3t", 0, fault.Denied, "holds a user"},
		"no Airflow":               {srv.URL + "/elsewhere", "a-session", 0, fault.Missing, "404"},
		"one that may create none": {srv.URL, "admin:s3cr3t", 403, fault.Denied, "403"},
		"one that is away":         {srv.URL, "admin:s3cr3t", 503, fault.Transient, ""},
	} {
		a.fails = c.fails
		_, err := New(schemas.AirflowTracker{URL: c.url, Assets: declared}, by(env(map[string]string{TokenVariable: c.token}))).Record(t.Context(), announced(), false)
		if err == nil || fault.Of(err) != c.kind || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error()+fault.HintOf(err), "s3cr3t") || strings.Contains(err.Error(), "secret") || fault.HintOf(err) == "" {
			t.Errorf("%s: %v (%s)", name, err, fault.HintOf(err))
		}
	}
	if len(a.said()) != 0 {
		t.Errorf("%q", a.said())
	}
	if r := told(t, New(schemas.AirflowTracker{URL: "http://127.0.0.1:1", Assets: declared}, by(env(nil))), port.Projection{Ledger: "l"}, false); r.Writes != 0 {
		t.Error("Airflow is asked though there is nothing to tell")
	}
}
