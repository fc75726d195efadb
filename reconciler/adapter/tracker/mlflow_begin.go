// How a model of MLflow is begun, noted as ours and gone on with.

package tracker

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/bounded"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// begun is a model that has no version yet, as the registered model notes it: its id, since when, who began it, and the proof of that. other: somebody
// else is at it.
func (s *session) begun(ctx context.Context, name string, v port.TrackerVersion) (l *loggedModel, other bool, err error) {
	if s.dry {
		return nil, false, nil
	}
	var got registeredAnswer
	if err := s.Get(ctx, "registered-models/get", map[string]string{"name": name}, &got); err != nil {
		return nil, false, err
	}
	text := valueOf(got.Model.Tags, tagModel+v.Key.Hex())
	if text == "" {
		return nil, false, nil
	}
	text, proof, _ := strings.Cut(text, "\n") // a proof has lines
	note := append(strings.SplitN(text, " ", 3), "", "")
	id, writer := note[0], note[2]
	since, _ := strconv.ParseInt(note[1], 10, 64)
	if !modelID.MatchString(id) || !s.own.Signed(s.records().BegunModel(name, v.Key, id, writer, since), proof) {
		s.note("model %s of entry %d: what is noted of it as begun is signed by no controller: it is begun anew", name, v.Entry)
		return nil, false, nil
	}
	if s.busy("model "+name, v.Entry, writer, since) {
		return nil, true, nil
	}
	l, err = s.logged(ctx, id)
	return l, false, err
}

var notInNames = strings.NewReplacer("/", "_", ":", "_", ".", "_", "%", "_", `"`, "_", "'", "_")

// beginModel makes a model that has no files, and notes that it is ours.
func (s *session) beginModel(ctx context.Context, name string, v port.TrackerVersion, run string) (*loggedModel, error) {
	if err := s.canSign(); err != nil {
		return nil, err
	}
	own := map[string]string{tagKey: string(v.Key), tagEntry: fmt.Sprint(v.Entry), tagDigest: string(v.Digest)}
	body := map[string]any{"experiment_id": s.experiment, "name": notInNames.Replace(name), "tags": s.tags(own, v.Tags)}
	if run != "" {
		body["source_run_id"] = run
	}
	if i := slices.IndexFunc(s.p.Runs, func(r port.TrackerRun) bool { return r.Key == v.Run }); i >= 0 && v.Run != "" {
		params := parameters(s.p.Runs[i], nil, true) // models are MLflow 3's
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
	if err := s.write(ctx, "logged-models", body, &made); err != nil {
		return nil, err
	}
	l := loggedModel{id: "new"}
	if !s.dry {
		var err error
		if l, err = s.models.modelOf(made.Model); err != nil {
			return nil, err
		}
		for o, err := range s.models.List(ctx, l.at) {
			if err != nil {
				return nil, err
			}
			return nil, fault.WithHint(fault.New(fault.Conflict, "MLflow says that model %s was just made, and its place in the bucket has %s", l.id, bounded.Shortened(o.Key, bounded.MostWords/2)),
				"nothing was written over it: see what answers at the tracker's url, and who else writes to the bucket")
		}
		s.models.found[l.id] = &made.Model
	}
	note := ""
	if !s.dry {
		since := s.env.Now().UnixMilli()
		proof, err := s.own.Sign(s.records().BegunModel(name, v.Key, l.id, s.writer, since))
		if err != nil {
			return nil, err
		}
		note = fmt.Sprintf("%s %d %s\n%s", l.id, since, s.writer, proof)
	}
	return &l, s.write(ctx, "registered-models/set-tag", map[string]string{"name": name, "key": tagModel + v.Key.Hex(), "value": note}, nil)
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
		if err := s.Get(ctx, "runs/get", map[string]string{"run_id": run}, &got); err != nil {
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
