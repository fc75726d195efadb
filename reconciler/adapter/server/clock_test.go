// Clocks of what serves: a trial goes by the host's alone.

package server

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// TestClocksOfWhatIsComparedCountForNothing: a canary whose clock is hours ahead of the baseline's is no younger, no slower, and in no other window of the
// log: the host has the time of both, and the answers say theirs.
func TestClocksOfWhatIsComparedCountForNothing(t *testing.T) {
	s := newStage(t)
	log := schemas.PredictionLog{Every: "100ms"}
	one, two := s.release("one", "1", "clock=-5h"), s.release("one", "2", "clock=3h")
	one.Log, two.Log = &port.PredictionLog{PredictionLog: log}, &port.PredictionLog{PredictionLog: log}
	s.apply(one)
	began := time.Now()
	l := s.split(two, 50)
	if since := s.observe("one").Beside.Since; since.Before(began.Add(-time.Second)) || since.After(time.Now()) {
		t.Errorf("it is tried since %v, and was begun at %v", since, began)
	}
	const asked = 100
	for i := range asked {
		if status, _ := s.ask(l, "/echo", fmt.Sprintf(`{"id":"id-%d","instances":[{"x":1}],"predictions":[{"class":1}]}`, i)); status != 200 {
			t.Fatalf("request %d: %d", i, status)
		}
	}
	b := s.observe("one").Beside
	if b.Canary.Requests == 0 || b.Baseline.Requests == 0 || b.Canary.Requests+b.Baseline.Requests > asked {
		t.Errorf("counted: %+v", b)
	}
	s.until("all is written", func() bool { return len(s.rows("id")) >= asked })
	ended, arms := time.Now(), map[string]int64{}
	for _, row := range s.rows("arm", "time", "latency") {
		cells := strings.Fields(row)
		at, known := predictionlog.ParseTime([]byte(cells[1]))
		if !known || at.Before(began.Add(-time.Second)) || at.After(ended) {
			t.Errorf("a row of %s is of %v, between %v and %v", cells[0], at, began, ended)
		}
		if took, err := strconv.ParseFloat(cells[2], 64); err != nil || took < 0 || took > ended.Sub(began).Seconds() {
			t.Errorf("an answer of %s took %s s", cells[0], cells[2])
		}
		arms[cells[0]]++
	}
	if arms[port.ArmCanary] != b.Canary.Requests || arms[port.ArmBaseline] != b.Baseline.Requests {
		t.Errorf("logged %v, and counted %d and %d", arms, b.Canary.Requests, b.Baseline.Requests)
	}
	s.join(two, false)
}
