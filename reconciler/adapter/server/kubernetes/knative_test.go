// What people rely on when KServe serves by Knative, on a stand-in that follows the code of KServe 0.15 and the rules of Knative.

package kubernetes

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

// revises is a release of the target kserve in its Knative mode.
func (s *stage) revises(name, version string, how ...string) port.Release {
	s.t.Helper()
	r := s.infers(name, version, how...)
	r.KServe.Mode = schemas.KServeKnative
	return r
}

// onKnative is a stage whose requests Knative divides.
func onKnative(t *testing.T, options ...func(*kubetest.Options)) *stage {
	s := onDouble(t, options...)
	s.client = &http.Client{Timeout: 10 * time.Second, Transport: s.double.Mesh(func(host string) string {
		name, _, _ := strings.Cut(host, ".")
		name, _ = strings.CutSuffix(name, predictor)
		return s.double.Revision(name, int(s.asked.Add(1)-1)*37)
	})}
	return s
}

func TestKnativeKeepsTheServersPromises(t *testing.T) {
	porttest.Server(t, func(t *testing.T) porttest.Serving {
		t.Parallel()
		s := onKnative(t)
		return s.serving(s.revises)
	})
}

func (s *stage) byKnative(n int) map[string]int {
	s.t.Helper()
	out := map[string]int{}
	for range n {
		out[s.ask(port.Live{URL: "http://one-predictor." + kubetest.Namespace + ".svc"}, "/")]++
	}
	return out
}

func TestRevisionsAreTriedByTheirPercent(t *testing.T) {
	t.Parallel()
	porttest.Splitter(t, func(t *testing.T) porttest.Splitting {
		s := onKnative(t)
		out := s.splitting(s.revises, s.byKnative, func() int { return max(len(s.double.Objects("deployments")), len(s.double.Objects("secrets"))) })
		out.Most = 90
		return out
	})
}

// TestWhatIsNotExposedIsReachedWithinTheClusterAlone: by whatever KServe makes a way in of, from its first release on, and once it is exposed no more.
func TestWhatIsNotExposedIsReachedWithinTheClusterAlone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		on func(t *testing.T, options ...func(*kubetest.Options)) *stage
		by func(s *stage, name, version string, how ...string) port.Release
		of int // addresses
	}{"standard": {onDouble, (*stage).infers, 1}, "knative": {onKnative, (*stage).revises, 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := c.on(t)
			apply := func(version string, expose bool) {
				t.Helper()
				r := c.by(s, "one", version)
				r.KServe.Expose = expose
				s.apply(r)
				s.until("its addresses are as it is declared", func() bool {
					var is struct {
						Status struct {
							URL        string
							Components struct{ Predictor struct{ URL string } }
						}
					}
					if err := json.Unmarshal([]byte(s.double.Objects("inferenceservices")["one"]), &is); err != nil {
						t.Fatal(err)
					}
					n := 0
					for _, at := range []string{is.Status.URL, is.Status.Components.Predictor.URL} {
						if at != "" && strings.Contains(at, ".svc.cluster.local") != expose {
							n++
						}
					}
					return n == c.of
				})
			}
			apply("1", false)
			apply("2", true)
			apply("3", false)
			if l := s.observe("one"); l.Health != port.Ready || l.Message != "" {
				t.Errorf("it is %+v", l)
			}
		})
	}
}

func TestKnativeIsAskedForNothingThatItRefuses(t *testing.T) {
	t.Parallel()
	s := onKnative(t)
	packed := s.revises("one", "1")
	packed.Package = packageOf("1")
	s.refused(packed, fault.Invalid, "which Knative does not do", "remove package")
	s.refused(s.revises(strings.Repeat("n", 49), "1"), fault.Invalid, "longer than the 48 letters that KServe has room for", "shorten it")
	s.apply(s.revises("one", "1"))
	try := s.server.(port.Splitter)
	if _, err := try.Split(t.Context(), s.revises("one", "2"), port.Part{Weight: 100}); err == nil || !strings.Contains(err.Error(), "nothing could go back at once") {
		t.Errorf("with all requests: %v", err)
	}
	s = onKnative(t, func(o *kubetest.Options) { o.NoInit = true })
	r := s.revises("one", "1")
	r.Timeout = time.Second
	s.refused(r, fault.Invalid, "KServe has not taken notice of it yet", "kubernetes.podspec-init-containers: enabled")
	s = onDouble(t)
	s.apply(s.infers("one", "1"))
	if _, err := s.server.(port.Splitter).Split(t.Context(), s.revises("one", "2"), port.Part{Weight: 10}); err == nil || fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "Standard mode") {
		t.Errorf("next to one of the other mode: %v", err)
	}
	if _, err := s.server.(port.Splitter).Split(t.Context(), s.infers("one", "2"), port.Part{Weight: 10}); err == nil || !strings.Contains(fault.HintOf(err), "expose: true") {
		t.Errorf("without a route: %v (%s)", err, fault.HintOf(err))
	}
	if _, err := s.server.(port.Splitter).Split(t.Context(), s.exposed("one", "2"), port.Part{Weight: 10}); err == nil || fault.Of(err) != fault.Invalid || !strings.Contains(fault.HintOf(err), "0.20") {
		t.Errorf("in the Standard mode of an older version: %v (%s)", err, fault.HintOf(err))
	}
	if l := s.observe("one"); l.Health != port.Ready || l.Beside != nil {
		t.Errorf("what serves is %+v", l)
	}
}

// exposed is a release of the target kserve in its Standard mode that is reached by a route.
func (s *stage) exposed(name, version string, how ...string) port.Release {
	s.t.Helper()
	r := s.infers(name, version, how...)
	r.KServe.Expose = true
	return r
}

func TestCanariesAreTriedByTheRouteOfKServe(t *testing.T) {
	t.Parallel()
	porttest.Splitter(t, func(t *testing.T) porttest.Splitting {
		s := onDouble(t, func(o *kubetest.Options) { o.Canaries = true })
		return s.splitting(s.exposed, s.by, func() int { return max(len(s.double.Objects("deployments")), len(s.double.Objects("secrets"))) })
	})
}

// TestARevisionThatIsTriedNeverHasMoreThanItsPart: not while it goes back, nor while another release takes over, though Knative would send all
// requests to the newest revision that is ready.
func TestARevisionThatIsTriedNeverHasMoreThanItsPart(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(s *stage, two port.Release) error{
		"it goes back": func(s *stage, two port.Release) error {
			_, err := s.server.(port.Splitter).Join(t.Context(), "one", port.Trial{Key: two.Key}, false)
			return err
		},
		"another takes over": func(s *stage, _ port.Release) error {
			_, err := s.server.Apply(t.Context(), s.revises("one", "3"))
			return err
		},
		"another does not become ready": func(s *stage, _ port.Release) error {
			if _, err := s.server.Apply(t.Context(), s.revises("one", "3", "exit")); err == nil {
				return fmt.Errorf("it became ready")
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := onKnative(t)
			two := s.revises("one", "2")
			s.apply(s.revises("one", "1"))
			s.split(two, 30)
			done := make(chan int)
			over := make(chan struct{})
			go func() {
				most := 0
				for {
					had := 0
					for n := range 100 {
						if s.double.Revision("one", n) == "one-predictor-00002" {
							had++
						}
					}
					most = max(most, had)
					select {
					case <-over:
						done <- most
						return
					case <-time.After(time.Millisecond):
					}
				}
			}()
			if err := end(s, two); err != nil {
				t.Fatal(err)
			}
			s.until("its pods are gone", func() bool { return len(s.double.Objects("deployments")) == 1 })
			close(over)
			if most := <-done; most != 30 {
				t.Errorf("it had %d %% of the requests", most)
			}
			if l := s.observe("one"); l.Health != port.Ready || l.Beside != nil || l.Message != "" {
				t.Errorf("it is %+v", l)
			}
		})
	}
}
