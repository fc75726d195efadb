// A release is tried beside the one that serves: with its part of the requests, through crashes, until it is
// promoted or the old one has all of them again.

package server

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func (s *stage) split(r port.Release, weight int) port.Live {
	s.t.Helper()
	l, err := s.server.(port.Splitter).Split(s.t.Context(), r, port.Part{Weight: weight})
	if err != nil {
		s.t.Fatalf("split %d: %v", weight, err)
	}
	if l.Beside == nil || l.Beside.Key != r.Key || l.Beside.Weight != weight {
		s.t.Fatalf("split %d: %+v", weight, l.Beside)
	}
	return l
}

func (s *stage) join(r port.Release, promote bool) {
	s.t.Helper()
	if _, err := s.server.(port.Splitter).Join(s.t.Context(), r.Name, port.Trial{Key: r.Key}, promote); err != nil {
		s.t.Fatalf("join, promoted %v: %v", promote, err)
	}
}

// answers counts what n requests to path are answered by.
func (s *stage) answers(l port.Live, path string, n int) map[string]int {
	s.t.Helper()
	by := map[string]int{}
	for range n {
		by[s.get(l, path)]++
	}
	return by
}

func TestAReleaseIsTriedBesideTheOneThatServes(t *testing.T) {
	s := newStage(t)
	one, two := s.release("one", "1"), s.release("one", "2")
	l := s.apply(one)
	old := s.get(l, "/pid")
	l = s.split(two, 20)
	if got := s.observe("one"); got.Key != one.Key || got.Health != port.Ready || got.Beside == nil || got.Beside.Health != port.Ready {
		t.Fatalf("it serves %+v, and tries %+v", got, got.Beside)
	}
	if by := s.answers(l, "/version", 400); by["2"] < 40 || by["2"] > 140 || by["1"] != 400-by["2"] {
		t.Errorf("of 400 requests, 20 per cent to the canary: %v", by)
	}
	if by := s.answers(l, "/pid", 100); len(by) != 3 || by[old] == 0 {
		t.Errorf("stable, baseline and canary are processes of their own: %v", by)
	}
	now := s.observe("one").Beside
	if now.Canary.Requests < 40 || now.Baseline.Requests < 40 || now.Canary.Failed != 0 {
		t.Errorf("counted: %+v", now)
	}

	// Another weight begins no process anew, and no count.
	before := s.answers(l, "/pid", 100)
	s.split(two, 60)
	if got := s.observe("one").Beside; got.Canary.Requests < now.Canary.Requests || !got.Since.Equal(now.Since) {
		t.Errorf("with another weight it counts anew: %+v", got)
	}
	for pid := range s.answers(l, "/pid", 100) {
		if before[pid] == 0 {
			t.Errorf("with another weight there is another process, %s", pid)
		}
	}
	older := *now
	older.Since = now.Since.Add(-time.Minute)
	if _, err := s.server.(port.Splitter).Join(t.Context(), "one", older, false); fault.Of(err) != fault.Conflict || s.observe("one").Beside == nil {
		t.Errorf("with the trial before, another of the same release ends: %v", err)
	}
	s.join(two, true)
	if by := s.answers(l, "/version", 100); by["2"] != 100 {
		t.Errorf("promoted: %v", by)
	}
	if got := s.observe("one"); got.Key != two.Key || got.Beside != nil {
		t.Errorf("promoted: %+v", got)
	}
	s.until("the old release is gone", func() bool { return !lives(old) })
	s.join(two, true) // doing it twice is once
	if _, err := s.server.(port.Splitter).Join(t.Context(), "one", port.Trial{Key: two.Key}, false); fault.Of(err) != fault.Conflict || s.observe("one").Key != two.Key {
		t.Errorf("what serves all goes back: %v", err)
	}
	s.killHost()
	if l := s.apply(two); s.get(l, "/version") != "2" || s.observe("one").Beside != nil {
		t.Errorf("after a crash: %+v", s.observe("one"))
	}
}

// TestACrashFindsTheWeightsAsTheyWere: of the host, with what was counted; of the canary, without losing a request.
func TestACrashFindsTheWeightsAsTheyWere(t *testing.T) {
	s := newStage(t)
	one, two := s.release("one", "1"), s.release("one", "2", "marker=tried")
	s.apply(one)
	l := s.split(two, 30)
	s.answers(l, "/version", 200)
	was := s.observe("one").Beside
	s.until("the counts are recorded", func() bool {
		raw, err := os.ReadFile(folder(s.dir).trial("one"))
		return err == nil && strings.Contains(string(raw), "requests")
	})
	time.Sleep(2 * countsEvery)
	s.killHost()
	l = s.apply(one) // a controller brings back what serves; what is tried comes with it
	s.until("what was tried is back", func() bool { b := s.observe("one").Beside; return b != nil && b.Health == port.Ready })
	now := s.observe("one").Beside
	if now.Key != two.Key || now.Weight != 30 || !now.Since.Equal(was.Since) || now.Canary.Requests != was.Canary.Requests || now.Baseline.Requests != was.Baseline.Requests {
		t.Errorf("after a crash: %+v, and it was %+v", now, was)
	}
	stop := load(l.URL)
	for _, pid := range running("tiny", "2", "marker=tried") {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(300 * time.Millisecond)
	if asked, lost := stop(); len(lost) > 8 { // one a sender: what was under way in the process that was killed cannot be sent twice
		t.Errorf("%d of %d requests lost, the first: %v", len(lost), asked, lost[0])
	}
	s.until("both are back", func() bool { return len(s.answers(l, "/pid", 60)) == 3 })
	s.join(two, false)
}

func TestTheOldReleaseIsBackWithinTenSeconds(t *testing.T) {
	s := newStage(t)
	one, two := s.release("one", "1"), s.release("one", "2")
	s.apply(one)
	l := s.split(two, 100)
	if by := s.answers(l, "/version", 20); by["2"] != 20 {
		t.Fatalf("at 100 per cent: %v", by)
	}
	began := time.Now()
	s.join(two, false)
	by := s.answers(l, "/version", 20)
	took := time.Since(began)
	if by["1"] != 20 || took > 10*time.Second {
		t.Errorf("after %s: %v", took, by)
	}
	t.Logf("the old release had all requests after %s", took)
	s.join(two, false)
	if got := s.observe("one"); got.Key != one.Key || got.Beside != nil {
		t.Errorf("it is over: %+v", got)
	}
	if _, err := s.server.(port.Splitter).Join(t.Context(), "one", port.Trial{Key: two.Key}, true); fault.Of(err) != fault.Conflict {
		t.Errorf("what is not tried any more is promoted: %v", err)
	}
}

// TestNoRequestIsLostInATrial: not at its beginning, at another weight, at its promotion, nor at its end.
func TestNoRequestIsLostInATrial(t *testing.T) {
	s := newStage(t)
	one, two, three := s.release("one", "1"), s.release("one", "2"), s.release("one", "3")
	stop := load(s.apply(one).URL)
	for _, weight := range []int{1, 50, 100, 20} {
		s.split(two, weight)
	}
	s.join(two, true)
	s.split(three, 50)
	s.join(three, false)
	s.split(one, 30)
	s.apply(three)
	asked, lost := stop()
	if len(lost) > 0 || asked < 100 {
		t.Errorf("%d of %d requests lost, the first: %s", len(lost), asked, strings.Join(lost[:min(1, len(lost))], ""))
	}
}

// TestWhatCannotBeTriedChangesNothing: a release that does not start, one beside nothing, a record that somebody wrote.
func TestWhatCannotBeTriedChangesNothing(t *testing.T) {
	s := newStage(t)
	one, two := s.release("one", "1"), s.release("one", "2")
	try := s.server.(port.Splitter)
	if _, err := try.Split(t.Context(), two, port.Part{Weight: 10}); fault.Of(err) != fault.Missing {
		t.Errorf("beside nothing: %v", err)
	}
	l := s.apply(one)
	if _, err := try.Split(t.Context(), one, port.Part{Weight: 10}); fault.Of(err) != fault.Conflict {
		t.Errorf("what serves already: %v", err)
	}
	if _, err := try.Split(t.Context(), s.release("one", "bad", "exit"), port.Part{Weight: 10}); err == nil || !strings.Contains(err.Error(), "no such column") {
		t.Errorf("one that does not start: %v", err)
	}
	if _, err := try.Split(t.Context(), two, port.Part{Weight: 101}); fault.Of(err) != fault.Invalid {
		t.Errorf("more than all requests: %v", err)
	}
	if got := s.observe("one"); got.Key != one.Key || got.Beside != nil || s.get(l, "/version") != "1" {
		t.Errorf("it serves %+v", got)
	}

	moved := s.release("one", "moved")
	moved.Local.Port = 65535
	if _, err := try.Split(t.Context(), moved, port.Part{Weight: 10}); fault.Of(err) != fault.Invalid || !strings.Contains(fault.HintOf(err), "spec.rollout.canary") || s.observe("one").Beside != nil {
		t.Errorf("one at another port: %v", err)
	}
	stays := s.release("one", "stays")
	stays.Local.Port = s.recorded("one").Port
	s.split(stays, 10)
	s.split(two, 50)
	if _, err := try.Split(t.Context(), s.release("one", "bad", "exit"), port.Part{Weight: 10}); err == nil {
		t.Error("one that does not start is tried in place of another")
	}
	if got := s.observe("one").Beside; got == nil || got.Key != two.Key || got.Weight != 50 || got.Health != port.Ready {
		t.Errorf("after one that does not start, there is tried %+v", got)
	}
	four := s.release("one", "4")
	if by := s.answers(s.split(four, 100), "/version", 20); by["4"] != 20 {
		t.Errorf("one that starts, in place of another: %v", by)
	}

	said, _ := os.ReadFile(folder(s.dir).path("host.log"))
	if n := strings.Count(string(said), "not serving"); n != 0 {
		t.Errorf("what ended took %d processes of what is tried anew with it", n)
	}

	// Another intent ends what is tried.
	s.split(two, 50)
	three := s.release("one", "3")
	l = s.apply(three)
	if by := s.answers(l, "/version", 50); by["3"] != 50 || s.observe("one").Beside != nil {
		t.Errorf("another release: %v", by)
	}

	// Nobody gives a release a part of the requests by a file.
	s.split(two, 1)
	s.killHost()
	at := folder(s.dir).trial("one")
	raw, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(strings.Replace(string(raw), `"weight": 1`, `"weight": 100`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	l = s.apply(three)
	if by := s.answers(l, "/version", 50); by["3"] != 50 || s.observe("one").Beside != nil {
		t.Errorf("a record that somebody changed: %v", by)
	}
	s.apply(port.Release{Name: "one"})
	if left := s.observe("one"); left != (port.Live{}) {
		t.Errorf("retired: %+v", left)
	}
}
