// What is lent ends with what signs it, which is asked for anew where that is wanted.

package bucket

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/port"
)

// TestWhatSignsALoanIsAskedForAnew: a role's session that is about to end is not what a loan ends with.
func TestWhatSignsALoanIsAskedForAnew(t *testing.T) {
	sessions := 0
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/latest/api/token":
			_, _ = w.Write([]byte("token"))
		case "/latest/meta-data/iam/security-credentials/":
			_, _ = w.Write([]byte("role"))
		default:
			sessions++
			life := 20 * time.Minute
			if sessions > 1 {
				life = 6 * time.Hour
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"Code": "Success", "AccessKeyId": "a", "SecretAccessKey": "s", "Token": "t", "Expiration": time.Now().Add(life)})
		}
	}))
	t.Cleanup(metadata.Close)
	b, err := S3(S3Options{Bucket: "artifacts", Endpoint: "http://127.0.0.1:1", Region: "eu-central-1", Lookup: func(string) (string, bool) { return "", false }, metadata: metadata.URL})
	if err != nil {
		t.Fatal(err)
	}
	lend := func(anew bool) time.Duration {
		g, err := b.(port.Lender).Lend(t.Context(), port.Loan{Read: []string{"k"}, Write: "w/", Until: time.Now().Add(2 * time.Hour), Anew: anew})
		if err != nil {
			t.Fatal(err)
		}
		return time.Until(g.Until)
	}
	if d := lend(false); d > 20*time.Minute || sessions != 1 {
		t.Errorf("by the session at hand it is lent for %s, after %d sessions", d, sessions)
	}
	if d := lend(true); d < time.Hour || sessions != 2 {
		t.Errorf("anew it is lent for %s, after %d sessions", d, sessions)
	}
	if lend(true); sessions != 2 {
		t.Errorf("a session that lasts was asked for anew")
	}
}
