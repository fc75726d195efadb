// The suite of what a training logs by the tools of others: it comes out the same under every Runner.

package porttest

import (
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/format/tracking"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// mlflow lays down what MLflow's file store does, where a run is told to.
const mlflow = `s="${MLFLOW_TRACKING_URI#file://}"; r="$s/1/r1"; m="$s/1/models/m-1/artifacts"; mkdir -p "$r/metrics/val" "$r/params" "$r/artifacts" "$m"
printf 'run_id: r1\nlifecycle_stage: active\nstart_time: 5\n' > "$r/meta.yaml"; printf '1 0.5 0\n2 0.25 1\n' > "$r/metrics/val/loss"; printf '1 nan 0\n' > "$r/metrics/bad"
printf 3 > "$r/params/depth"; echo '<svg/>' > "$r/artifacts/curve.svg"; printf 'flavors: {xgboost: {}}\nrun_id: r1\n' > "$m/MLmodel"; echo weights > "$m/model.ubj"; `

// workTracking: an unchanged script has its metrics, parameters and model read where it logged them.
func workTracking(t *testing.T, b WorkBench) {
	job := b.job("tracking", mlflow)
	job.Model, job.MetricsFrom, job.ModelFrom, job.Pass = true, []string{"mlflow"}, "mlflow", []string{"MLFLOW_TRACKING_URI"}
	r := b.run(t, job)
	if r.Cause != "" {
		t.Fatalf("%s: %s %s", r.Cause, r.Message, r.Tail)
	}
	if len(r.Metrics) != 1 || r.Metrics["val/loss"] != 0.25 {
		t.Errorf("metrics %v", r.Metrics)
	}
	if r.Model == nil || len(r.Model.Files) != 2 || r.Model.Files[0].Path != "MLmodel" || b.get(t, r.Model.Files[1].Digest) != "weights\n" {
		t.Errorf("model %+v", r.Model)
	}
	d := b.logged(t, r)
	if d.Params["depth"] != "3" || len(d.Series) != 2 || len(d.Series[1].Values) != 2 || len(d.Notes) == 0 {
		t.Errorf("it logged %+v", d)
	}
	if f := r.Tracking.Files; len(f) != 2 || !strings.HasPrefix(f[0].Path, port.TrackingMedia) || !strings.HasSuffix(f[0].Path, "/curve.svg") || b.get(t, f[0].Digest) != "<svg/>\n" {
		t.Errorf("beside it lies %+v", f)
	}
}

// workFound: what nobody named is found, and counts where nothing was written for Vishwa alone.
func workFound(t *testing.T, b WorkBench) {
	job := b.job("found", mlflow+`echo w > "$VISHWA_MODEL_DIR/model.bin"`)
	job.Model = true
	if r := b.run(t, job); r.Cause != "" || r.Metrics["val/loss"] != 0.25 || len(r.Model.Files) != 1 {
		t.Errorf("%s %s: metrics %v, model %+v", r.Cause, r.Message, r.Metrics, r.Model)
	}
	job = b.job("both", mlflow+metrics+`echo w > "$VISHWA_MODEL_DIR/model.bin"`)
	job.Model = true
	r := b.run(t, job)
	if r.Cause != "" || len(r.Metrics) != 1 || r.Metrics["test.auc"] != 0.5 {
		t.Fatalf("%s %s: metrics %v", r.Cause, r.Message, r.Metrics)
	}
	if d := b.logged(t, r); d.Params["depth"] != "3" {
		t.Errorf("it logged %+v", d)
	}
}

// workModelAt: a command that knows nothing of Vishwa writes its model where it always did.
func workModelAt(t *testing.T, b WorkBench) {
	for name, c := range map[string]struct{ script, from, path string }{
		"a folder": {`mkdir -p out/model; echo w > out/model/m.bin`, "out/model", "m.bin"},
		"a file":   {`mkdir -p out; echo w > out/m.bin`, "out/m.bin", "m.bin"},
	} {
		job := b.job("model at "+name, metrics+c.script)
		job.Model, job.ModelFrom = true, c.from
		if r := b.run(t, job); r.Cause != "" || len(r.Model.Files) != 1 || r.Model.Files[0].Path != c.path || b.get(t, r.Model.Files[0].Digest) != "w\n" {
			t.Errorf("%s: %s %s: %+v", name, r.Cause, r.Message, r.Model)
		}
	}
	theirs, size := b.putText(t, "theirs")
	for name, c := range map[string]struct {
		script, says string
		code         digest.Manifest
	}{
		"nothing":      {`true`, "was not written", nil},
		"a link out":   {`ln -s /etc out`, "symbolic link", nil},
		"empty":        {`mkdir out`, "is empty", nil},
		"a file":       {`true`, "is of the repository", digest.Manifest{{Path: "out", Digest: theirs, Size: size}}},
		"committed":    {`true`, "is of the repository", digest.Manifest{{Path: "out/m.bin", Digest: theirs, Size: size}}},
		"committed in": {`mkdir -p out/more`, "is of the repository", digest.Manifest{{Path: "out/m/m.bin", Digest: theirs, Size: size}}},
	} {
		job := b.job("no model at "+name, metrics+c.script)
		job.Code = c.code
		job.Model, job.ModelFrom = true, "out"
		if r := b.run(t, job); r.Cause != port.MissingOutput || !strings.Contains(r.Message, c.says) || !strings.Contains(r.Message, "spec.modelFrom") {
			t.Errorf("%s: %s: %s", name, r.Cause, r.Message)
		}
	}
}

// workUntracked: what cannot be read, or is not there, fails by name; and no log leads out.
func workUntracked(t *testing.T, b WorkBench) {
	for name, c := range map[string]struct {
		script string
		cause  port.Cause
		says   string
	}{
		"nothing logged":      {`echo w > "$VISHWA_MODEL_DIR/m"`, port.BadMetrics, "it logged no metric"},
		"a log that is cut":   {`mkdir -p "$WANDB_DIR/wandb/run-1"; printf ':W&B' > "$WANDB_DIR/wandb/run-1/run-1.wandb"`, port.BadMetrics, "does not begin"},
		"links":               {`mkdir -p runs; ln -s /etc/passwd runs/events.out.tfevents.1; ln -s / runs/root; mkfifo runs/events.out.tfevents.2`, port.BadMetrics, "it logged no metric"},
		"no model was logged": {`printf 'epoch,loss\n0,1\n' > log.csv`, port.MissingOutput, "logged no model by MLflow"},
	} {
		job := b.job("untracked "+name, c.script)
		job.Model, job.MetricsFrom, job.ModelFrom = true, []string{"wandb", "tensorboard", "file"}, "mlflow"
		if r := b.run(t, job); r.Cause != c.cause || !strings.Contains(r.Message, c.says) || r.Tracking != nil {
			t.Errorf("%s: %s: %s", name, r.Cause, r.Message)
		}
	}
}

func (b WorkBench) logged(t *testing.T, r *port.Result) tracking.Document {
	t.Helper()
	if r.Tracking == nil {
		t.Fatal("nothing that was logged came out")
	}
	for _, f := range r.Tracking.Files {
		if f.Path == port.TrackingFile {
			d, err := tracking.Decode([]byte(b.get(t, f.Digest)))
			if err != nil || r.Tracking.Files.Digest() != r.Tracking.Digest {
				t.Fatalf("%v", err)
			}
			if b.get(t, r.Tracking.Digest) == "" {
				t.Error("its list is not kept")
			}
			return d
		}
	}
	t.Fatalf("%+v holds no document", r.Tracking)
	return tracking.Document{}
}
