// What takes the place of what is lent is believed by the launch's seal alone; what has ended
// says that it has.

package dispatch

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func TestARenewalIsOfItsLaunchAlone(t *testing.T) {
	nonce, other := strings.Repeat("n", 64), strings.Repeat("o", 64)
	sealed := func(by string, version int) []byte {
		raw, err := WrapRenewal(by, Renewal{Version: version, Until: time.Unix(1, 0)})
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	for name, c := range map[string]struct {
		raw  []byte
		kind fault.Kind
	}{
		"its own":           {sealed(nonce, Version), fault.Internal},
		"another launch's":  {sealed(other, Version), fault.Corrupt},
		"another version's": {sealed(nonce, Version+1), fault.Invalid},
		"changed":           {append(sealed(nonce, Version), ' '), fault.Corrupt},
		"not sealed":        {[]byte(`{"version":1}`), fault.Corrupt},
	} {
		if _, err := openRenewal(nonce, c.raw); (err == nil) != (name == "its own") || err != nil && fault.Of(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWhatHasEndedSaysSo: once nobody lent it anew.
func TestWhatHasEndedSaysSo(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer server.Close()
	now := time.Now()
	l := &lent{client: server.Client(), now: func() time.Time { return now }, sleep: func(context.Context, time.Duration) error { return nil },
		loan: Renewal{Write: port.WriteGrant{URL: server.URL}, Until: now.Add(-time.Second), Next: server.URL}, made: map[digest.Digest]int64{}, tmp: t.TempDir()}
	l.renewing(t.Context()) // it looks once more, and gives up
	if _, _, err := l.Put(t.Context(), strings.NewReader("x")); fault.Of(err) != fault.Transient || !strings.Contains(err.Error(), "what this job was lent of the store ended at") {
		t.Errorf("%v", err)
	}
}
