// What is recorded of a release that is tried, and how a host that was killed goes on by it.

package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// recordedTrial is a trial as it stands on disk.
type recordedTrial struct {
	Order    order        `json:"order"`
	Weight   int          `json:"weight"`
	Since    time.Time    `json:"since"`
	Canary   port.Asked   `json:"canary"`
	Baseline port.Asked   `json:"baseline"`
	Shadow   *port.Shadow `json:"shadow,omitempty"`
	Pairs    *port.Pairs  `json:"pairs,omitempty"`
}

// countsEvery is how often what was asked is recorded: what a host that is killed may lose.
const countsEvery = time.Second

func (f folder) trial(name string) string { return filepath.Join(f.served(name), "trial.json") }

func trialPurpose(name string) string { return "trying release " + name }

// readTrial is what is tried under name; Missing says that nothing is. One that this installation did not write
// is Corrupt: nobody gives a release a part of the requests by a file.
func (f folder) readTrial(key seal.Key, name string) (recordedTrial, error) {
	var t recordedTrial
	raw, err := os.ReadFile(f.trial(name))
	if errors.Is(err, os.ErrNotExist) {
		return t, fault.WithHint(fault.New(fault.Missing, "nothing is tried under %s", name), "see vishwa rollout status: it tells what is tried")
	}
	if err != nil {
		return t, fault.New(fault.Internal, "read what is tried under %s: %w", name, err)
	}
	body, err := key.Open(trialPurpose(name), raw)
	if err == nil {
		err = json.Unmarshal(body, &t)
	}
	if err != nil {
		return t, fault.WithHint(fault.New(fault.Corrupt, "read what is tried under %s: %w", name, err), anew)
	}
	t.Order.Pace = t.Order.Pace.filled()
	if err := t.Order.check(); err != nil {
		return t, err
	}
	if t.Order.Name != name || t.Weight < 0 || t.Weight > whole {
		return t, fault.WithHint(fault.New(fault.Corrupt, "read what is tried under %s: not what vishwa writes", name), anew)
	}
	return t, nil
}

// record writes t down, where it is not over.
func (s *service) record(t *trial) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return nil
	}
	raw, err := json.MarshalIndent(recordedTrial{t.canary.order, t.weight, t.since, s.gate.asked(armCanary), s.gate.asked(armBaseline), t.shadow, s.gate.mirrors().seen()}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode what is tried: %w", err)
	}
	return artifact.Disk(replace(s.place.trial(s.name), s.key.Wrap(trialPurpose(s.name), raw)), s.place.served(s.name))
}

// forget removes the record.
func (s *service) forget() {
	if err := os.Remove(s.place.trial(s.name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.log.Warn("forget what was tried", "error", err)
	}
}

// retry brings back what was tried when the host ended, with the weights and the counts that it had. A
// record that is not believed is none: what serves has all requests.
func (s *service) retry(lookup func(string) (string, bool)) {
	r, err := s.place.readTrial(s.key, s.name)
	if fault.Of(err) == fault.Missing {
		return
	}
	u, _ := s.current()
	if err != nil || u == nil || r.Order.Starter != u.order.Starter || r.Order.Key == u.order.Key {
		s.log.Warn("what was tried is not brought back", "error", err)
		s.forget()
		return
	}
	base := u.order
	base.Second = true
	t := s.newTrial(r.Order, r.Order.environ(lookup), base, base.environ(lookup))
	t.weight, t.shadow, t.since, t.logEnv = r.Weight, r.Shadow, r.Since, r.Order.logEnviron(lookup)
	s.keepBoth(t, nil, nil)
	s.gate.recount(armCanary, r.Canary)
	s.gate.recount(armBaseline, r.Baseline)
	s.gate.mirrors().recount(r.Pairs)
	s.log.Info("tries a release again", "release", r.Order.Key.Short(), "weight", r.Weight)
}
