// A second witness of runs: the ids of those that this installation made and signed. Who may write tags takes signatures away, and the history is not written
// once more for that. What others signed is not remembered: they may be revoked.

package tracker

import (
	"context"
	"fmt"
	"maps"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Witness keeps ids of runs by their keys, apart by place, where nobody else writes. What it lost is nothing: then signatures alone tell.
type Witness interface {
	Runs(place digest.Digest) map[digest.Digest]string
	Keep(place digest.Digest, runs map[digest.Digest]string) error
}

// place is where the runs of this session are.
func (s *session) place() digest.Digest {
	return digest.Of([]byte(s.records().Where() + fmt.Sprintf("experiment %q\n", s.experiment)))
}

// remember takes what is known of runs of this experiment. If that was just made, it has none.
func (s *session) remember() {
	s.known, s.kept = map[digest.Digest]string{}, map[digest.Digest]string{}
	if s.own.Witness == nil || s.experiment == "" || s.begins {
		return
	}
	for key, id := range s.own.Witness.Runs(s.place()) {
		if runID.MatchString(id) {
			s.known[key], s.kept[key] = id, id
		}
	}
}

// keep writes down what came to be known.
func (s *session) keep() error {
	if s.own.Witness == nil || s.dry || s.experiment == "" || maps.Equal(s.known, s.kept) {
		return nil
	}
	if err := s.own.Witness.Keep(s.place(), s.known); err != nil {
		return fault.WithHint(fault.New(fault.Of(err), "remember which runs of MLflow are ours: %w", err), "see that the state folder can be written")
	}
	return nil
}

// witnessed finds a run that is on no list any more, as its tags were taken away.
func (s *session) witnessed(ctx context.Context, key digest.Digest) (f found, is bool, err error) {
	id := s.known[key]
	if id == "" {
		return f, false, nil
	}
	var got struct {
		Run runAnswer `json:"run"`
	}
	err = s.Get(ctx, "runs/get", map[string]string{"run_id": id}, &got)
	if fault.Of(err) == fault.Missing && err != nil || err == nil && (got.Run.Info.ID != id || got.Run.Info.Experiment != s.experiment) {
		delete(s.known, key)
		return f, false, nil
	}
	if err != nil {
		return f, false, err
	}
	f = foundOf(got.Run)
	f.bare = true
	return f, true, nil
}

// resign gives a run of ours the tags again by which others know it.
func (s *session) resign(ctx context.Context, r port.TrackerRun, id string) error {
	s.drift("run %s of entry %d has no signature any more that holds", r.Name, r.Entry)
	if !s.p.Heal {
		return nil
	}
	tags := s.tags(map[string]string{tagEntry: fmt.Sprint(r.Entry)}, r.Tags)
	if !s.dry {
		proof, err := s.own.Sign(s.records().Run(r.Key, id))
		if err != nil {
			return err
		}
		tags = append(tags, tag{tagKey, string(r.Key)}, tag{tagProof, proof})
	}
	return s.write(ctx, "runs/log-batch", map[string]any{"run_id": id, "tags": tags}, nil)
}
