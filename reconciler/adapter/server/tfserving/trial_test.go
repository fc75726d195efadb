// A release is tried next to the one that serves: by a label of its own, and by the deployment's once it is switched.

package tfserving

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

// watched is a stage whose server is asked through something that tells of each question, which comes after each change.
func watched(t *testing.T) (s *stage, each *atomic.Pointer[func()]) {
	t.Helper()
	s, each = newStage(t), &atomic.Pointer[func()]{}
	to, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := each.Load(); f != nil && r.Method == http.MethodGet {
			(*f)()
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	s.url = front.URL
	s.begin()
	return s, each
}

// label is where the deployment's label is asked, or another one.
func (s *stage) label(name string) port.Live {
	return port.Live{URL: address(s.double.URL, "one", name)}
}

func (s *stage) answers(n int) map[string]int {
	s.t.Helper()
	out := map[string]int{}
	for range n {
		out[strings.Trim(strings.TrimPrefix(s.ask(s.label("stable")), `{"predictions":`), `[]"}`)]++
	}
	return out
}

func TestVersionsAreTriedByTheirLabels(t *testing.T) {
	porttest.Splitter(t, func(t *testing.T) porttest.Splitting {
		s, each := watched(t)
		return porttest.Splitting{
			Server: s.server, Another: func() port.Server { return s.open("state", s.key) },
			Good: func(version string) port.Release { return s.release("one", version) },
			Broken: func(version string) port.Release {
				r := s.release("one", "exit")
				r.Key = digest.Of([]byte(version + "exit"))
				return r
			},
			Fails:   "Op type not registered",
			Answers: s.answers,
			Releases: func() int {
				all, err := filepath.Glob(filepath.Join(s.folder, "one", "[0-9]*"))
				if err != nil {
					t.Fatal(err)
				}
				return max(len(all), len(s.double.Loaded("one")))
			},
			Changes: func(f func()) (end func()) {
				each.Store(&f)
				return func() { each.Store(nil) }
			},
			Part: func(weight int) int { // all, or none
				if weight < 20 {
					return 0
				}
				return 100
			},
		}
	})
}

// TestWhatIsTriedIsAskedByItsLabel, before it has any requests; and a weight that no label can give is refused.
func TestWhatIsTriedIsAskedByItsLabel(t *testing.T) {
	s := newStage(t)
	s.apply(s.release("one", "1"))
	try := s.server.(port.Splitter)
	two := s.release("one", "2")
	if _, err := try.Split(t.Context(), two, port.Part{Weight: 30}); err == nil || fault.Of(err) != fault.Invalid || !strings.Contains(fault.HintOf(err), "blueGreen") {
		t.Errorf("30 per cent: %v", err)
	}
	if _, err := try.Split(t.Context(), two, port.Part{Shadow: &port.Shadow{Percent: 10}}); err == nil || fault.Of(err) != fault.Invalid {
		t.Errorf("a shadow: %v", err)
	}
	other := two
	other.TFServing = &port.TFServingRelease{TFServingTarget: two.TFServing.TFServingTarget}
	other.TFServing.Label = "live"
	if _, err := try.Split(t.Context(), other, port.Part{}); err == nil || fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "the label live") {
		t.Errorf("another label: %v", err)
	}
	if _, err := try.Split(t.Context(), two, port.Part{}); err != nil {
		t.Fatal(err)
	}
	if got := s.ask(s.label("canary")) + s.ask(s.label("stable")); !strings.Contains(got, `"2"`) || !strings.Contains(got, `"1"`) {
		t.Errorf("they answer %s", got)
	}
	for _, said := range s.double.Said() {
		t.Errorf("the server refused a config: %s", said)
	}
	// Another folder of models is no part of what was recorded.
	was := s.read("models.config")
	s.put("models.config", strings.Replace(was, s.folder+"/one", "/tmp/theirs", 1))
	if l := s.observe("one"); l.Health != port.Down || !strings.Contains(l.Message, "was changed") || l.Beside == nil {
		t.Errorf("its folder was changed by hand: %+v", l)
	}
	if l, err := s.server.(port.Reviver).Revive(t.Context(), "one", s.observe("one").Key); err != nil || l.Health != port.Ready || l.Beside == nil || l.Beside.Health != port.Ready || s.read("models.config") != was {
		t.Errorf("brought back: %+v, %v: %s", l, err, s.read("models.config"))
	}
}
