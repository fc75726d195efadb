// A server that knows no label yet, or says so of one that it has.

package tfserving

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// TestALabelThatTheServerDoesNotHaveYetIsWaitedFor: it answers 404 for one until it has read its config, and 400 where it is older. A release is not
// told as served before that, and where it never comes, what served stays loaded and the next apply goes on.
func TestALabelThatTheServerDoesNotHaveYetIsWaitedFor(t *testing.T) {
	for _, code := range []int{http.StatusNotFound, http.StatusBadRequest} {
		s := newStage(t)
		to, err := url.Parse(s.double.URL)
		if err != nil {
			t.Fatal(err)
		}
		var left atomic.Int64
		through := httputil.NewSingleHostReverseProxy(to)
		between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/labels/") && left.Add(-1) >= 0 {
				http.Error(w, `{"error": "Unrecognized servable version label: stable"}`, code)
				return
			}
			through.ServeHTTP(w, r)
		}))
		t.Cleanup(between.Close)
		s.url = between.URL
		s.begin()
		one, two, three := s.release("one", "1"), s.release("one", "2"), s.release("one", "3")
		left.Store(3)
		l := s.apply(one)
		if left.Load() >= 0 || !strings.Contains(s.ask(l), `"1"`) {
			t.Errorf("%d: it is told as served with %d answers to come", code, left.Load())
		}
		left.Store(5)
		s.apply(two)
		if left.Load() >= 0 || !strings.Contains(s.ask(l), `"2"`) {
			t.Errorf("%d: the second is told as served with %d answers to come", code, left.Load())
		}
		left.Store(1 << 40)
		three.Timeout = time.Second
		if _, err := s.server.Apply(t.Context(), three); fault.Of(err) != fault.Transient || err == nil || !strings.Contains(err.Error(), "label stable leads to version 3") || !strings.Contains(fault.HintOf(err), "--model_config_file_poll_wait_seconds") {
			t.Errorf("%d: for ever: %v (%s)", code, err, fault.HintOf(err))
		}
		if now := s.observe("one"); now.Key != two.Key || now.Health == port.Ready {
			t.Errorf("%d: without its label it stands as %+v", code, now)
		}
		if loaded := s.double.Loaded("one"); len(loaded) != 2 {
			t.Errorf("%d: loaded are %v", code, loaded)
		}
		left.Store(0)
		if l := s.apply(three); l.Key != three.Key || !strings.Contains(s.ask(l), `"3"`) {
			t.Errorf("%d: once it has the label it is %+v", code, l)
		}
	}
}
