// Floods, counted over simulated hours: the controller at work with the real pass and
// the real conversation, while something fails all the time and webhooks arrive.

package controller

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vishwaops/vishwa/policy"
	"github.com/vishwaops/vishwa/reconciler/app/review"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass/repeats"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// village is a site of maps: a repository with one pull request, its ledger and forge.
type village struct {
	*town
	office  *review.Service
	repeats repeats.Known
	passes  map[string]int
	failed  map[string]int // steps that failed, by ref
}

func newVillage(t *testing.T) *village {
	v := &village{town: newTown(), passes: map[string]int{}, failed: map[string]int{}}
	v.office = &review.Service{
		Forge: &square{town: v.town}, Mirror: meadow{}, Open: v.house, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Failed: func(ref schemas.Ref, _ error) { v.mu.Lock(); v.failed[ref.String()]++; v.mu.Unlock() },
	}
	return v
}

func (v *village) house(_ context.Context, e review.Scope) (*review.Session, error) {
	h := v.town.house()
	h.PullRequest, h.Repeats = e.PullRequest, &v.repeats
	return &review.Session{Reconciler: h, Close: func() error { return nil }}, nil
}

func (v *village) Name() string { return "example.org/village" }

func (v *village) Refs(context.Context) (Refs, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	tip := Ledger{Tip: string(v.facts.Head), Before: NoLedger}
	return Refs{Branches: map[string]string{"main": base}, Pulls: map[int]string{1: change}, Ledgers: map[string]Ledger{"main": tip}}, nil
}

func (v *village) passed(i string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.passes[i]++
}

func (v *village) Branch(ctx context.Context, branch string) error {
	v.passed("main")
	_, err := v.office.Branch(ctx, branch, "")
	return err
}

func (v *village) Pull(ctx context.Context, n int) error {
	v.passed("pull")
	_, err := v.office.Pull(ctx, n, "")
	return err
}

func (v *village) Sweep(context.Context) ([]int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.edited.After(v.swept) {
		v.swept = time.Now()
		return []int{1}, nil
	}
	return nil, nil
}
func (v *village) Open() []int               { return []int{1} }
func (v *village) Schedules(string) []string { return nil }
func (v *village) Close() error              { return nil }
func (v *village) Account() string           { return "bot" }

// run lets a controller work for some hours, while webhooks tell of each edit of the
// comment, and somebody says something below the pull request now and then.
func (v *village) run(t *testing.T, hours int, chatter time.Duration) {
	ctx, stop := context.WithCancel(t.Context())
	c := New(Options{Config: Config{Webhook: Webhook{Off: true}}, Sites: []Repository{v}, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	c.work, c.watch = ctx, c.startWatch(ctx)
	hook := c.hook(nil, nil)
	hook.find = func(payloadRepository) []*worker { return c.workers }
	ended := c.begin(ctx)
	say := func(n int, by string) {
		body := fmt.Sprintf(`{"action":"edited","repository":{"full_name":"a/b"},"sender":{"login":%q},"issue":{"number":1,"pull_request":{}}}`, by)
		hook.heard([]byte(body), "issue_comment", fmt.Sprint(by, n))
		hook.heard([]byte(`{"ref":"refs/heads/vishwa/ledger","repository":{"full_name":"a/b"}}`), "push", fmt.Sprint("push", by, n))
	}
	for n := range int(time.Duration(hours) * time.Hour / (10 * time.Second)) {
		say(n, "bot") // each edit and each entry of its own comes back to it
		if chatter > 0 && time.Duration(n)*10*time.Second%chatter == 0 {
			say(n, "mallory")
		}
		time.Sleep(10 * time.Second) // of the simulated clock
	}
	stop()
	<-ended.empty
}

func TestNothingFloodsForHours(t *testing.T) {
	if _, err := policy.New(nil, nil, policy.Options{}); err != nil { // before the clock is simulated
		t.Fatal(err)
	}
	const hours = 5
	for name, c := range map[string]struct {
		upset   func(v *village)
		ref     string
		pull    bool
		chatter time.Duration
	}{
		"a deployment": {ref: "deployment/s", upset: func(v *village) {
			v.apply = func(n int) error { return fault.New(fault.Conflict, "port 8080 is taken by process %d", n) }
		}},
		"a deployment that ends": {ref: "deployment/s", upset: func(v *village) {
			v.apply = func(n int) error { return fault.New(fault.Invalid, "exit status 1 after %d s", n) }
		}},
		"a training's environment": {ref: "transform/t", upset: func(v *village) {
			v.result = func(n int) *port.Result {
				return &port.Result{Cause: port.BadEnv, Message: fmt.Sprintf("no network after %d s", n)}
			}
		}},
		"a signature": {ref: "model/m", upset: func(v *village) {
			v.sign = func(int) error { return fault.New(fault.Denied, "open key: the password does not open build.key") }
		}},
		"a pin of a pull request": {ref: "dataset/d", pull: true, upset: func(v *village) {
			v.put = func(n int) error { return fault.New(fault.Transient, "PUT after %d ms: 503", n) }
		}},
		"a pin of a pull request that strangers talk about": {ref: "dataset/d", pull: true, chatter: time.Minute, upset: func(v *village) {
			v.put = func(n int) error { return fault.New(fault.Denied, "PUT %s: 403", strings.Repeat("x", n%7)) }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVillage(t)
				c.upset(v)
				v.run(t, hours, c.chatter)
				v.mu.Lock()
				defer v.mu.Unlock()
				entries := map[string]int{}
				for _, e := range v.entries {
					if e.Action == ledger.Fail && (e.PullRequest != nil) == c.pull {
						entries[e.Ref.String()]++
					}
				}
				most := hours + 1
				if c.chatter > 0 {
					most *= 4 // in ever other words
				}
				if n := entries[c.ref]; n < hours/2 || n > most || len(entries) != 1 {
					t.Errorf("entries of failures: %v", entries)
				}
				if n := v.failed[c.ref]; n < entries[c.ref] {
					t.Errorf("%d failures are counted, and %d recorded", n, entries[c.ref])
				}
				at, passes := "main", 0
				if c.pull {
					at = "pull"
				}
				if passes = v.passes[at]; passes < hours || c.chatter == 0 && passes > hours*12+15 {
					t.Errorf("%d passes", passes)
				}
				if v.edits > 4+most || v.marks > 4+2*most || v.rolls > 2+most {
					t.Errorf("the comment was edited %d times, marks %d times, deployments %d times", v.edits, v.marks, v.rolls)
				}
				if v.flips > 4 {
					t.Errorf("marks and deployments turned %d times: %v", v.flips, v.turned)
				}
				t.Logf("%d h: %d passes, %v entries, %d failures; comment edited %d times, marks %d, deployments %d, turned %d", hours, passes, entries, v.failed[c.ref], v.edits, v.marks, v.rolls, v.flips)
			})
		})
	}
}
