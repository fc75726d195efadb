// What it costs that three controllers share a thousand idle repositories, and how long one that dies leaves them alone.

package controller

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/controller/config"
)

// BenchmarkReplicas has three controllers in one process, of which one dies without a word. Durations are a twelfth of the usual
// ones (poll 5 s, lease 5 s), and told as multiples of the lease's.
func BenchmarkReplicas(b *testing.B) {
	const replicasAtOnce, lease = 3, 5 * time.Second
	for b.Loop() {
		all := newReplicas()
		var before runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		type one struct {
			stop  context.CancelFunc
			ended chan error
			place *place
		}
		var them []one
		dead := make(chan struct{})
		for n := range replicasAtOnce {
			name := fmt.Sprint("replica", n)
			var lost func() bool
			if n == 0 {
				lost = func() bool {
					select {
					case <-dead:
						return true
					default:
						return false
					}
				}
			}
			o := all.options(name, 0, lost)
			for i := range idleRepositories {
				o.Config.Repositories = append(o.Config.Repositories, config.Repository{URL: fmt.Sprintf("https://example.org/team/%d", i)})
			}
			o.Config.Poll, o.Config.Lease.Duration, o.Config.State = 5*time.Second, lease, b.TempDir()
			ctx, stop := context.WithCancel(context.Background())
			r := one{stop, make(chan error, 1), o.Roll.(*place)}
			c := New(o)
			go func() { r.ended <- c.Run(ctx) }()
			them = append(them, r)
		}
		settled := func(replicas int) map[string]int {
			for begun := time.Now(); ; {
				if time.Since(begun) > 20*lease {
					alone, held := all.kept()
					b.Fatalf("after %s, %d of %d repositories are kept by one replica each, of %v", time.Since(begun), alone, idleRepositories, held)
				}
				if alone, held := all.kept(); alone == idleRepositories && len(held) == replicas {
					return held
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
		time.Sleep(2 * lease) // the three have found each other
		all.forget()
		held := settled(replicasAtOnce)
		var shares []int
		for _, n := range held {
			shares = append(shares, n)
		}
		if least := slices.Min(shares); least < idleRepositories/replicasAtOnce/3 {
			b.Errorf("the shares are %v: one replica has next to none", shares)
		}
		b.ReportMetric(float64(slices.Min(shares)), "least-share")
		b.ReportMetric(float64(slices.Max(shares)), "greatest-share")
		looks := func() (n int) {
			all.mu.Lock()
			defer all.mu.Unlock()
			for _, f := range all.sites {
				n += f.looked()
			}
			return n
		}
		cpu, begin, from, signs := processor(), time.Now(), looks(), all.board.asked
		time.Sleep(2 * lease)
		took := time.Since(begin)
		b.ReportMetric(float64(looks()-from)/took.Seconds()/12, "looks/s@60s")
		b.ReportMetric(float64(all.board.asked-signs)/took.Seconds()/12, "signs/s@60s")
		b.ReportMetric((processor()-cpu).Seconds()/took.Seconds()/replicasAtOnce/12*100, "core-%/replica@60s")
		var after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapInuse+after.StackInuse-before.HeapInuse-before.StackInuse)/(1<<20)/replicasAtOnce, "MiB/replica")
		close(dead)
		died := time.Now()
		all.forget()
		them[0].stop()
		<-them[0].ended
		missed := map[string]bool{}
		for i := range idleRepositories {
			missed[fmt.Sprintf("example.org/team/%d", i)] = true
		}
		for ; len(missed) > 0; time.Sleep(5 * time.Millisecond) {
			if time.Since(died) > 10*lease {
				b.Fatalf("%d repositories of a replica that died are nobody's after ten times the lease", len(missed))
			}
			all.mu.Lock()
			for name := range missed {
				if len(all.by[name]) > 0 {
					delete(missed, name)
				}
			}
			all.mu.Unlock()
		}
		over := time.Since(died).Seconds() / lease.Seconds()
		if over > 7.0/3+1 { // as docs/kubernetes.md says, and what a busy machine adds
			b.Errorf("they were taken over after %.1f times the lease", over)
		}
		b.ReportMetric(over, "leases-to-take-over")
		for _, r := range them[1:] {
			r.stop()
			<-r.ended
		}
	}
}
