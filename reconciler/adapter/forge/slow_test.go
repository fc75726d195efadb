// A forge that takes a question and leaves it without an answer is given up.

package forge_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/forge"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
)

func TestAForgeThatHoldsTheLineIsGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		drip string
		pace dial.Pace
	}{
		"silent":             {"", dial.Pace{Window: 300 * time.Millisecond, Least: 500}},
		"by the byte":        {" ", dial.Pace{Window: 300 * time.Millisecond, Least: 500}},
		"enough, and no end": {"                                                                                ", dial.Pace{Window: 300 * time.Millisecond, Least: 500, Whole: time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for {
					if c.drip != "" {
						_, _ = io.WriteString(w, c.drip)
						w.(http.Flusher).Flush()
					}
					select {
					case <-r.Context().Done():
						return
					case <-time.After(20 * time.Millisecond):
					}
				}
			}))
			t.Cleanup(s.Close)
			f, err := forge.GitHub(forge.Config{
				Owner: "acme", Repo: "models", API: s.URL, Auth: forge.Auth{Token: "t0k3n"}, Pace: c.pace,
				Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
			})
			ok(t, err)
			began := time.Now()
			_, err = f.Pull(t.Context(), 1)
			if err == nil || fault.Of(err) != fault.Transient || fault.HintOf(err) == "" {
				t.Errorf("it ends with %v", err)
			}
			if took := time.Since(began); took > 15*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}
