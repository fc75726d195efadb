// The runs of ours on the server. Anybody who may log into the experiment writes tags, so a run is ours where a controller signed that it made this very
// one: its id is in what is signed. What only says of itself that it is ours is neither changed nor deleted, nor taken for ours.

package tracker

import (
	"context"
	"fmt"
	"strconv"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	mlflowformat "github.com/vishwaops/vishwa/reconciler/format/mlflow"
	"github.com/vishwaops/vishwa/reconciler/machine/bounded"
	"github.com/vishwaops/vishwa/reconciler/machine/mlflowapi"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Own is how this controller says that it made something, and how it and others know that again.
type Own struct {
	Sign   func(text string) (proof string, err error)
	Signed func(text, proof string) bool
	Gone   func(writer string) bool // it ended, as far as is known; nil: never
	// Witness remembers the runs that were signed here; nil: nothing does.
	Witness Witness
}

func (s *session) records() mlflowapi.Records {
	return mlflowapi.Records{Server: s.Server(), Workspace: s.spec.Workspace, Ledger: s.p.Ledger, Experiment: s.experiment}
}

// found is a run of ours on the server.
type found struct {
	id      string
	whole   bool
	deleted bool
	bare    bool // its signature was taken away
	writer  string
	since   int64
	begun   string // its proof
}

func foundOf(r runAnswer) found {
	f := found{id: r.Info.ID, whole: r.Info.Status == statusFinished || r.Info.Status == statusKilled, deleted: r.Info.Stage == "deleted", writer: valueOf(r.Data.Tags, tagWriter), begun: valueOf(r.Data.Tags, tagBegun)}
	f.since, _ = strconv.ParseInt(valueOf(r.Data.Tags, tagSince), 10, 64)
	return f
}

// runsThere are the runs of this ledger, by their keys. Of several of one key the first by its id
// counts, for everybody alike, and the others are taken away, where anything is healed: two recorded it at once.
func (s *session) runsThere(ctx context.Context) (map[digest.Digest]found, error) {
	out := map[digest.Digest]found{}
	if s.experiment == "" { // it is yet to be made, and this is dry
		return out, nil
	}
	s.remember()
	ours, known := map[digest.Digest]bool{}, map[string]digest.Digest{}
	for _, r := range s.p.Runs {
		ours[r.Key] = true
		known[s.known[r.Key]] = r.Key
	}
	others := map[string]bool{}
	err := mlflowapi.Paged("runs", func(page string) (string, error) {
		var got struct {
			Runs []runAnswer `json:"runs"`
			Next string      `json:"next_page_token"`
		}
		body := map[string]any{"experiment_ids": []string{s.experiment}, "filter": "tags.`" + tagLedger + "` = '" + s.p.Ledger + "'", "run_view_type": "ALL", "max_results": 1000, "page_token": page}
		if err := s.Post(ctx, "runs/search", body, &got); err != nil {
			return "", fmt.Errorf("look for runs: %w", err)
		}
		for _, r := range got.Runs {
			key := digest.Digest(valueOf(r.Data.Tags, tagKey))
			f := foundOf(r)
			if of, is := known[f.id]; is && !s.own.Signed(s.records().Run(of, f.id), valueOf(r.Data.Tags, tagProof)) || is && key != of {
				key, f.bare = of, true
			} else if !ours[key] || !runID.MatchString(f.id) || !s.own.Signed(s.records().Run(key, f.id), valueOf(r.Data.Tags, tagProof)) {
				if (ours[key] || key == "") && !f.deleted {
					others[f.id] = true
				}
				continue
			}
			was, twice := out[key]
			if !twice || was.id == f.id { // a page may begin again with what the last one ended with
				out[key] = f
				continue
			}
			keep, drop := first(was, f)
			out[key] = keep
			if !drop.deleted && s.p.Heal {
				if err := s.write(ctx, "runs/delete", map[string]string{"run_id": drop.id}, nil); err != nil {
					return "", fmt.Errorf("take away a run that was recorded twice: %w", err)
				}
			}
		}
		return got.Next, nil
	})
	for key := range ours { // begun by this process, and gone on with
		if id, is := s.unsigned.Load(s.p.Ledger + string(key)); is {
			delete(others, id.(string))
		}
	}
	if n := len(others); n > 0 {
		s.note("left alone: %s of this experiment with this ledger's tags that none of its controllers signed; delete them in MLflow if nobody needs them", plural.Of(n, "run"))
	}
	return out, err
}

// first is which of two runs of one key counts: one that is there, one that is whole, the smaller id.
func first(a, b found) (keep, drop found) {
	rank := func(f found) string { return fmt.Sprint(f.deleted, !f.whole, f.id) } // false is before true
	if rank(b) < rank(a) {
		return b, a
	}
	return a, b
}

// run records a run that is not there, or finishes one that was begun.
func (s *session) run(ctx context.Context, r port.TrackerRun, there map[digest.Digest]found) (err error) {
	at, known := there[r.Key]
	if !known {
		if at, known, err = s.witnessed(ctx, r.Key); err != nil {
			return err
		}
		if known {
			there[r.Key] = at
		}
	}
	if known && at.deleted {
		s.drift("run %s of entry %d was deleted", r.Name, r.Entry)
		if !s.p.Heal {
			return nil
		}
		if err := s.write(ctx, "runs/restore", map[string]string{"run_id": at.id}, nil); err != nil {
			return err
		}
		at.deleted = false
		there[r.Key] = at
	}
	if known && at.bare {
		if err := s.resign(ctx, r, at.id); err != nil {
			return err
		}
	}
	if known && at.whole {
		return nil
	}
	if known && s.own.Signed(s.records().BegunRun(r.Key, at.id, at.writer, at.since), at.begun) && s.busy("run "+r.Name, r.Entry, at.writer, at.since) {
		return nil
	}
	var more port.TrackerLog
	if r.Logged != nil && !s.dry { // before anything is made for it
		if more, err = r.Logged(ctx); err != nil {
			return err
		}
	}
	w := writing{id: at.id, before: known}
	if !known {
		if w, err = s.begin(ctx, r); err != nil {
			return err
		}
	}
	if err := s.fill(ctx, r, more, w); err != nil {
		return err
	}
	s.out.Runs++
	there[r.Key] = found{id: w.id, whole: true}
	return nil
}

// busy tells whether what writer began is left to them.
func (s *session) busy(what string, entry int64, writer string, since int64) bool {
	if writer == s.writer || s.own.Gone != nil && s.own.Gone(writer) || !bounded.Theirs(s.env.Now(), since) {
		return false
	}
	s.note("%s of entry %d is being written by somebody else", what, entry)
	s.out.Left++
	return true
}

// writing is a run that is being written.
type writing struct {
	id     string
	before bool  // some of it may be there
	sign   []tag // that are yet to be put: what makes it known as ours
}

// begin makes a run, or goes on with one that this process made and could not sign.
func (s *session) begin(ctx context.Context, r port.TrackerRun) (w writing, err error) {
	if s.dry {
		return writing{sign: []tag{{}}}, s.write(ctx, "runs/create", nil, nil)
	}
	if id, is := s.unsigned.Load(s.p.Ledger + string(r.Key)); is {
		w.id = id.(string)
		var got struct {
			Run runAnswer `json:"run"`
		}
		err := s.Get(ctx, "runs/get", map[string]string{"run_id": w.id}, &got)
		if err != nil && fault.Of(err) != fault.Missing {
			return w, err
		}
		if w.before = err == nil && got.Run.Info.Stage != "deleted"; !w.before {
			s.unsigned.Delete(s.p.Ledger + string(r.Key))
		}
	}
	if !w.before {
		if w.id, err = s.create(ctx, r); err != nil {
			return w, err
		}
	}
	since := s.env.Now().UnixMilli()
	proof, err := s.own.Sign(s.records().Run(r.Key, w.id))
	if err != nil {
		return w, err
	}
	begun, err := s.own.Sign(s.records().BegunRun(r.Key, w.id, s.writer, since))
	w.sign = []tag{{tagKey, string(r.Key)}, {tagProof, proof}, {tagWriter, s.writer}, {tagSince, fmt.Sprint(since)}, {tagBegun, begun}}
	return w, err
}

// canSign fails before anything is made that nobody could know again.
func (s *session) canSign() error {
	if s.dry || s.signs {
		return nil
	}
	_, err := s.own.Sign("")
	s.signs = err == nil
	return err
}

// create makes a run that has no key yet.
func (s *session) create(ctx context.Context, r port.TrackerRun) (id string, err error) {
	if err := s.canSign(); err != nil {
		return "", err
	}
	var made struct {
		Run runAnswer `json:"run"`
	}
	body := map[string]any{"experiment_id": s.experiment, "run_name": r.Name, "start_time": r.Started.UnixMilli(), "tags": s.tags(map[string]string{tagEntry: fmt.Sprint(r.Entry)}, r.Tags)}
	if err := s.write(ctx, "runs/create", body, &made); err != nil {
		return "", err
	}
	if err := shaped(runID, made.Run.Info.ID); err != nil {
		return "", err
	}
	s.unsigned.Store(s.p.Ledger+string(r.Key), made.Run.Info.ID)
	return made.Run.Info.ID, nil
}

// batch logs one batch of a run. What is yet to be signed goes with the first; where that is refused, it goes alone, so that the run is known again and
// no other is made for it.
func (s *session) batch(ctx context.Context, key digest.Digest, w *writing, params []tag, metrics []mlflowformat.Point) error {
	body, err := batchOf(w.id, w.sign, params, metrics)
	if err != nil {
		return err
	}
	err = s.write(ctx, "runs/log-batch", body, nil)
	if len(w.sign) == 0 || s.dry {
		w.sign = nil
		return err
	}
	if err == nil || s.write(ctx, "runs/log-batch", map[string]any{"run_id": w.id, "tags": w.sign}, nil) == nil {
		w.sign = nil
		s.known[key] = w.id
		s.unsigned.Delete(s.p.Ledger + string(key))
	}
	return err
}
