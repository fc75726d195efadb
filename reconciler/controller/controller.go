// The controller itself: it is put together here, runs, and comes to an end.

package controller

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishwaops/vishwa/reconciler/controller/config"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
)

// Options are what a controller is made of. Config and one of Sites and Open are needed.
type Options struct {
	Config config.Spec
	// Sites are repositories that are open already, in the order of Config's where it lists them.
	Sites []Repository
	// Open opens a repository of Config. It is tried again where it fails.
	Open func(ctx context.Context, r config.Repository) (Repository, error)

	// Keys opens the keys that passes sign with, and tells why it cannot. No pass begins
	// before it could. It is asked again and again, and is cheap once they are open; nil: none are needed.
	Keys func(ctx context.Context) error

	// Roll is where replicas of this controller find each other; nil: there are none.
	Roll Roll

	Now       func() time.Time            // nil: time.Now
	Rand      func() uint64               // of ids and jitter, called side by side; nil: a generator of its own
	Lookup    func(string) (string, bool) // the environment, for secrets; nil: the process's
	Log       *slog.Logger                // nil: none
	Metrics   *Metrics                    // nil: of its own
	Version   string                      // of Vishwa: what another one settled is looked at again
	Listening func(address string)        // told once where it listens; may be nil
	Observed  func(address string)        // told once where metrics are, where that is an address of their own; may be nil
}

// Controller reconciles repositories until it is told to stop.
type Controller struct {
	config   config.Spec
	open     func(ctx context.Context, r config.Repository) (Repository, error)
	now      func() time.Time
	rand     func() uint64
	lookup   func(string) (string, bool)
	log      *slog.Logger
	metrics  *Metrics
	version  string
	told     func(string)
	observed func(string)

	peers    *peers      // nil: webhooks are handed on to nobody
	roll     Roll        // nil: all repositories are this controller's
	alive    []string    // replicas, as last seen
	shared   atomic.Bool // repositories were shared once
	readied  atomic.Bool // it was ready once: what is taken over later does not undo that
	workers  []*worker
	keys     keyring
	slots    *passLimiter
	guests   *passLimiter // of what strangers ask for
	watch    *watch
	work     context.Context // of passes: it outlives Run's where they are finished
	visits   context.Context // of looks at what strangers ask for: they are never waited for
	handBack context.CancelFunc
	ending   atomic.Bool
	fallen   chan error // why it ends by itself
}

// New puts a controller together. It does nothing before Run.
func New(o Options) *Controller {
	c := &Controller{
		config: o.Config.Filled(), open: o.Open, now: o.Now, rand: o.Rand, lookup: o.Lookup,
		log: o.Log, metrics: o.Metrics, version: o.Version, roll: o.Roll, told: o.Listening, observed: o.Observed,
		fallen: make(chan error, 1),
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.rand == nil {
		c.rand = rand.Uint64
	}
	if c.lookup == nil {
		c.lookup = os.LookupEnv
	}
	if c.log == nil {
		c.log = slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError + 1}))
	}
	if c.metrics == nil {
		c.metrics = NewMetrics(nil, o.Version)
	}
	c.keys.try = o.Keys
	if len(c.config.Replicas.Peers) > 0 {
		c.peers = newPeers(c.config.Replicas.Peers, c.log)
	}
	c.slots, c.guests = newPassLimiter(c.config.Parallel), newPassLimiter(c.config.Strangers)
	for i, s := range o.Sites {
		r := config.Repository{Name: s.Name(), URL: "https://" + s.Name()}
		if i < len(c.config.Repositories) {
			r = c.config.Repositories[i]
		}
		c.add(r, s.Name(), s)
	}
	if o.Sites == nil {
		for _, r := range c.config.Repositories {
			c.add(r, r.Title(), nil)
		}
	}
	return c
}

func (c *Controller) add(r config.Repository, name string, s Repository) {
	w := &worker{
		c: c, repo: r, name: name, site: s, log: c.log.With("repository", name),
		agenda: newWorkQueue(), calendar: scheduler{}, ward: healthWatch{}, box: newTriggerQueue(),
		done: make(chan func()), usual: newLane(c.slots), guest: newLane(c.guests),
		resting: c.roll != nil,
	}
	w.introduce()
	c.workers = append(c.workers, w)
}

// Run reconciles until ctx ends. Then no pass begins any more, and those that are
// under way are finished or handed back, as the configuration says. The error says
// why the controller could not begin, or had to end by itself.
func (c *Controller) Run(ctx context.Context) error {
	secrets, err := c.secrets()
	if err != nil {
		return err
	}
	entrances, err := c.listen(secrets)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	c.work, c.handBack = work, func() { cancel(execute.ErrHandedBack) }
	visits, dismiss := context.WithCancelCause(work)
	defer dismiss(nil)
	c.visits = visits
	c.watch = c.startWatch(ctx)
	served := c.serveAll(entrances)
	var at []any
	for _, e := range entrances {
		at = append(at, e.field, e.listener.Addr().String())
	}
	c.log.Info("controller begins", slog.Group("", at...), "repositories", len(c.workers), "version", c.version)
	c.openKeys(ctx) // before anything else takes memory: each takes 64 MiB for a moment
	ended := c.begin(ctx)
	fault.Go(func() { c.watchKeys(ctx) }, c.fall)
	var sharing sync.WaitGroup
	beside := func(f func(context.Context)) {
		sharing.Add(1)
		fault.Go(func() { defer sharing.Done(); f(ctx) }, c.fall)
	}
	if c.peers != nil {
		beside(c.peers.run)
	}
	if c.roll != nil {
		beside(c.shareOut)
	}
	select {
	case <-ctx.Done():
	case err = <-served.failed(ctx):
		c.log.Error("the listener ended", "error", err)
	case err = <-c.fallen:
		c.log.Error("a part of the controller ended by a panic, so it ends", "error", err, "stack", fault.Stack(err))
	}
	c.ending.Store(true)
	stop()
	dismiss(execute.ErrHandedBack)
	if late := c.end(ended); late > 0 && err == nil {
		err = fault.WithHint(fault.New(fault.Internal, "%d repositories did not come to an end in time", late), "give shutdown.grace more time; what they did is found again at the next start")
	}
	sharing.Wait()
	c.leave()
	served.close()
	c.log.Info("controller ended")
	return err
}

// begin starts the workers, a little apart, and counts those that are at work.
func (c *Controller) begin(ctx context.Context) *tally {
	t := &tally{empty: make(chan struct{}), left: len(c.workers)}
	if t.left == 0 {
		close(t.empty)
	}
	apart := min(c.config.Poll, time.Duration(len(c.workers))*20*time.Millisecond)
	for n, w := range c.workers {
		at := c.now()
		if n > 0 {
			at = at.Add(time.Duration(c.fraction() * float64(apart)))
		}
		w.pollAt, w.openAt = at, at
		w.attendAt = at.Add(time.Duration(c.fraction() * float64(min(c.config.Poll, attendEvery))))
		if !w.resting {
			w.load()
		}
		fault.Go(func() {
			defer t.done()
			w.run(ctx)
		}, c.fall)
	}
	return t
}

// fall has the controller end in order, by the fault of a part without which it would go on and not do what it is for. Passes, looks and
// hooks, which read what others wrote, are guarded each by itself.
func (c *Controller) fall(err error) {
	select {
	case c.fallen <- err:
	default: // it ends already
	}
}

// end waits for the workers as the configuration says, and tells how many it gave up.
func (c *Controller) end(t *tally) int {
	// What is handed back needs a while of the grace to come to an end.
	farewell := min(10*time.Second, c.config.Shutdown.Grace/3)
	c.log.Info("controller ends", "runs", c.config.Shutdown.Runs, "grace", c.config.Shutdown.Grace.String())
	if c.config.Shutdown.Runs == config.HandBack {
		c.handBack()
	}
	if c.config.Shutdown.Runs == config.HandBack {
		return t.wait(c.config.Shutdown.Grace)
	}
	if left := t.wait(c.config.Shutdown.Grace - farewell); left == 0 {
		return 0
	}
	c.handBack()
	return t.wait(farewell)
}

func (c *Controller) stopping() bool { return c.ending.Load() }

// tally counts workers down.
type tally struct {
	mu    sync.Mutex
	left  int
	empty chan struct{}
}

func (t *tally) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.left--; t.left == 0 {
		close(t.empty)
	}
}

// wait waits for all, at most for d, and tells how many are left.
func (t *tally) wait(d time.Duration) int {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-t.empty:
	case <-timer.C:
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.left
}

// doorSecrets are what webhooks are known by.
type doorSecrets struct {
	github        [][]byte // the present one first
	token, mlflow []byte   // of notifications
}

func (c *Controller) secrets() (s doorSecrets, err error) {
	if s.github, err = c.githubSecrets(); err != nil {
		return s, err
	}
	for into, of := range map[*[]byte]*config.Secret{&s.token: c.config.Notifications.Token, &s.mlflow: c.config.Notifications.MLflow} {
		if of == nil {
			continue
		}
		if *into, err = of.Read(c.lookup); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (c *Controller) githubSecrets() (out [][]byte, err error) {
	if !c.config.Webhooks() {
		for _, r := range c.config.Repositories {
			if r.GitHub != nil && !c.config.Webhook.Off {
				return nil, fault.WithHint(fault.New(fault.Invalid, "there is no secret to know GitHub's webhooks by"), "give webhook.secret, or write webhook: {off: true} to poll alone")
			}
		}
		return nil, nil
	}
	for _, s := range []*config.Secret{c.config.Webhook.Secret, c.config.Webhook.Previous} {
		if s == nil {
			continue
		}
		text, err := s.Read(c.lookup)
		if err != nil {
			return nil, err
		}
		out = append(out, text)
	}
	return out, nil
}

func (c *Controller) fraction() float64 { return float64(c.rand()>>11) / (1 << 53) }

// spread is d, moved by at most the jitter and at most a fifth of d.
func (c *Controller) spread(d time.Duration) time.Duration {
	jitter := min(c.config.Jitter, d/5)
	return d + time.Duration((2*c.fraction()-1)*float64(jitter))
}

// guarded calls f, and makes a panic an error: a repository that breaks a pass
// stalls no other. Where it came from is logged, be it of f or of what f had begun beside it.
func guarded[T any](log *slog.Logger, f func() (T, error)) (v T, err error) {
	err = fault.Guard(func() (err error) { v, err = f(); return err })
	if stack := fault.Stack(err); stack != "" {
		log.Error("panic", "error", err, "stack", stack)
		err = fault.WithHint(err, "report it with the log")
	}
	return v, err
}
