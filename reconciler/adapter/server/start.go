// Beginning the host: exactly one a state folder, detached from whoever applies.
// The lock that the living host holds is the truth; a socket or a number of a
// process may be stale.

package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
)

const (
	hostLock  = "host.lock"
	startLock = "start.lock"

	// startWithin bounds how long a host may take to answer; it sweeps /proc once
	// a release before it does.
	startWithin = 20 * time.Second

	// startsWithin bounds how long another vishwa is waited for that begins a host, or changes things without one: in times that a host may take
	// to answer, which it begins several times.
	startsWithin = 15
)

// alone calls do while no host runs and none can start; done is false where one
// does run.
func (s *local) alone(ctx context.Context, do func() error) (done bool, err error) {
	patient, cancel := context.WithTimeout(ctx, startsWithin*cmp.Or(s.cfg.Answers, answersWithin))
	defer cancel()
	held, err := sandbox.Lock(patient, s.place.path(startLock))
	if err != nil && ctx.Err() == nil && patient.Err() != nil {
		return false, fault.WithHint(fault.New(fault.Transient, "start serving host: another vishwa is about to, and does not come to an end"),
			"end the process that holds %s (fuser %[1]s tells which), then run the command again", s.place.path(startLock))
	}
	if err != nil {
		return false, artifact.Disk(err, string(s.place))
	}
	defer held.Close()
	if runs, err := sandbox.Held(s.place.path(hostLock)); err != nil {
		return false, artifact.Disk(err, string(s.place))
	} else if runs {
		return false, s.answering(ctx, nil)
	}
	return true, do()
}

// ensure returns when a host answers.
func (s *local) ensure(ctx context.Context) error {
	l, err := s.line()
	if err != nil {
		return err
	}
	_, err = l.ask(ctx, "GET", "", nil)
	if errors.Is(err, errOther) {
		if err = l.dismiss(ctx); err == nil {
			err = errGone
		}
	}
	if !errors.Is(err, errGone) {
		return err
	}
	_, err = s.alone(ctx, func() error { return s.begin(ctx) })
	return err
}

// errLeft is a host that had nothing to serve for as long as one waits: on a busy machine it may leave
// before it is asked for the first time.
var errLeft = errors.New("it left, as nothing was asked of it")

// begin starts the host, again where it left before it was asked.
func (s *local) begin(ctx context.Context) (err error) {
	for range 5 {
		if err = s.beginOnce(ctx); !errors.Is(err, errLeft) {
			return err
		}
	}
	return fault.WithHint(fault.New(fault.Transient, "start serving host: %w", err), "the machine is too busy; run the command again")
}

// beginOnce starts the host in a session of its own, holding none of the caller's
// files, so that `vishwa apply | cat` ends when vishwa does.
func (s *local) beginOnce(ctx context.Context) error {
	out, err := os.OpenFile(s.place.path("host.err"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return artifact.Disk(fmt.Errorf("start serving host: %w", err), string(s.place))
	}
	defer out.Close()
	cmd := exec.Command(s.cfg.Env.Self, "host", string(s.place), s.cfg.Seal) // outlives ctx by design
	cmd.Dir, cmd.Env = string(s.place), s.hostEnviron()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fault.WithHint(fault.New(fault.Internal, "start serving host: %w", err), "check that %s is the vishwa program and executable", s.cfg.Env.Self)
	}
	ended := make(chan error, 1)
	fault.Go(func() { ended <- cmd.Wait() }, func(err error) { ended <- err }) // collects it, where it ends before the caller does
	return s.answering(ctx, ended)
}

// hostEnviron is what the host can give to releases that it brings back by
// itself: the variables that any of them may see, those that their logs are
// written with, and no other.
func (s *local) hostEnviron() []string {
	var pass []string
	logs := map[string]string{}
	add := func(o order) { // since it was begun, the controller's file may have changed
		for _, name := range o.Pass {
			if s.cfg.Env.MayPass(name) == nil {
				pass = append(pass, name)
			}
		}
		if s.mayLog(o) != nil {
			return
		}
		for _, v := range o.logEnviron(s.cfg.Env.Lookup) {
			name, value, _ := strings.Cut(v, "=")
			logs[name] = value // by itself: no declaration can pass on what is sent to brokers
		}
	}
	if l, err := s.line(); err == nil { // without a key nothing is brought back
		for _, name := range s.place.names() {
			if t, err := s.place.readTrial(l.key, name); err == nil {
				add(t.Order)
			}
			if o, err := s.place.readOrder(l.key, name); err == nil {
				add(o)
			}
		}
	}
	return sandbox.Environ(s.cfg.Env.Lookup, pass, logs)
}

// mayLog refuses to log with what the controller's file lets the log of o have no more.
func (s *local) mayLog(o order) error {
	switch l := o.Log; {
	case l == nil:
	case l.S3 != nil:
		return s.cfg.Env.MayUse(l.S3.Address())
	case l.Kafka != nil:
		_, err := predictionTopic(l.Kafka, Access{Env: s.cfg.Env})
		return err
	}
	return nil
}

// answering returns when the host answers, or gives up once it has ended.
func (s *local) answering(ctx context.Context, ended <-chan error) error {
	l, err := s.line()
	if err != nil {
		return err
	}
	limit := time.NewTimer(startWithin)
	defer limit.Stop()
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		if _, err := l.ask(ctx, "GET", "", nil); !errors.Is(err, errGone) {
			return err
		}
		if ended == nil { // it is another's: it may be on its way out, and the caller looks again
			if runs, err := sandbox.Held(s.place.path(hostLock)); err == nil && !runs {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fault.New(fault.Cancelled, "start serving host: %w", ctx.Err())
		case err := <-ended:
			if err == nil {
				return errLeft
			}
			said, _ := os.ReadFile(s.place.path("host.err"))
			return fault.WithHint(fault.New(fault.Internal, "start serving host: it ended at once: %s", strings.TrimSpace(string(said[max(0, len(said)-2000):]))),
				"read %s, then run the command again", s.place.path("host.log"))
		case <-limit.C:
			return fault.WithHint(fault.New(fault.Transient, "start serving host: it does not answer after %s", startWithin),
				"read %s; end the process that holds %s if it hangs, then run the command again", s.place.path("host.log"), s.place.path(hostLock))
		case <-time.After(wait):
		}
	}
}

// Down ends the host of dir, once it has answered what is under way; what it
// served stays recorded, and the next apply brings it back. It tells whether a
// host was running. keyFile is Config.Seal.
func Down(ctx context.Context, dir, keyFile string) (was bool, err error) {
	if !folder(dir).used() {
		return false, nil
	}
	key, err := seal.Load(keyFile)
	if err != nil {
		return false, err
	}
	return line{dir: dir, key: key}.down(ctx)
}

func (l line) down(ctx context.Context) (was bool, err error) {
	_, err = l.ask(ctx, "DELETE", "", nil)
	switch {
	case errors.Is(err, errGone):
		return false, nil
	case errors.Is(err, errOther):
		return true, l.dismiss(ctx)
	case err != nil:
		return false, err
	}
	return true, l.left(ctx)
}

// dismiss ends a host of a version before; a newer one does not know such a request
// either, and goes on. It is asked of one that has just not known what it was asked.
func (l line) dismiss(ctx context.Context) (err error) {
	for _, path := range []string{protocol, before} {
		if _, err = l.request(ctx, "DELETE", path, nil); err == nil || errors.Is(err, errGone) {
			return l.left(ctx)
		}
		if !errors.Is(err, errOther) {
			return err
		}
	}
	return err
}
