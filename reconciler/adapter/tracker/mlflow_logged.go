// MLflow's models with files: where the project declares it, each release is a LoggedModel of MLflow 3, whose files are put straight into the bucket
// that the experiment's artifact location is in. The server that answers says where that is, and is believed below the declared place alone.

package tracker

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/bounded"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

const (
	modelReady  = "LOGGED_MODEL_READY"
	modelSource = "models:/" // and its id
)

var modelID = lazyregexp.New(`^m-[0-9a-f]{32}$`)

// placed is where files of models are put, and what is there.
type placed struct {
	port.Bucket
	spec  *schemas.S3
	found map[digest.Digest]loggedModel // of this ledger, by the keys of versions
}

// loggedModel is a model of ours on the server.
type loggedModel struct {
	id     string
	at     string // below the declared place, with a slash at its end
	ready  bool
	writer string
	since  int64
}

// loggedAnswer is what MLflow says of a model.
type loggedAnswer struct {
	Info struct {
		ID     string `json:"model_id"`
		At     string `json:"artifact_uri"`
		Status string `json:"status"`
		Tags   []tag  `json:"tags"`
	} `json:"info"`
}

// intoS3 opens the declared bucket.
func intoS3(at *schemas.S3, env port.Env) (port.Bucket, error) {
	if err := env.MayUse(at.Address()); err != nil {
		return nil, err
	}
	name, prefix, _ := strings.Cut(strings.TrimPrefix(at.URL, "s3://"), "/")
	return bucket.S3(bucket.S3Options{Bucket: name, Prefix: strings.Trim(prefix, "/"), Endpoint: at.Endpoint, Region: at.Region, Profile: at.Profile, PathStyle: at.PathStyle, Lookup: env.Lookup})
}

// findModels looks where files of models go, and which are there.
func (s *session) findModels(ctx context.Context) error {
	if s.spec.Models == nil || len(s.p.Models) == 0 {
		return nil
	}
	in, err := s.open(s.spec.Models, s.env)
	if err != nil {
		return err
	}
	s.models = &placed{in, s.spec.Models, map[digest.Digest]loggedModel{}}
	if s.experiment == "" { // it is yet to be made, and this is dry
		return nil
	}
	var got experimentAnswer
	if err := s.get(ctx, "experiments/get", map[string]string{"experiment_id": s.experiment}, &got); err != nil {
		return err
	}
	if _, below := s.models.below(got.Experiment.Root); !below {
		return fault.WithHint(fault.New(fault.Invalid, "MLflow keeps the files of experiment %s at %s, which is not below %s", s.spec.ExperimentName(), bounded.Shortened(got.Experiment.Root, bounded.MostWords/2), s.spec.Models.URL),
			"declare that place in spec.trackers.mlflow.models, give the experiment an artifact location there, or remove models: files go by no server")
	}
	var twice []string
	err = paged("models", func(page string) (string, error) {
		var got struct {
			Models []loggedAnswer `json:"models"`
			Next   string         `json:"next_page_token"`
		}
		body := map[string]any{"experiment_ids": []string{s.experiment}, "filter": "tags.`" + tagLedger + "` = '" + s.p.Ledger + "'", "max_results": 100}
		if page != "" {
			body["page_token"] = page
		}
		if err := s.post(ctx, "logged-models/search", body, &got); err != nil {
			return "", fmt.Errorf("look for models: %w", err)
		}
		for _, m := range got.Models {
			l, err := s.models.modelOf(m)
			if err != nil {
				return "", err
			}
			key := digest.Digest(valueOf(m.Info.Tags, tagKey))
			was, there := s.models.found[key]
			if there && was.id != l.id {
				if was.ready && !l.ready || was.ready == l.ready && was.id < l.id {
					was, l = l, was
				}
				twice = append(twice, was.id)
			}
			s.models.found[key] = l
		}
		return got.Next, nil
	})
	for _, id := range twice { // two recorded it at once
		if err == nil {
			err = s.remove(ctx, "logged-models/"+id, nil)
		}
	}
	return err
}

// modelOf is a model as the server tells of it.
func (p *placed) modelOf(m loggedAnswer) (l loggedModel, err error) {
	at, below := p.below(m.Info.At)
	if !modelID.MatchString(m.Info.ID) || !below || at != "models/"+m.Info.ID+"/artifacts/" && !strings.HasSuffix(at, "/models/"+m.Info.ID+"/artifacts/") {
		return l, fault.WithHint(fault.New(fault.Invalid, "MLflow has the files of a model at %s, which is no place of a model below %s", bounded.Shortened(m.Info.At, bounded.MostWords/2), p.spec.URL),
			"see what answers at the tracker's url, and where the experiment keeps its artifacts")
	}
	l = loggedModel{id: m.Info.ID, at: at, ready: m.Info.Status == modelReady, writer: valueOf(m.Info.Tags, tagWriter)}
	l.since, _ = strconv.ParseInt(valueOf(m.Info.Tags, tagSince), 10, 64)
	return l, nil
}

// below is a place as keys of the declared one begin.
func (p *placed) below(uri string) (prefix string, is bool) {
	rest, is := strings.CutPrefix(strings.TrimRight(uri, "/")+"/", strings.TrimRight(p.spec.URL, "/")+"/")
	for part := range strings.SplitSeq(strings.TrimSuffix(rest, "/"), "/") {
		is = is && part != "." && part != ".." && (part != "" || rest == "")
	}
	return rest, is
}

// ofModel tells whether a version is of a model of MLflow's, and not of files in a store.
func ofModel(source string) bool {
	id, is := strings.CutPrefix(source, modelSource)
	return is && modelID.MatchString(id)
}

// live tells whether a version's source is the model that is there of its key.
func (p *placed) live(key digest.Digest, source string) bool {
	if p == nil {
		return false
	}
	l, there := p.found[key]
	return there && source == modelSource+l.id
}

// release has a version of a model there, with its files where they are declared. One that was made without them stays
// as it is: MLflow lets nobody change what a version is of. "": somebody else is at it.
func (s *session) release(ctx context.Context, name string, v port.TrackerVersion, runs map[digest.Digest]found, there registered) (number string, err error) {
	number = there.numbers[v.Key]
	source := there.sources[v.Key]
	switch {
	case number != "" && (s.models == nil || !ofModel(source)):
		return number, nil
	case s.models == nil:
		return s.version(ctx, name, v, runs, "")
	case number != "" && s.models.live(v.Key, source):
		return number, s.lacking(ctx, name, number, v)
	case number != "":
		s.drift("version %s of model %s: the model in MLflow that it is of was deleted", number, name)
		if !s.p.Heal {
			return number, nil
		}
	}
	id, err := s.logModel(ctx, name, v, runs)
	if err != nil || id == "" {
		return number, err
	}
	made, err := s.version(ctx, name, v, runs, id)
	if err == nil && number != "" {
		s.stale = append(s.stale, number)
	}
	return made, err
}

// lacking puts files back that somebody took away.
func (s *session) lacking(ctx context.Context, name, number string, v port.TrackerVersion) error {
	l := s.models.found[v.Key]
	lacks, err := artifact.Lacks(ctx, s.models, l.at, v.Model)
	if err != nil || len(lacks) == 0 {
		return err
	}
	s.drift("version %s of model %s lacks %d of its %s, such as %s", number, name, len(lacks), plural.Of(len(artifact.Files(v.Model)), "file"), lacks[0].Path)
	if !s.p.Heal {
		return nil
	}
	return s.send(ctx, l.at, lacks)
}

// send puts files into the bucket, or counts them.
func (s *session) send(ctx context.Context, at string, files []digest.File) error {
	if s.dry {
		s.out.Writes += len(files)
		return nil
	}
	if len(files) > 0 && s.p.Content == nil {
		return fault.New(fault.Internal, "send the files of a model: there is no store to read them from")
	}
	n, err := artifact.Send(ctx, s.models, at, files, s.p.Content)
	s.out.Writes += n
	return err
}

// logModel makes a model with its files, or goes on with one that was begun; "": somebody else is at it.
func (s *session) logModel(ctx context.Context, name string, v port.TrackerVersion, runs map[digest.Digest]found) (id string, err error) {
	l, begun := s.models.found[v.Key]
	if begun && !l.ready && l.writer != s.writer && s.env.Now().UnixMilli()-l.since < bounded.Abandoned.Milliseconds() {
		s.note("model %s of entry %d is being written by somebody else", name, v.Entry)
		return "", nil
	}
	run, known := runs[v.Run]
	known = known && !run.deleted
	if !begun {
		if l, err = s.beginModel(ctx, name, v, run.id); err != nil {
			return "", err
		}
	}
	lacks := artifact.Files(v.Model)
	if !s.dry || begun {
		if lacks, err = artifact.Lacks(ctx, s.models, l.at, v.Model); err != nil {
			return "", err
		}
	}
	if err := s.send(ctx, l.at, lacks); err != nil {
		return "", err
	}
	if l.ready {
		return l.id, nil
	}
	if known {
		if err := s.output(ctx, run.id, l.id, begun); err != nil {
			return "", err
		}
	}
	if s.dry {
		s.out.Writes++
		return "new", nil
	}
	if err := s.ask(ctx, "PATCH", "logged-models/"+l.id, map[string]string{"model_id": l.id, "status": modelReady}, nil); err != nil {
		return "", err
	}
	s.out.Writes++
	l.ready = true
	s.models.found[v.Key] = l
	return l.id, nil
}

var notInNames = strings.NewReplacer("/", "_", ":", "_", ".", "_", "%", "_", `"`, "_", "'", "_")

func (s *session) beginModel(ctx context.Context, name string, v port.TrackerVersion, run string) (l loggedModel, err error) {
	own := map[string]string{tagKey: string(v.Key), tagEntry: fmt.Sprint(v.Entry), tagDigest: string(v.Digest), tagWriter: s.writer, tagSince: fmt.Sprint(s.env.Now().UnixMilli())}
	body := map[string]any{"experiment_id": s.experiment, "name": notInNames.Replace(name), "tags": s.tags(own, v.Tags)}
	if run != "" {
		body["source_run_id"] = run
	}
	if i := slices.IndexFunc(s.p.Runs, func(r port.TrackerRun) bool { return r.Key == v.Run }); i >= 0 && v.Run != "" {
		params := parameters(s.p.Runs[i], nil)
		for size(params) > mostBatchBytes/2 {
			params = params[:len(params)/2]
		}
		if len(params) > 0 {
			body["params"] = params
		}
	}
	var made struct {
		Model loggedAnswer `json:"model"`
	}
	if err := s.write(ctx, "logged-models", body, &made); err != nil || s.dry {
		return l, err
	}
	return s.models.modelOf(made.Model)
}

// output says of a run that it made the model; once, as MLflow does not take it twice.
func (s *session) output(ctx context.Context, run, id string, begun bool) error {
	if begun {
		var got struct {
			Run struct {
				Outputs struct {
					Models []struct {
						ID string `json:"model_id"`
					} `json:"model_outputs"`
				} `json:"outputs"`
			} `json:"run"`
		}
		if err := s.get(ctx, "runs/get", map[string]string{"run_id": run}, &got); err != nil {
			return err
		}
		for _, m := range got.Run.Outputs.Models {
			if m.ID == id {
				return nil
			}
		}
	}
	return s.write(ctx, "runs/outputs", map[string]any{"run_id": run, "models": []any{map[string]any{"model_id": id, "step": 0}}}, nil)
}
