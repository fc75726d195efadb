// Versions of registered models that are there twice, as two controllers that record at once make them.

package tracker

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/adapter/tracker/mlflowtest"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// numbered is what makes a version of a registered model with tags of ours; it returns its number.
func (s rest) numbered(t *testing.T, model, source string, tags ...tag) string {
	t.Helper()
	var made struct {
		Version struct {
			Version string `json:"version"`
		} `json:"model_version"`
	}
	s.ask(t, "POST", "model-versions/create", map[string]any{"name": model, "source": source, "tags": tags}, &made)
	return made.Version.Version
}

// signs has a version say that a controller made the version of that number.
func (s rest) signs(t *testing.T, of *session, v port.TrackerVersion, number, source, as string) {
	t.Helper()
	proof := mac(of.records().MadeVersion("m", v.Key, as, source))
	s.ask(t, "POST", "model-versions/set-tag", map[string]string{"name": "m", "version": number, "key": tagProof, "value": proof}, nil)
}

// TestAVersionThatIsThereTwiceIsThereOnce: two controllers recorded it at once. What stays has the alias that somebody gave to the one that goes. One that
// says something else is left, and so is what only has the tags, or the signature of another one: anybody may copy these.
func TestAVersionThatIsThereTwiceIsThereOnce(t *testing.T) {
	s := mlflowtest.New()
	srv := httptest.NewServer(s)
	defer srv.Close()
	m := MLflow(schemas.MLflowTracker{URL: srv.URL}, Options{Own: own, Env: env(nil)})
	key, of := digest.Of([]byte("key")), digest.Of([]byte("model"))
	v := port.TrackerVersion{Key: key, Digest: of}
	p := port.Projection{Ledger: "l", Models: []port.TrackerModel{{Name: "m", Versions: []port.TrackerVersion{v}, Serves: map[string]digest.Digest{"production": key}}}}
	if _, err := m.Record(t.Context(), p, false); err != nil {
		t.Fatal(err)
	}
	r, source := rest{srv.URL}, keptSource+of.Hex()
	tags := []tag{{tagLedger, "l"}, {tagKey, string(key)}, {tagDigest, string(of)}}
	ours := r.numbered(t, "m", source, tags...)
	r.signs(t, sessionOf(m, p, ""), v, ours, source, ours)
	bare := r.numbered(t, "m", source, tags...)
	copied := r.numbered(t, "m", source, tags...)
	r.signs(t, sessionOf(m, p, ""), v, copied, source, ours)
	r.numbered(t, "m", "s3://somebody/else", tags...)
	r.ask(t, "POST", "registered-models/alias", map[string]string{"name": "m", "alias": "tried", "version": ours}, nil)
	r.ask(t, "POST", "registered-models/alias", map[string]string{"name": "m", "alias": "theirs", "version": bare}, nil)
	if _, err := m.Record(t.Context(), p, false); err != nil || len(r.model(t, "m").Versions) != 5 {
		t.Errorf("without healing: %v, %+v", err, r.model(t, "m"))
	}
	p.Heal = true
	for i := range 2 {
		got, err := m.Record(t.Context(), p, false)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Notes) != 2 || !strings.Contains(got.Notes[0], "left alone: version "+bare+" of model m") || !strings.Contains(got.Notes[1], "left alone: version "+copied+" of model m") {
			t.Errorf("it says %q", got.Notes)
		}
		if i > 0 && (got.Writes != 0 || len(got.Drift) != 0) {
			t.Errorf("the second time: %+v", got)
		}
	}
	if got := r.model(t, "m"); len(got.Versions) != 4 || got.Aliases["tried"] != "1" || got.Aliases["production"] != "1" || got.Aliases["theirs"] != bare {
		t.Errorf("it has %d versions, and the aliases %v", len(got.Versions), got.Aliases)
	}
}

// TestWhatWasMadeBeforeSignaturesStays: a version that an older Vishwa made, and whose files are others by now, is left, and the release comes back once.
func TestWhatWasMadeBeforeSignaturesStays(t *testing.T) {
	b := doubled(t, nil)
	p, _ := released(t)
	b.record(t, p)
	name, key := p.Models[0].Name, string(p.Models[0].Versions[0].Key)
	old := b.versions(t, name)[key]
	b.rest.ask(t, "POST", "model-versions/set-tag", map[string]string{"name": name, "version": old.Version, "key": tagProof, "value": "none"}, nil)
	b.put(t, place(b.experimentID(t), old)+"data/one.bin", "ONE")
	for i := range 3 {
		r := b.record(t, p)
		if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "left alone: version "+old.Version) {
			t.Errorf("it says %q", r.Notes)
		}
		if i > 0 && (r.Writes != 0 || len(r.Drift) != 0) {
			t.Errorf("it does not settle: %+v", r)
		}
	}
	if got := b.rest.model(t, name); len(got.Versions) != 3 || got.Aliases["production"] != "3" {
		t.Errorf("it has %d versions, and the aliases %v", len(got.Versions), got.Aliases)
	}
}

// TestAnAliasThatOnlyATagCallsOursStays: whoever may write tags of a registered model could have somebody's alias taken away.
func TestAnAliasThatOnlyATagCallsOursStays(t *testing.T) {
	srv := httptest.NewServer(mlflowtest.New())
	defer srv.Close()
	m := MLflow(schemas.MLflowTracker{URL: srv.URL}, Options{Own: own, Env: env(nil)})
	key := digest.Of([]byte("key"))
	p := port.Projection{Ledger: "l", Heal: true, Models: []port.TrackerModel{{Name: "m", Versions: []port.TrackerVersion{{Key: key, Digest: key}}}}}
	if _, err := m.Record(t.Context(), p, false); err != nil {
		t.Fatal(err)
	}
	r := rest{srv.URL}
	r.ask(t, "POST", "registered-models/alias", map[string]string{"name": "m", "alias": "champion", "version": "1"}, nil)
	r.ask(t, "POST", "registered-models/set-tag", map[string]string{"name": "m", "key": tagAlias + "champion", "value": "1"}, nil)
	got, err := m.Record(t.Context(), p, false)
	if err != nil || got.Writes != 0 || len(got.Notes) != 1 || !strings.Contains(got.Notes[0], "left alone: alias champion of model m") {
		t.Errorf("%+v, %v", got, err)
	}
	if now := r.model(t, "m"); now.Aliases["champion"] != "1" {
		t.Errorf("aliases %v", now.Aliases)
	}
}

// TestAVersionOfSomethingElseIsNotOurs: whoever may change versions can give one the tags of a release to come, and the alias would lead to it.
func TestAVersionOfSomethingElseIsNotOurs(t *testing.T) {
	srv := httptest.NewServer(mlflowtest.New())
	defer srv.Close()
	m := MLflow(schemas.MLflowTracker{URL: srv.URL}, Options{Own: own, Env: env(nil)})
	key, of := digest.Of([]byte("key")), digest.Of([]byte("model"))
	r := rest{srv.URL}
	r.ask(t, "POST", "registered-models/create", map[string]any{"name": "m", "tags": []tag{{tagLedger, "l"}}}, nil)
	r.ask(t, "POST", "model-versions/create", map[string]any{"name": "m", "source": "s3://somebody/else", "tags": []tag{{tagLedger, "l"}, {tagKey, string(key)}, {tagDigest, string(of)}}}, nil)
	p := port.Projection{Ledger: "l", Models: []port.TrackerModel{{Name: "m", Versions: []port.TrackerVersion{{Key: key, Digest: of}}, Serves: map[string]digest.Digest{"production": key}}}}
	if _, err := m.Record(t.Context(), p, false); err != nil {
		t.Fatal(err)
	}
	if got := r.model(t, "m"); len(got.Versions) != 2 || got.Aliases["production"] != "2" {
		t.Errorf("it has %d versions, and the aliases %v", len(got.Versions), got.Aliases)
	}
}

// TestWhoApprovedIsWhatTheLedgerSays: whoever may write to MLflow may say otherwise there, until the next time that it is shown what the ledger has.
func TestWhoApprovedIsWhatTheLedgerSays(t *testing.T) {
	srv := httptest.NewServer(mlflowtest.New())
	defer srv.Close()
	m := MLflow(schemas.MLflowTracker{URL: srv.URL}, Options{Own: own, Env: env(nil)})
	key := digest.Of([]byte("key"))
	p := port.Projection{Ledger: "l", Models: []port.TrackerModel{{
		Name: "m", Versions: []port.TrackerVersion{{Key: key, Digest: digest.Of([]byte("model"))}}, Serves: map[string]digest.Digest{"production": key},
		Deployed: map[string]port.TrackerDeployed{"production": {Entry: 13, Tags: map[string]string{port.TagReason: "released", port.TagApproved: "ben"}}},
	}}}
	if _, err := m.Record(t.Context(), p, false); err != nil {
		t.Fatal(err)
	}
	r := rest{srv.URL}
	approved := "vishwa.production." + port.TagApproved
	r.ask(t, "POST", "model-versions/set-tag", map[string]string{"name": "m", "version": "1", "key": approved, "value": "mallory"}, nil)
	for i, writes := range []int{1, 0} {
		if got, err := m.Record(t.Context(), p, false); err != nil || got.Writes != writes {
			t.Errorf("time %d: %+v, %v", i+1, got, err)
		}
	}
	if v := r.model(t, "m").Versions[0]; v[approved] != "ben" {
		t.Errorf("the version has %v", v)
	}
}
