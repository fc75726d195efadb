// Trackers: after entries have landed, what they record is shown in the trackers that the tracked branch
// declares. It is no part of a pass: what cannot be shown is noted, and shown later.

package app

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/tracker"
	"github.com/vishwaops/vishwa/reconciler/adapter/tracker/airflow"
	"github.com/vishwaops/vishwa/reconciler/adapter/tracker/gto"
	"github.com/vishwaops/vishwa/reconciler/adapter/tracker/wandb"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/pass/track"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/wrap"
	"github.com/vishwaops/vishwa/schemas"
)

// Shown is a tracker that the project declares.
type Shown struct {
	Name   string
	Heals  bool
	Takes  bool   // what others changed of what environments serve is proposed
	Folder string // of this machine that it is in; "": it is elsewhere
	port.Tracker
}

// declaredTrackers are those of a project. Who records tells itself from others by its machine and process.
func (h *Repository) declaredTrackers(p *schemas.Project, o Options, sealed seal.Key) (out []Shown) {
	own := h.makes(sealed)
	if m := p.Trackers.MLflow; m != nil {
		t := tracker.MLflow(*m, tracker.Options{Env: o.Env, Own: own, Writer: writer(sealed.Name(), os.Getpid())})
		if o.Trackers != nil {
			t = wrap.TrackingTo(t, m.URL, *o.Trackers)
		}
		out = append(out, Shown{Name: "mlflow", Heals: m.Heals(), Takes: m.Proposes(), Tracker: t})
	}
	if a := p.Trackers.Airflow; a != nil {
		t := airflow.New(*a, airflow.Options{Env: o.Env, Sign: own.Sign, Signed: own.Signed})
		if o.Trackers != nil {
			t = wrap.TrackingTo(t, a.URL, *o.Trackers)
		}
		out = append(out, Shown{Name: "airflow", Tracker: t})
	}
	if p.Trackers.GTO != nil {
		out = append(out, Shown{Name: "gto", Tracker: gto.New(h.GitLedger)})
	}
	if w := p.Trackers.WandB; w != nil {
		dir := filepath.Join(h.Paths.State, "trackers")
		out = append(out, Shown{Name: "wandb", Heals: w.Heals(), Folder: filepath.Join(dir, "wandb"), Tracker: wandb.New(*w, dir, o.Env.Now)})
	}
	return out
}

// makes signs what is recorded in systems where others write too, with the key that signs the ledger: whichever controller of trust.yaml records
// next knows it again.
func (h *Repository) makes(sealed seal.Key) tracker.Own {
	return tracker.Own{
		Sign: func(text string) (string, error) {
			with, err := h.Keys.SSH()
			if err != nil {
				return "", err
			}
			return h.Trust.SignMade(text, with, rand.Reader)
		},
		Signed: func(text, proof string) bool { return h.Trust.Made(text, proof) },
		Gone:   func(who string) bool { return ended(sealed.Name(), who) },

		Witness: madeRuns{filepath.Join(h.Paths.State, "trackers"), sealed},
	}
}

// madeRuns keeps in sealed files which runs of MLflow are ours.
type madeRuns struct {
	dir string
	key seal.Key
}

func (w madeRuns) file(place digest.Digest) (path, purpose string) {
	return filepath.Join(w.dir, "mlflow-"+place.Hex()[:32]), "runs of MLflow at " + place.Hex()
}

// Runs implements tracker.Witness. What cannot be read, or was not sealed here, is nothing.
func (w madeRuns) Runs(place digest.Digest) (runs map[digest.Digest]string) {
	path, purpose := w.file(place)
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	if raw, err = w.key.Open(purpose, raw); err != nil || json.Unmarshal(raw, &runs) != nil {
		return nil
	}
	return runs
}

// Keep implements tracker.Witness.
func (w madeRuns) Keep(place digest.Digest, runs map[digest.Digest]string) error {
	raw, err := json.Marshal(runs)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		return err
	}
	path, purpose := w.file(place)
	return sandbox.WriteFile(path, w.key.Wrap(purpose, raw))
}

// writer names a process that records, and where processes have numbers of their own, such as in a container, that place too.
func writer(machine string, pid int) string {
	place, _ := os.Readlink("/proc/self/ns/pid") // pid:[4026531836]
	return fmt.Sprintf("%s-%s-%d", machine, strings.Trim(place, "pid:[]"), pid)
}

// ended tells that a process of this machine, which recorded, is there no more: nobody has to wait for it.
func ended(machine, who string) bool {
	pid, err := strconv.Atoi(who[strings.LastIndexByte(who, '-')+1:])
	return err == nil && pid > 0 && who == writer(machine, pid) && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// Committed takes the trackers of the revision that is checked out, in place of those of its work tree: a
// credential goes where people have agreed that it goes.
func (h *Repository) Committed(ctx context.Context) (revision string, err error) {
	head, err := h.Repo.Head(ctx)
	if err != nil {
		return "", err
	}
	tree, err := h.Repo.Open(ctx, head.SHA)
	if err != nil {
		return "", err
	}
	project, _, err := pass.Settings(tree)
	if err != nil {
		return "", err
	}
	h.Trackers = h.trackersOf(project)
	return head.SHA, nil
}

// TrackerState is how a tracker stood when it was last shown something.
type TrackerState struct {
	Tracker string    `json:"tracker"`
	Time    time.Time `json:"time"`
	Entries int64     `json:"entries"` // of the ledger, that it shows; 0: it was never whole
	Tries   int       `json:"tries,omitempty"`
	Error   string    `json:"error,omitempty"`
	Hint    string    `json:"hint,omitempty"`
	Folder  string    `json:"folder,omitempty"` // of this machine that it is in
	Runs    int       `json:"runs,omitempty"`   // that were written
	Writes  int       `json:"writes,omitempty"` // requests that changed something, or would
	Drift   []string  `json:"drift,omitempty"`
	Notes   []string  `json:"notes,omitempty"`
	moved   []port.TrackerMoved
	wishes  bool // it was looked at as a whole, and what was moved is all that is wished for
	err     error
}

// Err is why it failed, where it did just now.
func (s TrackerState) Err() error { return s.err }

func (h *Repository) trackersFile() string { return filepath.Join(h.Paths.State, "trackers.json") }

// TrackerStates are those that this machine noted last; none where it never showed anything.
func (h *Repository) TrackerStates() (out []TrackerState, err error) {
	raw, err := os.ReadFile(h.trackersFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		return nil, fault.New(fault.Corrupt, "read the state of trackers: %w", err)
	}
	return out, nil
}

// Track shows the ledger in every tracker that is declared, and notes how they stand. With dry, nothing
// is written and nothing noted. Its error is of the ledger alone: that of a tracker is in its state.
func (h *Repository) Track(ctx context.Context, dry bool) ([]TrackerState, error) {
	if len(h.Trackers) == 0 {
		return nil, nil
	}
	facts, err := h.GitLedger.Facts(ctx) // fetched, and verified as far as it is new
	if err != nil {
		return nil, err
	}
	if h.read == nil {
		h.read = &track.Reading{}
	}
	p, err := h.read.Project(track.Source{At: facts.At, Entries: func(from int64) iter.Seq2[ledger.Entry, error] { return h.entriesFrom(ctx, from) }, Store: h.Store, Remote: h.Remote})
	if err != nil {
		return nil, err
	}
	before, err := h.TrackerStates()
	if err != nil {
		before = nil // it is written anew
	}
	var out []TrackerState
	for _, t := range h.Trackers {
		out = append(out, h.show(ctx, t, p, facts.Count, was(before, t.Name), dry))
	}
	if dry {
		return out, nil
	}
	raw, err := json.MarshalIndent(out, "", "  ")
	if err == nil {
		err = os.MkdirAll(h.Paths.State, 0o700)
	}
	if err == nil {
		err = sandbox.WriteFile(h.trackersFile(), append(raw, '\n'))
	}
	if err != nil {
		return out, fault.New(fault.Transient, "note the state of trackers: %w", err)
	}
	return out, nil
}

func was(all []TrackerState, name string) TrackerState {
	for _, s := range all {
		if s.Tracker == name {
			return s
		}
	}
	return TrackerState{Tracker: name}
}

func (h *Repository) show(ctx context.Context, t Shown, p port.Projection, entries int64, before TrackerState, dry bool) TrackerState {
	p.Heal, p.Propose, p.Declined = t.Heals, t.Takes, h.declined
	r, err := t.Record(ctx, p, dry)
	if err == nil && r.Left > 0 && !dry {
		err = fault.WithHint(fault.New(fault.Transient, "another process is writing %s", plural.Of(r.Left, "record")),
			"run vishwa trackers sync again when it is done; if it was ended, that goes on with its work after a quarter of an hour")
	}
	s := TrackerState{Tracker: t.Name, Time: h.Now().UTC(), Entries: entries, Folder: t.Folder, Runs: r.Runs, Writes: r.Writes, Drift: r.Drift, Notes: r.Notes, moved: r.Moved}
	s.wishes = err == nil && t.Takes && !dry
	if err != nil {
		s.Entries, s.Tries, s.Error, s.Hint, s.err = before.Entries, before.Tries+1, err.Error(), fault.WayOut(err), err
	}
	return s
}
