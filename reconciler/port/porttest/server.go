// What every Server must keep, whichever tool serves.

package porttest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Serving is a Server that serves nothing yet, with releases to try it with.
type Serving struct {
	Server port.Server
	// Good makes a release that answers 200 at its readiness path; each version is a
	// key of its own.
	Good func(name, version string) port.Release
	// Broken makes a release that ends before it is ready.
	Broken func(name, version string) port.Release
	// Hung makes a release that never becomes ready and has an hour to do so.
	Hung func(name, version string) port.Release
	// Client reaches what is served where that is not this machine; nil is the usual one.
	Client *http.Client
}

func (s Serving) client() *http.Client {
	if s.Client == nil {
		return http.DefaultClient
	}
	return s.Client
}

// Server runs the suite; fresh makes a Server for each test.
func Server(t *testing.T, fresh func(t *testing.T) Serving) {
	ctx := context.Background()
	apply := func(t *testing.T, s Serving, r port.Release) port.Live {
		t.Helper()
		return Serve(t, s.Server, r)
	}
	observe := func(t *testing.T, s Serving, name string) port.Live {
		t.Helper()
		return Look(t, s.Server, name)
	}
	retire := func(t *testing.T, s Serving, name string) {
		t.Helper()
		if l := apply(t, s, port.Release{Name: name}); l != (port.Live{}) {
			t.Fatalf("Apply without a target returned %+v, want nothing", l)
		}
	}
	tests := map[string]func(t *testing.T, s Serving){
		"NoneIsTheZeroLive": func(t *testing.T, s Serving) {
			if l := observe(t, s, "one"); l != (port.Live{}) {
				t.Fatalf("nothing is served and Observe says %+v", l)
			}
		},
		"WhatIsAppliedAnswers": func(t *testing.T, s Serving) {
			r := s.Good("one", "1")
			l := apply(t, s, r)
			if l.Key != r.Key || l.Model != r.Model.Digest || l.Health != port.Ready || l.Since.IsZero() {
				t.Fatalf("Apply returned %+v", l)
			}
			answers(t, s, l, r)
			if seen := observe(t, s, "one"); seen.Key != l.Key || seen.URL != l.URL || seen.Health != port.Ready || !seen.Since.Equal(l.Since) {
				t.Fatalf("Observe says %+v, Apply said %+v", seen, l)
			}
		},
		"TwiceIsOnce": func(t *testing.T, s Serving) {
			r := s.Good("one", "1")
			first := apply(t, s, r)
			second := apply(t, s, r)
			if second.URL != first.URL || second.Restarts != 0 || !second.Since.Equal(first.Since) {
				t.Fatalf("the same release twice: %+v, then %+v", first, second)
			}
		},
		"TheNewTakesTheOldsPlace": func(t *testing.T, s Serving) {
			old := apply(t, s, s.Good("one", "1"))
			r := s.Good("one", "2")
			l := apply(t, s, r)
			if l.Key != r.Key || l.URL != old.URL {
				t.Fatalf("%+v after %+v: want the new key at the same URL", l, old)
			}
			answers(t, s, l, r)
		},
		"AFailedReleaseLeavesTheOldServing": func(t *testing.T, s Serving) {
			r := s.Good("one", "1")
			old := apply(t, s, r)
			_, err := s.Server.Apply(ctx, s.Broken("one", "2"))
			if err == nil || fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
				t.Fatalf("a release that ends at once: %v, kind %s, way out %q", err, fault.Of(err), fault.HintOf(err))
			}
			if l := observe(t, s, "one"); l.Key != old.Key || l.Health != port.Ready || l.Restarts != 0 {
				t.Fatalf("after a failed release: %+v", l)
			}
			answers(t, s, old, r)
		},
		"AFailedFirstReleaseLeavesNothing": func(t *testing.T, s Serving) {
			if _, err := s.Server.Apply(ctx, s.Broken("one", "1")); err == nil {
				t.Fatal("a release that ends at once was applied")
			}
			if l := observe(t, s, "one"); l != (port.Live{}) {
				t.Fatalf("after a failed first release: %+v", l)
			}
		},
		"NamesAreApart": func(t *testing.T, s Serving) {
			one, two := s.Good("one", "1"), s.Good("two", "1")
			l1, l2 := apply(t, s, one), apply(t, s, two)
			if l1.URL == l2.URL {
				t.Fatalf("two names share %s", l1.URL)
			}
			retire(t, s, "one")
			answers(t, s, l2, two)
		},
		"WhatIsRetiredIsGone": func(t *testing.T, s Serving) {
			l := apply(t, s, s.Good("one", "1"))
			retire(t, s, "one")
			if seen := observe(t, s, "one"); seen != (port.Live{}) {
				t.Fatalf("after retiring: %+v", seen)
			}
			if a, err := s.client().Get(l.URL); err == nil {
				a.Body.Close()
				t.Fatalf("%s answers %s after retiring", l.URL, a.Status)
			}
			retire(t, s, "one")
		},
		"RetiringWhatIsNotThereIsDone": func(t *testing.T, s Serving) { retire(t, s, "one") },
		"CancellingReturnsAtOnce": func(t *testing.T, s Serving) {
			r := s.Good("one", "1")
			old := apply(t, s, r)
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			began := time.Now()
			_, err := s.Server.Apply(ctx, s.Hung("one", "2"))
			if fault.Of(err) != fault.Cancelled || time.Since(began) > 5*time.Second {
				t.Fatalf("cancelled after 1 s, Apply returned %v after %s", err, time.Since(began))
			}
			answers(t, s, old, r)
			done, stop := context.WithCancel(context.Background())
			stop()
			if _, err := s.Server.Apply(done, r); !errors.Is(err, context.Canceled) && fault.Of(err) != fault.Cancelled {
				t.Fatalf("Apply with a cancelled context: %v", err)
			}
		},
		"NoInputInAnError": func(t *testing.T, s Serving) {
			r := s.Broken("one", "1")
			r.Inputs = map[string][]byte{"serving": []byte(`{"password":"tell-nobody-4711"}`)}
			_, err := s.Server.Apply(ctx, r)
			if err == nil || strings.Contains(err.Error()+fault.HintOf(err), "tell-nobody-4711") {
				t.Fatalf("error: %v", err)
			}
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, fresh(t)) })
	}
}

// answers fails the test unless r answers where l says.
func answers(t *testing.T, s Serving, l port.Live, r port.Release) {
	t.Helper()
	a, err := s.client().Get(l.URL + r.Ready)
	if err != nil {
		t.Fatalf("ask %s: %v", l.URL, err)
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		t.Fatalf("%s answers %s", l.URL+r.Ready, a.Status)
	}
}
