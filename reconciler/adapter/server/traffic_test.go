// Several releases have their parts of the requests, and none is lost where one of them does not answer.

package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog"
)

// trio is a proxy before a stable release, its baseline and a canary, each of which answers its name.
type trio struct {
	t     *testing.T
	gate  *trafficSwitch
	proxy *proxy
	front *httptest.Server
	units map[string]*instance
	ends  map[string]*httptest.Server
	bad   atomic.Bool // the canary answers 500
}

func newTrio(t *testing.T) *trio {
	t.Helper()
	s := &trio{t: t, gate: newGate(), units: map[string]*instance{}, ends: map[string]*httptest.Server{}}
	next := 0
	s.gate.draw = func(n int) int { next++; return next % n } // each hundred requests are divided as the weights say
	for _, arm := range []string{armStable, armBaseline, armCanary} {
		s.ends[arm] = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if arm == armCanary && s.bad.Load() {
				w.WriteHeader(http.StatusInternalServerError)
			}
			fmt.Fprintf(w, "{%q: 1}", arm)
		}))
		t.Cleanup(s.ends[arm].Close)
		at, err := url.Parse(s.ends[arm].URL)
		if err != nil {
			t.Fatal(err)
		}
		s.units[arm] = &instance{gate: s.gate, order: order{Key: digest.Of([]byte(arm))}}
		s.gate.seat(s.units[arm], newBackend(at.Host, digest.Of([]byte(arm)), digest.Of([]byte("model of "+arm)), (&net.Dialer{}).DialContext))
	}
	s.gate.point(s.units[armStable])
	s.proxy = newProxy(s.gate, func() time.Duration { return time.Second }, func() (time.Duration, Limits) { return time.Minute, Limits{}.filled() }, testEnv().Log)
	s.front = httptest.NewServer(s.proxy)
	t.Cleanup(s.front.Close)
	return s
}

// split has canary and baseline answer so many of a hundred requests each.
func (s *trio) split(weight int) {
	s.gate.split([]part{{s.units[armCanary], armCanary, weight}, {s.units[armBaseline], armBaseline, weight}})
}

// ask sends n requests, and tells how many each arm answered, and how many were answered badly.
func (s *trio) ask(n int) (by map[string]int, bad int) {
	s.t.Helper()
	by = map[string]int{}
	for range n {
		a, err := http.Post(s.front.URL, "application/json", strings.NewReader("{}"))
		if err != nil {
			s.t.Fatal(err)
		}
		body, err := io.ReadAll(a.Body)
		a.Body.Close()
		if err != nil {
			s.t.Fatal(err)
		}
		if a.StatusCode != http.StatusOK {
			bad++
		}
		for arm := range s.units {
			if strings.Contains(string(body), arm) {
				by[arm]++
				if got := a.Header.Get(HeaderRelease); got != string(digest.Of([]byte(arm))) {
					s.t.Errorf("%s answers as release %s", arm, got)
				}
			}
		}
	}
	return by, bad
}

func (s *trio) counted(arm string) string {
	a := s.gate.asked(arm)
	return fmt.Sprint(a.Failed, " of ", a.Requests)
}

func TestEachReleaseHasItsPartOfTheRequests(t *testing.T) {
	s := newTrio(t)
	if by, _ := s.ask(100); by[armStable] != 100 {
		t.Errorf("alone: %v", by)
	}
	s.split(5)
	if by, bad := s.ask(200); by[armCanary] != 10 || by[armBaseline] != 10 || by[armStable] != 180 || bad != 0 {
		t.Errorf("5 per cent: %v, %d bad", by, bad)
	}
	s.bad.Store(true)
	s.split(30)
	if by, bad := s.ask(100); by[armCanary] != 30 || by[armBaseline] != 30 || bad != 30 {
		t.Errorf("30 per cent: %v, %d bad", by, bad)
	}
	if c, b := s.counted(armCanary), s.counted(armBaseline); c != "30 of 40" || b != "0 of 40" {
		t.Errorf("the canary failed %s, its baseline %s", c, b) // a change of weights is no new beginning
	}
	s.split(0) // the old release is back
	if by, bad := s.ask(100); by[armStable] != 100 || bad != 0 {
		t.Errorf("none: %v, %d bad", by, bad)
	}
	s.gate.split(nil)
	if c := s.counted(armCanary); c != "0 of 0" {
		t.Errorf("of a rollout that is over there is still counted %s", c)
	}
}

// TestARequestThatACanaryDoesNotTakeIsAnsweredAllTheSame: by the release that serves; and it counts against the canary.
func TestARequestThatACanaryDoesNotTakeIsAnsweredAllTheSame(t *testing.T) {
	s := newTrio(t)
	s.split(50)
	s.gate.seat(s.units[armCanary], nil) // it has ended, and is begun anew
	if by, bad := s.ask(100); by[armStable] != 50 || by[armBaseline] != 50 || bad != 0 {
		t.Errorf("without a process: %v, %d bad", by, bad)
	}
	if c := s.counted(armCanary); c != "50 of 50" {
		t.Errorf("the canary failed %s", c)
	}
	r := newTrio(t)
	r.split(50)
	r.ends[armCanary].Close() // it refuses
	by, bad := r.ask(100)
	if bad != 0 || by[armCanary] != 0 || by[armStable]+by[armBaseline] != 100 {
		t.Errorf("one that refuses: %v, %d bad", by, bad)
	}
	if a := r.gate.asked(armCanary); a.Requests != a.Failed || a.Failed < 30 {
		t.Errorf("the canary failed %d of %d", a.Failed, a.Requests)
	}
}

// armsIn counts the rows of a log by their arm.
func armsIn(t *testing.T, dir string) map[string]int {
	t.Helper()
	objects, err := bucket.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := predictionlog.Read(t.Context(), objects, predictionlog.Query{})
	defer r.Close()
	by := map[string]int{}
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return by
		}
		if err != nil {
			t.Fatal(err)
		}
		by[string(row.Cells[slices.Index(r.Columns(), predictions.ColumnArm)])]++
	}
}

// TestTheLogSaysWhichArmAnswered: so that releases can be compared by it.
// TestAReleaseWithoutRequestsAnswersWhoAsksForIt: before a switch and after it, and it is not counted; elsewhere nobody chooses who answers.
func TestAReleaseWithoutRequestsAnswersWhoAsksForIt(t *testing.T) {
	s := newTrio(t)
	asked := func(arm string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.front.URL, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(HeaderRelease, string(digest.Of([]byte(arm))))
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		body, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSuffix(strings.TrimPrefix(string(body), `{"`), `": 1}`)
	}
	switched := func(weight int) {
		s.gate.split([]part{{s.units[armCanary], armCanary, weight}, {s.units[armBaseline], armBaseline, min(weight, whole-weight)}})
	}
	if by := asked(armCanary); by != armStable {
		t.Errorf("what is not there is answered by %s", by)
	}
	switched(0)
	if by, _ := s.ask(50); by[armStable] != 50 {
		t.Errorf("before the switch: %v", by)
	}
	if by := asked(armCanary); by != armCanary {
		t.Errorf("before the switch, the new one is asked for, and %s answers", by)
	}
	s.ends[armCanary].Close()
	// A connection to it from before may be found closed only once the request is written: then it may have been carried out.
	if by := asked(armCanary); strings.Contains(by, armStable) || !strings.Contains(by, "not running") && !strings.Contains(by, "ended before it answered") {
		t.Errorf("another answers for one that is asked for: %q", by)
	}
	if got := s.counted(armCanary); got != "0 of 0" {
		t.Errorf("what it is tried by counts: %s", got)
	}
	switched(20)
	if by := asked(armCanary); by != armStable && by != armBaseline {
		t.Errorf("who has a part of the requests is chosen by who asks: %q", by)
	}
	s = newTrio(t)
	switched(100)
	if by, _ := s.ask(50); by[armCanary] != 50 {
		t.Errorf("after the switch: %v", by)
	}
	if by := asked(armStable); by != armStable {
		t.Errorf("after the switch, the old one is asked for, and %s answers", by)
	}
}

func TestTheLogSaysWhichArmAnswered(t *testing.T) {
	s := newTrio(t)
	dir := t.TempDir()
	log, err := predictionlog.Open(predictionlog.Options{Dir: dir, Secret: []byte("s"), Every: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	s.proxy.logs.Store(log)
	s.ask(2)
	s.split(25)
	s.ask(100)
	s.split(0)
	if r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.front.URL, strings.NewReader("{}")); err != nil {
		t.Fatal(err)
	} else {
		r.Header.Set(HeaderRelease, string(digest.Of([]byte(armCanary))))
		a, err := http.DefaultClient.Do(r)
		if err != nil || a.Body.Close() != nil || a.Header.Get(HeaderRelease) != string(digest.Of([]byte(armCanary))) {
			t.Fatalf("%v, %v", a, err)
		}
	}
	log.Close()
	by := armsIn(t, dir)
	if by[armOnly] != 2 || by[armCanary] != 25 || by[armBaseline] != 25 || by[armStable] != 50 || len(by) != 4 { // and who was asked for by its key is none of them
		t.Errorf("logged: %v", by)
	}
}
