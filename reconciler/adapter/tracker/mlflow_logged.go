// MLflow's models with files: where the project declares it, each release is a LoggedModel of MLflow 3, whose files are put straight into the bucket
// that the experiment's artifact location is in. The server that answers says where that is, and is believed below the declared place alone.

package tracker

import (
	"context"
	"fmt"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/bounded"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/machine/mlflowapi"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

const (
	modelReady  = "LOGGED_MODEL_READY"
	modelSource = "models:/" // and its id
)

var modelID = lazyregexp.New(`^m-[0-9a-f]{32}$`)

// placed is where files of models are put, and what is there. What of it is ours is said where it takes the registry's permission to say so: by the
// source of a version, and while there is none, by a tag of the registered model. Tags of a model say nothing: whoever may write to the experiment
// writes them. Nothing there is ever written over or deleted.
type placed struct {
	port.Bucket
	spec  *schemas.S3
	root  string // of the experiment, as keys begin
	found map[string]*loggedAnswer
}

// loggedModel is a model of ours on the server.
type loggedModel struct {
	id    string
	at    string // below the declared place, with a slash at its end
	ready bool
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
	s.models = &placed{Bucket: in, spec: s.spec.Models, found: map[string]*loggedAnswer{}}
	if s.experiment == "" { // it is yet to be made, and this is dry
		return nil
	}
	var got experimentAnswer
	if err := s.Get(ctx, "experiments/get", map[string]string{"experiment_id": s.experiment}, &got); err != nil {
		return err
	}
	root, below := s.models.below(got.Experiment.Root)
	if !below {
		return fault.WithHint(fault.New(fault.Invalid, "MLflow keeps the files of experiment %s at %s, which is not below %s", s.spec.ExperimentName(), bounded.Shortened(got.Experiment.Root, bounded.MostWords/2), s.spec.Models.URL),
			"declare that place in spec.trackers.mlflow.models, give the experiment an artifact location there, or remove models: files go by no server")
	}
	s.models.root = root
	return s.searchModels(ctx)
}

// searchModels finds many at once. One that is not on the list is asked for by its id, so what others put on it does no harm.
func (s *session) searchModels(ctx context.Context) error {
	const each = 100
	versions, pages := 0, 0
	for _, m := range s.p.Models {
		versions += len(m.Versions)
	}
	return mlflowapi.Paged("models", func(page string) (string, error) {
		var got struct {
			Models []loggedAnswer `json:"models"`
			Next   string         `json:"next_page_token"`
		}
		body := map[string]any{"experiment_ids": []string{s.experiment}, "filter": "tags.`" + tagLedger + "` = '" + s.p.Ledger + "'", "max_results": each}
		if page != "" {
			body["page_token"] = page
		}
		if err := s.Post(ctx, "logged-models/search", body, &got); err != nil {
			return "", fmt.Errorf("look for models: %w", err)
		}
		for _, m := range got.Models {
			s.models.found[m.Info.ID] = &m
		}
		if pages++; pages > 2*versions/each+2 {
			return "", nil
		}
		return got.Next, nil
	})
}

// logged is a model by its id; nil where there is none, or none any more.
func (s *session) logged(ctx context.Context, id string) (*loggedModel, error) {
	m, known := s.models.found[id]
	if !known {
		var got struct {
			Model loggedAnswer `json:"model"`
		}
		err := s.Get(ctx, "logged-models/"+id, nil, &got)
		if err != nil && fault.Of(err) != fault.Missing {
			return nil, err
		}
		if err == nil {
			m = &got.Model
		}
		s.models.found[id] = m
	}
	if m == nil {
		return nil, nil
	}
	l, err := s.models.modelOf(*m)
	if err == nil && l.id != id {
		err = fault.WithHint(fault.New(fault.Invalid, "MLflow was asked for model %s, and answers with %s", id, l.id), "see what answers at the tracker's url")
	}
	return &l, err
}

// modelOf is a model as the server tells of it, at the one place where MLflow keeps the files of a model of this experiment.
func (p *placed) modelOf(m loggedAnswer) (l loggedModel, err error) {
	at, below := p.below(m.Info.At)
	if !modelID.MatchString(m.Info.ID) || !below || at != p.root+"models/"+m.Info.ID+"/artifacts/" {
		return l, fault.WithHint(fault.New(fault.Invalid, "MLflow has the files of a model at %s, and those of the experiment are below %s", bounded.Shortened(m.Info.At, bounded.MostWords/2), strings.TrimRight(p.spec.URL, "/")+"/"+p.root+"models"),
			"see what answers at the tracker's url, and where the experiment keeps its artifacts")
	}
	return loggedModel{id: m.Info.ID, at: at, ready: m.Info.Status == modelReady}, nil
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

// release has a version of a model there, with its files where they are declared. One that was made without them stays
// as it is: MLflow lets nobody change what a version is of. "": somebody else is at it.
func (s *session) release(ctx context.Context, name string, v port.TrackerVersion, runs map[digest.Digest]found, there registered) (number string, err error) {
	was := there[v.Key]
	number = was.number
	switch {
	case number != "" && (s.models == nil || !ofModel(was.source)):
		return number, nil
	case s.models == nil:
		return s.version(ctx, name, v, runs, filed{})
	case number != "" && was.live != nil:
		if stays, err := s.intact(ctx, name, was, v); err != nil || stays || !s.p.Heal {
			return number, err
		}
	case number != "":
		s.drift("version %s of model %s: the model in MLflow that it is of was deleted", number, name)
		if !s.p.Heal {
			return number, nil
		}
	}
	l, err := s.logModel(ctx, name, v, runs)
	if err != nil || l.id == "" {
		return number, err
	}
	made, err := s.version(ctx, name, v, runs, l)
	if err != nil {
		return number, err
	}
	if number != "" {
		s.stale = append(s.stale, stale{number, v.Key, s.made(name, v.Key, was)})
	}
	return made, s.remove(ctx, "registered-models/delete-tag", map[string]string{"name": name, "key": tagModel + v.Key.Hex()}) // it has a version that says so
}

// intact tells whether a version's files are as they were put. What is missing of them is put there again; where there are others, the model
// is made anew elsewhere, as nothing is written over.
func (s *session) intact(ctx context.Context, name string, was versionThere, v port.TrackerVersion) (stays bool, err error) {
	l := was.live
	below, err := artifact.Look(ctx, s.models, l.at, v.Model)
	if err != nil {
		return false, err
	}
	whole := len(below.Lacks) == 0 && len(below.Other) == 0
	if whole && string(below.Sum) == was.files {
		return true, nil
	}
	if len(below.Other) > 0 {
		s.drift("version %s of model %s has files that are not of its release, or of another size, such as %s", was.number, name, below.Other[0])
		return false, nil
	}
	if n := len(below.Lacks); n > 0 {
		s.drift("version %s of model %s lacks %d of its %s, such as %s", was.number, name, n, plural.Of(len(artifact.Files(v.Model)), "file"), below.Lacks[0].Path)
	} else if !s.p.Heal || s.dry {
		s.drift("version %s of model %s: its files were written again by somebody, and may be others", was.number, name)
	}
	if !s.p.Heal {
		return false, nil
	}
	if s.dry {
		s.out.Writes += len(below.Lacks) + 1
		return true, nil
	}
	sum, err := s.fillPlace(ctx, l.at, v, below)
	if err != nil || sum == "" {
		if err == nil {
			s.drift("version %s of model %s: the bytes of its files were changed", was.number, name)
		}
		return false, err
	}
	return true, s.write(ctx, "model-versions/set-tag", map[string]string{"name": name, "version": was.number, "key": tagFiles, "value": sum}, nil)
}

// fillPlace puts what is missing where nothing is, once what is there was read and is the release's; "": it is not. What lies there in the end
// is what was put or read, and nothing else.
func (s *session) fillPlace(ctx context.Context, at string, v port.TrackerVersion, below artifact.Below) (sum string, err error) {
	if len(below.Other) > 0 {
		return "", nil
	}
	if differ, err := below.Differ(ctx, s.models, v.Model); err != nil || len(differ) > 0 {
		return "", err
	}
	if len(below.Lacks) > 0 && s.p.Content == nil {
		return "", fault.New(fault.Internal, "send the files of a model: there is no store to read them from")
	}
	etags, err := artifact.Send(ctx, s.models.Bucket, at, below.Lacks, s.p.Content)
	s.out.Writes += len(etags)
	if err != nil {
		return "", err
	}
	for path, o := range below.There {
		etags[path] = o.ETag
	}
	now, err := artifact.Look(ctx, s.models, at, v.Model)
	if err != nil {
		return "", err
	}
	if want := artifact.SumOf(etags); len(now.Other) > 0 || now.Sum != want {
		return "", fault.WithHint(fault.New(fault.Conflict, "somebody else writes to %s/%s", strings.TrimRight(s.models.spec.URL, "/"), at),
			"see who may write there; the model is made elsewhere the next time")
	}
	return string(now.Sum), nil
}

// filed is a model whose files are there: their sum is noted at its version.
type filed struct{ id, files string }

// logModel makes a model with its files, or goes on with one that was begun; no id: somebody else is at it.
func (s *session) logModel(ctx context.Context, name string, v port.TrackerVersion, runs map[digest.Digest]found) (out filed, err error) {
	run, known := runs[v.Run]
	known = known && !run.deleted
	l, other, err := s.begun(ctx, name, v)
	if err != nil || other {
		return out, err
	}
	before := l != nil
	if before {
		below, err := artifact.Look(ctx, s.models, l.at, v.Model)
		if err == nil {
			out.files, err = s.fillPlace(ctx, l.at, v, below)
		}
		if err != nil {
			return out, err
		}
		if before = out.files != ""; !before {
			s.note("model %s of entry %d was begun as %s, where others put files: it is begun anew", name, v.Entry, l.id)
		}
	}
	if !before {
		if l, err = s.beginModel(ctx, name, v, run.id); err != nil {
			return out, err
		}
		if s.dry {
			s.out.Writes += len(artifact.Files(v.Model))
		} else if out.files, err = s.fillPlace(ctx, l.at, v, artifact.Below{Lacks: artifact.Files(v.Model)}); err != nil {
			return out, err
		}
	}
	if out.id = l.id; l.ready {
		return out, nil
	}
	if known {
		if err := s.output(ctx, run.id, l.id, before); err != nil {
			return filed{}, err
		}
		if err := s.score(ctx, run.id, l.id, v); err != nil {
			return filed{}, err
		}
	}
	if s.dry {
		s.out.Writes++
		return out, nil
	}
	if err := s.Ask(ctx, "PATCH", "logged-models/"+l.id, map[string]string{"model_id": l.id, "status": modelReady}, nil); err != nil {
		return filed{}, err
	}
	s.out.Writes++
	return out, nil
}
