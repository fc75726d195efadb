// Versions of registered models that are there twice, as two controllers that record at once make them.

package tracker

import (
	"net/http/httptest"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/adapter/tracker/mlflowtest"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// TestAVersionThatIsThereTwiceIsThereOnce: two recorded it at once. What stays has the alias that somebody gave to the one that goes, and one that says
// something else is left.
func TestAVersionThatIsThereTwiceIsThereOnce(t *testing.T) {
	s := mlflowtest.New()
	srv := httptest.NewServer(s)
	defer srv.Close()
	m := MLflow(schemas.MLflowTracker{URL: srv.URL}, Options{Own: own, Env: env(nil)})
	key, of := digest.Of([]byte("key")), digest.Of([]byte("model"))
	p := port.Projection{Ledger: "l", Models: []port.TrackerModel{{Name: "m", Versions: []port.TrackerVersion{{Key: key, Digest: of}}, Serves: map[string]digest.Digest{"production": key}}}}
	if _, err := m.Record(t.Context(), p, false); err != nil {
		t.Fatal(err)
	}
	r := rest{srv.URL}
	tags := []tag{{tagLedger, "l"}, {tagKey, string(key)}, {tagDigest, string(of)}}
	r.ask(t, "POST", "model-versions/create", map[string]any{"name": "m", "source": "vishwa://store/sha256/" + of.Hex(), "tags": tags}, nil)
	r.ask(t, "POST", "model-versions/create", map[string]any{"name": "m", "source": "s3://somebody/else", "tags": tags}, nil)
	r.ask(t, "POST", "registered-models/alias", map[string]string{"name": "m", "alias": "tried", "version": "2"}, nil)
	if _, err := m.Record(t.Context(), p, false); err != nil || len(r.model(t, "m").Versions) != 3 {
		t.Errorf("without healing: %v, %+v", err, r.model(t, "m"))
	}
	p.Heal = true
	if _, err := m.Record(t.Context(), p, false); err != nil {
		t.Fatal(err)
	}
	if got := r.model(t, "m"); len(got.Versions) != 2 || got.Aliases["tried"] != "1" || got.Aliases["production"] != "1" {
		t.Errorf("it has %d versions, and the aliases %v", len(got.Versions), got.Aliases)
	}
	if again, err := m.Record(t.Context(), p, false); err != nil || again.Writes != 0 || len(again.Drift) != 0 {
		t.Errorf("the second time: %+v, %v", again, err)
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
