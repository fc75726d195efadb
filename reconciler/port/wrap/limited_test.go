// Limited keeps the promises of the runner that it wraps, and its own bound.

package wrap_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/wrap"
)

// fake is a runner whose runs end when polled for the second time, or by the
// command "forever" never; most is the highest number under way at once.
type fake struct {
	mu          sync.Mutex
	runs        map[digest.Digest]*run
	under, most int
	begun       int
}

type run struct {
	command string
	polls   int
	result  *port.Result
}

func (f *fake) Start(ctx context.Context, job port.Job) (port.Run, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return port.Run{}, fault.New(fault.Cancelled, "start: %w", err)
	}
	if _, err := digest.Parse(string(job.Key)); err != nil {
		return port.Run{}, fault.New(fault.Invalid, "start: %w", err)
	}
	r := f.runs[job.Key]
	if r == nil || r.result != nil && r.result.Cause != "" {
		r = &run{command: job.Command[0]}
		f.runs[job.Key] = r
		f.begun++
		f.under++
		f.most = max(f.most, f.under)
	}
	return f.view(job.Key, r), nil
}

func (f *fake) view(key digest.Digest, r *run) port.Run {
	if r.result != nil {
		return port.Run{Key: key, State: port.Done, Result: r.result}
	}
	return port.Run{Key: key, State: port.Running}
}

func (f *fake) end(r *run, res port.Result) {
	if r.result == nil {
		r.result = &res
		f.under--
	}
}

func (f *fake) find(ctx context.Context, key digest.Digest) (*run, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.New(fault.Cancelled, "find: %w", err)
	}
	if r := f.runs[key]; r != nil {
		return r, nil
	}
	return nil, fault.New(fault.Missing, "find: unknown")
}

func (f *fake) Poll(ctx context.Context, key digest.Digest) (port.Run, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, err := f.find(ctx, key)
	if err != nil {
		return port.Run{}, err
	}
	r.polls++
	switch {
	case r.polls < 2 || r.command == "forever":
	case r.command == "badly":
		f.end(r, port.Result{Cause: port.Exit, ExitCode: 7, Message: "it ended with exit code 7"})
	default:
		f.end(r, port.Result{})
	}
	return f.view(key, r), nil
}

func (f *fake) Wait(ctx context.Context, key digest.Digest, seen port.RunState, _ int64) (port.Run, error) {
	run, err := f.Poll(ctx, key)
	if err != nil || run.State != seen {
		return run, err
	}
	select {
	case <-ctx.Done():
		return port.Run{}, fault.New(fault.Cancelled, "wait: %w", ctx.Err())
	case <-time.After(time.Millisecond):
		return f.Poll(ctx, key)
	}
}

func (f *fake) Stop(ctx context.Context, key digest.Digest) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, err := f.find(ctx, key)
	if err == nil {
		f.end(r, port.Result{Cause: port.Stopped, Message: "stopped"})
	}
	return err
}

func (f *fake) Logs(ctx context.Context, key digest.Digest, offset int64) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if offset < 0 {
		return nil, fault.New(fault.Invalid, "read log: negative offset")
	}
	_, err := f.find(ctx, key)
	return []byte("hello\n")[min(offset, 6):], err
}

func TestLimitedKeepsThePromises(t *testing.T) {
	porttest.Runner(t, func(*testing.T) porttest.RunnerBench {
		f := &fake{runs: map[digest.Digest]*run{}}
		return porttest.RunnerBench{Runner: wrap.Limited(f, 1), Well: []string{"well"}, Badly: []string{"badly"}, Forever: []string{"forever"},
			Begun: func() int { f.mu.Lock(); defer f.mu.Unlock(); return f.begun }}
	})
}

func job(i int, command string) port.Job {
	return port.Job{Key: digest.Of([]byte(fmt.Sprint(i))), Command: []string{command}}
}

// TestAtMostSoManyAreUnderWay: and all of them come to their end, whether one
// caller starts them all before it polls any, or each has its own.
func TestAtMostSoManyAreUnderWay(t *testing.T) {
	for _, n := range []int{0, 1, 3} {
		for name, each := range map[string]func(r port.Runner){
			"one caller": func(r port.Runner) {
				for i := range 20 {
					if _, err := r.Start(t.Context(), job(i, "well")); err != nil {
						t.Error(err)
					}
				}
				for i := range 20 {
					porttest.AwaitRun(t, r, job(i, "").Key, porttest.IsDone)
				}
			},
			"a caller each": func(r port.Runner) {
				var wg sync.WaitGroup
				for i := range 20 {
					wg.Go(func() {
						if _, err := r.Start(t.Context(), job(i, "well")); err != nil {
							t.Error(err)
						}
						for {
							if run, err := r.Poll(t.Context(), job(i, "").Key); err != nil || run.State == port.Done {
								return
							}
						}
					})
				}
				wg.Wait()
			},
		} {
			f := &fake{runs: map[digest.Digest]*run{}}
			each(wrap.Limited(f, n))
			if f.most > max(1, n) || f.begun != 20 || f.under != 0 {
				t.Errorf("%s, limit %d: %d at once, %d begun, %d left", name, n, f.most, f.begun, f.under)
			}
		}
	}
}

// TestAWaitingJobCanBeStopped: before it begins, and it never does.
func TestAWaitingJobCanBeStopped(t *testing.T) {
	f := &fake{runs: map[digest.Digest]*run{}}
	r := wrap.Limited(f, 1)
	for i := range 2 {
		if _, err := r.Start(t.Context(), job(i, "forever")); err != nil {
			t.Fatal(err)
		}
	}
	second := job(1, "").Key
	for range 2 {
		if err := r.Stop(t.Context(), second); err != nil {
			t.Fatal(err)
		}
	}
	if run, err := r.Poll(t.Context(), second); err != nil || run.Result == nil || run.Result.Cause != port.Stopped {
		t.Errorf("got %+v, %v", run, err)
	}
	if err := r.Stop(t.Context(), job(0, "").Key); err != nil {
		t.Fatal(err)
	}
	if run, err := r.Start(t.Context(), job(1, "well")); err != nil || run.State != port.Running || f.begun != 2 {
		t.Errorf("got %+v, %v, %d begun", run, err, f.begun)
	}
}

// slow is a runner that takes its time to begin, as one does that installs an environment.
type slow struct {
	*fake
	begin chan struct{}
}

func (s *slow) Start(ctx context.Context, job port.Job) (port.Run, error) {
	<-s.begin
	return s.fake.Start(ctx, job)
}

// TestAPlaceIsHeardOfWhileItIsTaken: who waits while another is being begun asks nobody over
// and over, and hears of the place when that one has begun and ended, or could not be begun.
func TestAPlaceIsHeardOfWhileItIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{fake: &fake{runs: map[digest.Digest]*run{}}, begin: make(chan struct{})}
		r := wrap.Limited(s, 1)
		refused, refuse := context.WithCancel(t.Context())
		for i, ctx := range []context.Context{refused, t.Context()} {
			go func() {
				if _, err := r.Start(ctx, job(i, "well")); (err == nil) != (i == 1) {
					t.Errorf("start %d: %v", i, err)
				}
			}()
			synctest.Wait()
		}
		ended := make(chan error, 2)
		for i := range 2 {
			key := job(2+i, "").Key
			if run, err := r.Start(t.Context(), job(2+i, "well")); err != nil || run.State != port.Waiting {
				t.Fatalf("got %+v, %v", run, err)
			}
			go func() {
				run, err := port.Run{State: port.Waiting}, error(nil)
				for err == nil && run.State != port.Done {
					run, err = r.Wait(t.Context(), key, run.State, 0)
				}
				ended <- err
			}()
		}
		synctest.Wait() // who waited in a circle would never let this return
		refuse()
		close(s.begin)
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
}

// deaf is a runner that answers no wait.
type deaf struct {
	*fake
	asked  atomic.Int64
	panics bool
}

func (d *deaf) Wait(context.Context, digest.Digest, port.RunState, int64) (port.Run, error) {
	if d.asked.Add(1); d.panics {
		panic("it cannot be read")
	}
	return port.Run{}, fault.New(fault.Transient, "it does not answer")
}

// TestWhatDoesNotAnswerIsNotAskedInACircle while another waits for its place.
func TestWhatDoesNotAnswerIsNotAskedInACircle(t *testing.T) {
	t.Run("it says so", func(t *testing.T) { notInACircle(t, false) })
	t.Run("it panics", func(t *testing.T) { notInACircle(t, true) })
}

func notInACircle(t *testing.T, panics bool) {
	synctest.Test(t, func(t *testing.T) {
		d := &deaf{fake: &fake{runs: map[digest.Digest]*run{}}, panics: panics}
		r := wrap.Limited(d, 1)
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		for i := range 2 {
			if _, err := r.Start(ctx, job(i, "forever")); err != nil {
				t.Fatal(err)
			}
		}
		for ctx.Err() == nil {
			if run, err := r.Wait(ctx, job(1, "").Key, port.Waiting, 0); err == nil && run.State != port.Waiting {
				t.Fatalf("got %+v", run)
			}
		}
		if n := d.asked.Load(); n > 61 {
			t.Errorf("it was asked %d times in a minute", n)
		}
	})
}
