// The law of the check: whether GitHub would let us write is found out by what it refuses,
// and nothing is written.

package forge

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func TestMayWriteGoesByWhatIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		checks, statuses int
		kind             fault.Kind
		ok               bool
	}{
		"checks are allowed":   {422, 403, 0, true},
		"statuses alone are":   {403, 422, 0, true},
		"neither is":           {403, 403, fault.Denied, false},
		"nothing is known":     {404, 404, fault.Denied, false},
		"the token is no good": {401, 401, fault.Denied, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Method == http.MethodPost && r.URL.Path == "/api/v3/repos/o/r/check-runs":
					w.WriteHeader(c.checks)
				case r.Method == http.MethodPost && r.URL.Path == "/api/v3/repos/o/r/statuses/"+nowhere:
					w.WriteHeader(c.statuses)
				default:
					t.Errorf("%s %s", r.Method, r.URL.Path)
				}
				_, _ = w.Write([]byte(`{"message": "No commit found for SHA"}`))
			}))
			defer s.Close()
			client, err := GitHub(Config{Owner: "o", Repo: "r", API: s.URL + "/api/v3/", Auth: Auth{Token: "x"}})
			if err != nil {
				t.Fatal(err)
			}
			err = client.MayWrite(context.Background())
			if c.ok != (err == nil) || err != nil && (fault.Of(err) != c.kind || fault.HintOf(err) == "") {
				t.Errorf("%v, hint %q", err, fault.HintOf(err))
			}
		})
	}
}
