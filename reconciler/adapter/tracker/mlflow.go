// Package tracker shows what the ledger records in the trackers and registries of others. A tracker
// holds no truth: each record is found again by the key that it was made under, and what is there
// already is left alone.
package tracker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	mlflowformat "github.com/vishwaops/vishwa/reconciler/format/mlflow"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/reconciler/machine/bounded"
	"github.com/vishwaops/vishwa/reconciler/machine/mlflowapi"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Tags of ours on MLflow's records.
const (
	tagLedger     = "vishwa.ledger"
	tagExperiment = "vishwa.experiment" // of an experiment: the name that it was made by
	tagKey        = "vishwa.key"
	tagEntry      = "vishwa.entry"
	tagDigest     = "vishwa.digest"
	tagProof      = "vishwa.proof"  // of a run, an experiment or a version: that a controller made it
	tagWriter     = "vishwa.writer" // who began to write it, and when
	tagSince      = "vishwa.since"
	tagBegun      = "vishwa.begun"  // that it was they, and then
	tagFiles      = "vishwa.files"  // of a version: what its files were when they were put
	tagModel      = "vishwa.model." // and a key: the model of MLflow that was begun for it, since when, by whom, and the proof
	tagAlias      = "vishwa.alias." // and the alias: the version that we gave it to
)

type mlflow struct {
	*mlflowapi.Client
	env      port.Env
	writer   string
	spec     schemas.MLflowTracker
	open     func(at *schemas.S3, env port.Env) (port.Bucket, error)
	own      Own
	unsigned sync.Map // runs that this process made and could not sign yet: by ledger and key, the id
}

// Options are what a tracker is reached with.
type Options struct {
	Env port.Env
	// Transport asks the server; nil is the usual way.
	Transport http.RoundTripper
	// Bucket opens where files of models go; nil is S3, with the credentials of Env.
	Bucket func(at *schemas.S3, env port.Env) (port.Bucket, error)
	Own    Own
	// Writer tells this process from others that record the same.
	Writer string
	// Sleep waits between tries; nil is the usual way.
	Sleep func(ctx context.Context, d time.Duration) error
}

// MLflow is a tracking server of MLflow 2.9 or newer, by its REST API.
func MLflow(spec schemas.MLflowTracker, o Options) port.Tracker {
	m := &mlflow{Client: mlflowapi.New(mlflowapi.Options{URL: spec.URL, Workspace: spec.Workspace, Token: spec.Token, Env: o.Env, Transport: o.Transport, Sleep: o.Sleep}), env: o.Env, writer: o.Writer, spec: spec, open: o.Bucket, own: o.Own}
	if m.open == nil {
		m.open = intoS3
	}
	return m
}

// session is one recording.
type session struct {
	*mlflow
	p          port.Projection
	dry        bool
	experiment string
	signs      bool                     // it was tried
	begins     bool                     // it made the experiment
	known      map[digest.Digest]string // runs of ours that were signed, by their keys; kept: as the witness has them
	kept       map[digest.Digest]string
	models     *placed // nil: files of models stay where they are
	stale      []stale // versions of the model at hand that others took the place of
	major      *int    // of the server's release; nil: it was not asked
	out        port.Recorded
}

func (m *mlflow) Record(ctx context.Context, p port.Projection, dry bool) (port.Recorded, error) {
	s := &session{mlflow: m, p: p, dry: dry}
	err := s.record(ctx)
	return s.out, err
}

func (s *session) record(ctx context.Context) (err error) {
	if len(s.p.Runs) == 0 && len(s.p.Models) == 0 {
		return nil // an experiment of nothing is nobody's
	}
	if err := s.findExperiment(ctx); err != nil {
		return err
	}
	there, err := s.runsThere(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.keep()) }()
	var failed []error
	for _, r := range s.p.Runs {
		if err := s.run(ctx, r, there); err != nil {
			failed = append(failed, fmt.Errorf("record run %s of entry %d: %w", r.Name, r.Entry, err))
		}
		if bounded.Stops(failed) {
			return errors.Join(failed...)
		}
	}
	models := s.p.Models
	if err := s.findModels(ctx); err != nil {
		failed, models = append(failed, fmt.Errorf("record the files of models: %w", err)), nil
	}
	for _, m := range models {
		if err := s.model(ctx, m, there); err != nil {
			failed = append(failed, fmt.Errorf("record model %s: %w", m.Name, err))
		}
		if bounded.Stops(failed) {
			break
		}
	}
	return errors.Join(failed...)
}

func (s *session) drift(format string, args ...any) {
	if len(s.out.Drift) < bounded.Most {
		s.out.Drift = append(s.out.Drift, bounded.Shortened(fmt.Sprintf(format, args...), bounded.MostWords))
	}
}

func (s *session) note(format string, args ...any) {
	if len(s.out.Notes) < bounded.Most {
		s.out.Notes = append(s.out.Notes, fmt.Sprintf(format, args...))
	}
}

// write posts what changes something, or counts it.
func (s *session) write(ctx context.Context, path string, body, out any) error {
	if s.dry {
		s.out.Writes++
		return nil
	}
	err := s.Post(ctx, path, body, out)
	if err == nil {
		s.out.Writes++
	}
	return err
}

type tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// tags are ours by MLflow's names.
func (s *session) tags(own map[string]string, of map[string]string) []tag {
	all := map[string]string{tagLedger: s.p.Ledger}
	maps.Copy(all, own)
	for name, value := range of {
		switch name {
		case port.TagRevision:
			all["mlflow.source.git.commit"] = value
		case port.TagRemote:
			all["mlflow.source.git.repoURL"] = value
		case port.TagSource:
			all["mlflow.source.name"], all["mlflow.source.type"] = value, "PROJECT"
		case port.TagAuthor:
			all["mlflow.user"] = value
		}
		all["vishwa."+name] = value
	}
	out := make([]tag, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if v := all[name]; v != "" {
			out = append(out, tag{name, bounded.Shortened(v, mostTagValue)})
		}
	}
	return out
}

// experimentAnswer is what MLflow says of an experiment.
type experimentAnswer struct {
	Experiment struct {
		ID    string `json:"experiment_id"`
		Stage string `json:"lifecycle_stage"`
		Root  string `json:"artifact_location"`
	} `json:"experiment"`
}

// findExperiment finds the experiment, or makes it.
func (s *session) findExperiment(ctx context.Context) error {
	name := s.spec.ExperimentName()
	var got experimentAnswer
	err := s.Get(ctx, "experiments/get-by-name", map[string]string{"experiment_name": name}, &got)
	switch {
	case err != nil && fault.Of(err) != fault.Missing:
		return fmt.Errorf("find experiment %s: %w", name, err)
	case err == nil && got.Experiment.Stage == "deleted":
		s.drift("experiment %s was deleted", name)
		if !s.p.Heal {
			return fault.WithHint(fault.New(fault.Conflict, "experiment %s was deleted from MLflow", name), "restore it with mlflow experiments restore, or declare onDrift: heal")
		}
		if err := shaped(experimentID, got.Experiment.ID); err != nil {
			return err
		}
		s.experiment = got.Experiment.ID
		return s.write(ctx, "experiments/restore", map[string]string{"experiment_id": s.experiment}, nil)
	case err == nil:
		s.experiment = got.Experiment.ID
		return shaped(experimentID, s.experiment)
	}
	if other, err := s.renamed(ctx, name); err != nil || other != "" {
		return err
	}
	var made struct {
		ID string `json:"experiment_id"`
	}
	if err := s.canSign(); err != nil {
		return err
	}
	err = s.write(ctx, "experiments/create", map[string]any{"name": name, "tags": []tag{{tagLedger, s.p.Ledger}, {tagExperiment, name}}}, &made)
	if fault.Of(err) == fault.Conflict && err != nil { // somebody made it meanwhile
		if err = s.Get(ctx, "experiments/get-by-name", map[string]string{"experiment_name": name}, &got); err == nil {
			made.ID = got.Experiment.ID
		}
	}
	s.experiment, s.begins = made.ID, err == nil && got.Experiment.ID == ""
	if err != nil || s.dry {
		return err
	}
	if err = shaped(experimentID, made.ID); err != nil || got.Experiment.ID != "" {
		return err
	}
	proof, err := s.own.Sign(s.records().MadeExperiment(name, made.ID))
	if err != nil {
		return err
	}
	return s.write(ctx, "experiments/set-experiment-tag", map[string]string{"experiment_id": made.ID, "key": tagProof, "value": proof}, nil)
}

// renamed looks for the experiment that we made by this name and that has another one now, and takes it, so that its runs are not written a second
// time. It is given its name again where that is declared. One that only says so of itself is somebody's.
func (s *session) renamed(ctx context.Context, name string) (id string, err error) {
	var got struct {
		Experiments []struct {
			ID   string `json:"experiment_id"`
			Name string `json:"name"`
			Tags []tag  `json:"tags"`
		} `json:"experiments"`
	}
	body := map[string]any{"filter": "tags.`" + tagLedger + "` = '" + s.p.Ledger + "'", "view_type": "ACTIVE_ONLY", "max_results": 1000}
	if err := s.Post(ctx, "experiments/search", body, &got); err != nil {
		if fault.Of(err) == fault.Missing && s.spec.Workspace != "" { // a list is never missing
			return "", fault.WithHint(fault.New(fault.Invalid, "MLflow has no workspace %s, or does not show it to this credential", s.spec.Workspace), "correct the tracker's workspace, or have the server's administrator let the credential in")
		}
		return "", fmt.Errorf("find experiment %s: %w", name, err)
	}
	for _, e := range got.Experiments {
		if valueOf(e.Tags, tagLedger) != s.p.Ledger || valueOf(e.Tags, tagExperiment) != name || e.Name == name || !s.own.Signed(s.records().MadeExperiment(name, e.ID), valueOf(e.Tags, tagProof)) {
			continue
		}
		if err := shaped(experimentID, e.ID); err != nil {
			return "", err
		}
		s.drift("experiment %s was renamed to %s", name, e.Name)
		s.experiment = e.ID
		if !s.p.Heal {
			return e.ID, nil
		}
		return e.ID, s.write(ctx, "experiments/update", map[string]string{"experiment_id": e.ID, "new_name": name}, nil)
	}
	return "", nil
}

// Ids as MLflow makes and takes them.
var (
	runID        = lazyregexp.New(`^[0-9a-f]{32}$`)
	experimentID = lazyregexp.New(`^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$`)
)

// shaped refuses an answer that does not say what it is about: what is asked for by no name is not found
// again, and would be made a second time.
func shaped(as *lazyregexp.Regexp, id string) error {
	if !as.MatchString(id) {
		return fault.WithHint(fault.New(fault.Invalid, "MLflow answers without saying of what"), "see what answers at the tracker's url")
	}
	return nil
}

// runAnswer is what MLflow says of a run.
type runAnswer struct {
	Info struct {
		ID         string `json:"run_id"`
		Experiment string `json:"experiment_id"`
		Status     string `json:"status"`
		Stage      string `json:"lifecycle_stage"`
	} `json:"info"`
	Data struct {
		Tags   []tag                `json:"tags"`
		Params []tag                `json:"params"`
		Mets   []mlflowformat.Point `json:"metrics"`
	} `json:"data"`
}

func valueOf(tags []tag, key string) string {
	for _, t := range tags {
		if t.Key == key {
			return t.Value
		}
	}
	return ""
}
