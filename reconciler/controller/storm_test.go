// A storm over a running controller: refs move, webhooks are lost, looks and passes
// fail, all at once. Afterwards everything has been passed as it is.

package controller

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func TestAStormEndsWithEverythingPassedAsItIs(t *testing.T) {
	var calm atomic.Bool
	trouble := func(oneIn int) error {
		if calm.Load() || rand.IntN(oneIn) > 0 {
			return nil
		}
		return fault.New(fault.Conflict, "storm")
	}
	var sites []Repository
	var fakes []*fake
	for n := range 6 {
		f := newFake(fmt.Sprint("example.org/", n))
		f.onBranch = func(context.Context, string) error {
			time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond)
			return trouble(6)
		}
		f.onPull = func(ctx context.Context, _ int) error { return f.onBranch(ctx, "") }
		f.onRefs = func(context.Context) error { return trouble(20) }
		sites, fakes = append(sites, f), append(fakes, f)
	}
	config := fast()
	config.Parallel = 5
	r := start(t, Options{Config: config, Sites: sites})
	for step := range 1500 {
		f, head := fakes[rand.IntN(len(fakes))], fmt.Sprint("h", step)
		f.set(func(refs *Refs) {
			switch rand.IntN(3) {
			case 0:
				refs.Branches["main"] = head
			case 1:
				refs.Branches[fmt.Sprint("release/", rand.IntN(3))] = head
			default:
				refs.Pulls[1+rand.IntN(5)] = head
			}
		})
		if rand.IntN(2) == 0 { // the other half of the webhooks is lost
			w := r.workers[rand.IntN(len(r.workers))]
			w.box.wantLook("hook")
			w.box.ask(item{branch: "main"}, "hook")
		}
		if step%10 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	calm.Store(true)
	for _, f := range fakes {
		f.mu.Lock()
		refs := Refs{Branches: f.refs.Branches, Pulls: f.refs.Pulls}
		f.mu.Unlock()
		for b, sha := range refs.Branches {
			until(t, f.name+" branch "+b, f.is("branch "+b, sha))
		}
		for n, sha := range refs.Pulls {
			until(t, fmt.Sprint(f.name, " pull ", n), f.is(fmt.Sprint("pull ", n), sha))
		}
		if _, twice := f.crowd(); twice {
			t.Errorf("%s: the same item ran twice at once", f.name)
		}
	}
}
