// What is remembered of runs, where their signatures are taken away: and what is not.

package tracker

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/adapter/tracker/mlflowtest"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// remembered is a witness in memory.
type remembered map[digest.Digest]map[digest.Digest]string

func (r remembered) Runs(place digest.Digest) map[digest.Digest]string { return r[place] }

func (r remembered) Keep(place digest.Digest, runs map[digest.Digest]string) error {
	r[place] = maps.Clone(runs)
	return nil
}

// TestWhoTakesSignaturesAwayHasNothingWrittenTwice: however often, whichever of our tags goes, and whichever process looks next. It is drift, and is put right.
func TestWhoTakesSignaturesAwayHasNothingWrittenTwice(t *testing.T) {
	for _, taken := range []string{tagProof, tagKey, tagLedger} {
		srv := httptest.NewServer(mlflowtest.New())
		defer srv.Close()
		by := rest{srv.URL}
		p := oneRun("l")
		knows := own
		knows.Witness = remembered{}
		record := func(dry bool) port.Recorded {
			t.Helper()
			r, err := MLflow(schemas.MLflowTracker{URL: srv.URL}, Options{Own: knows, Env: env(nil), Writer: "one", Sleep: atOnce}).Record(t.Context(), p, dry)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		record(false)
		id := slices.Collect(maps.Keys(by.everyRun(t, "vishwa", "l")))[0]
		for range 3 {
			by.ask(t, "POST", "runs/set-tag", map[string]string{"run_id": id, "key": taken, "value": "x"}, nil)
			p.Heal = false
			if r := record(false); r.Runs != 0 || r.Writes != 0 || len(r.Drift) != 1 || !strings.Contains(r.Drift[0], "has no signature") {
				t.Errorf("%s, kept: %+v", taken, r)
			}
			p.Heal = true
			if r := record(true); r.Runs != 0 || r.Writes != 1 || len(r.Drift) != 1 {
				t.Errorf("%s, asked: %+v", taken, r)
			}
			if r := record(false); r.Runs != 0 || r.Writes != 1 || len(r.Drift) != 1 {
				t.Errorf("%s, healed: %+v", taken, r)
			}
			if r := record(false); r.Writes != 0 || len(r.Drift) != 0 || len(r.Notes) != 0 {
				t.Errorf("%s does not settle: %+v", taken, r)
			}
		}
		if there := by.everyRun(t, "vishwa", "l"); len(there) != 1 || valueOf(there[id].Data.Tags, tagProof) == "x" {
			t.Errorf("%s: there are %+v", taken, there)
		}
	}
}

// TestWhoIsRevokedIsNotRemembered: what a controller recorded that is trusted no more is recorded again, though others saw its signatures while they held.
func TestWhoIsRevokedIsNotRemembered(t *testing.T) {
	srv := httptest.NewServer(mlflowtest.New())
	defer srv.Close()
	revoked := false
	theirs := Own{Sign: func(text string) (string, error) { return "theirs " + mac(text), nil }}
	theirs.Signed = func(text, proof string) bool {
		return proof == mac(text) || !revoked && proof == "theirs "+mac(text)
	}
	ours := Own{Sign: own.Sign, Signed: theirs.Signed, Witness: remembered{}}
	for i, of := range []Own{theirs, ours, ours} {
		revoked = i == 2
		p := oneRun("l")
		p.Heal = true
		r, err := MLflow(schemas.MLflowTracker{URL: srv.URL}, Options{Own: of, Env: env(nil), Writer: "one", Sleep: atOnce}).Record(t.Context(), p, false)
		if err != nil || r.Runs != []int{1, 0, 1}[i] || len(r.Drift) != 0 {
			t.Errorf("%d: %+v, %v", i, r, err)
		}
	}
}

// TestWhatIsRememberedOfAnotherServerIsNothing: a server that was set up anew at the same address has the whole history again.
func TestWhatIsRememberedOfAnotherServerIsNothing(t *testing.T) {
	now := mlflowtest.New()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { now.ServeHTTP(w, r) }))
	defer srv.Close()
	knows := own
	knows.Witness = remembered{}
	m := MLflow(schemas.MLflowTracker{URL: srv.URL}, Options{Own: knows, Env: env(nil), Writer: "one", Sleep: atOnce})
	for _, made := range []bool{false, true} { // by somebody else: the experiment
		if now = mlflowtest.New(); made {
			(rest{srv.URL}).ask(t, "POST", "experiments/create", map[string]any{"name": "vishwa"}, nil)
		}
		if r, err := m.Record(t.Context(), oneRun("l"), false); err != nil || r.Runs != 1 || len(r.Drift) != 0 {
			t.Errorf("%+v, %v", r, err)
		}
	}
}
