package mlflowapi

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// TestAnAnswerByTheByteIsGivenUp: a server that goes on answering holds nobody up for ever.
func TestAnAnswerByTheByteIsGivenUp(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, " "); err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}))
	defer srv.Close()
	env := port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Lookup: func(string) (string, bool) { return "", false }}
	c := New(Options{URL: srv.URL, Env: env, Pace: dial.Pace{Window: time.Minute, Least: 1, Whole: 200 * time.Millisecond}})
	err := c.Get(t.Context(), "experiments/get", nil, nil)
	if fault.Of(err) != fault.Transient || fault.HintOf(err) == "" || !strings.Contains(err.Error(), "to its end") {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}
}

// TestAListWithoutAnEndIsAnError: what is missing on it would be written a second time.
func TestAListWithoutAnEndIsAnError(t *testing.T) {
	asked := 0
	err := Paged("runs", func(string) (string, error) {
		asked++
		return string(rune('a' + asked%2)), nil
	})
	if fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" || asked != MostPages {
		t.Errorf("%d pages, %v", asked, err)
	}
}
