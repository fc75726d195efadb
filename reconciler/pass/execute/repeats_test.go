// The laws of what fails again and again, over simulated hours: an entry an hour with
// the count, whatever fails, in whatever words, and however often it is tried.

package execute

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass/repeats"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func TestWhatFailsForHoursIsAnEntryAnHour(t *testing.T) {
	const hours, every = 4, 3 * time.Minute
	denied := fault.New(fault.Denied, "open key: the password does not open build.key")
	for name, c := range map[string]struct {
		ref  string
		fail func(s *shop, n int)
		most int // entries an hour
	}{
		"a pin":        {"dataset/d", func(s *shop, n int) { s.pin = fault.New(fault.Transient, "GET /data: 503") }, 1},
		"a deployment": {"deployment/a", func(s *shop, n int) { s.serve = fault.New(fault.Conflict, "port 80 is taken") }, 1},
		"a signature":  {"model/a", func(s *shop, n int) { s.sign = denied }, 1},
		"a training's environment": {"transform/a", func(s *shop, n int) {
			s.results["transform/a"] = []port.Result{{Cause: port.BadEnv, Message: fmt.Sprintf("no network after %d s", n)}}
		}, 1},
		"one in ever other words": {"dataset/d", func(s *shop, n int) {
			s.pin = fault.New(fault.Invalid, "row %s is odd", strings.Repeat("x", n+1))
		}, repeats.MostWays},
		"a refusal": {"model/a", func(s *shop, n int) {
			s.deny[ref("model/a")] = ledger.Finding{Rule: "model/gate", Level: ledger.Denied, Ref: ref("model/a"), Message: "auc " + strings.Repeat("x", n%2)}
		}, 2},
	} {
		for _, pull := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, pull %v", name, pull), func(t *testing.T) {
				s := newShop()
				s.pull, s.repeats = pull, &repeats.Known{}
				tries := 0
				for ; s.passed < hours*time.Hour; s.passed += every {
					c.fail(s, tries)
					o := s.run(t)[c.ref]
					if o.Seq == 0 {
						t.Fatalf("a try that has no entry: %+v", o)
					}
					tries++
				}
				counted, entries := 0, 0
				for _, e := range s.entries {
					if e.Ref.String() != c.ref || e.Failure == nil && e.Action != ledger.Deny {
						continue
					}
					entries++
					if e.Failure != nil {
						counted += max(1, e.Failure.Times)
					}
				}
				if entries < hours || entries > (hours+1)*c.most {
					t.Errorf("%d tries in %d hours are %d entries", tries, hours, entries)
				}
				if counted > tries || c.most == 1 && counted < tries-int(time.Hour/every) {
					t.Errorf("of %d tries, the entries count %d", tries, counted)
				}
			})
		}
	}
}

// TestManyPullRequestsThatFailDoNotPushEachOtherOut: each has its entry an hour, though
// the ledger's facts keep only the newest of them.
func TestManyPullRequestsThatFailDoNotPushEachOtherOut(t *testing.T) {
	s := newShop()
	s.repeats = &repeats.Known{}
	s.pin = fault.New(fault.Transient, "503")
	for range 20 {
		for n := range 30 {
			s.pull, s.number = true, n+1
			s.run(t)
		}
		s.passed += time.Minute
	}
	if n := s.actions("dataset/d")[ledger.Fail]; n != 30 {
		t.Errorf("%d entries for 30 pull requests", n)
	}
}

// TestWithoutAMemoryTheLedgerIsAsked: a job a try, as in CI, writes an entry an hour too.
func TestWithoutAMemoryTheLedgerIsAsked(t *testing.T) {
	s := newShop()
	for n := range 40 { // ten hours
		s.serve = fault.New(fault.Invalid, "exit status %d", n)
		s.run(t)
		s.passed += 15 * time.Minute
	}
	if n := s.actions("deployment/a")[ledger.Fail]; n != 10 {
		t.Errorf("%d entries in ten hours", n)
	}
	if n := len(s.facts.Stuck); n != 1 {
		t.Errorf("the facts keep %d of one failure", n)
	}
}
