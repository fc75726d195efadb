// The fresh directory of one run: what was declared is in it, and nothing else.

package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Layout is a directory with what a command may read and the places where it
// writes, and the variables that tell it where they are. What a run writes
// anywhere else in it is gone when the directory is; code, inputs and model are
// read-only copies, so that a run cannot change what another one reads.
type Layout struct {
	dir  string
	vars map[string]string
	held map[string]bool // variables that a declaration cannot pass on
}

// NewLayout makes dir, which must not be there, with a home of its own.
func NewLayout(dir string) (*Layout, error) {
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(dir), 0o700)
	}
	l := &Layout{dir: dir, vars: map[string]string{}}
	for _, p := range []string{dir, l.home(), l.inputs(), l.outputs()} {
		if err == nil {
			err = os.Mkdir(p, 0o700)
		}
	}
	if errors.Is(err, os.ErrExist) {
		return nil, fault.New(fault.Conflict, "lay out run: %s already exists", filepath.Base(dir))
	}
	if err != nil {
		return nil, artifact.Disk(fmt.Errorf("lay out run: %w", err), filepath.Dir(dir))
	}
	l.vars["HOME"] = l.home()
	return l, nil
}

// Dir holds all of the run.
func (l *Layout) Dir() string { return l.dir }

// CodeDir holds the declared code; commands start in it.
func (l *Layout) CodeDir() string { return filepath.Join(l.dir, "code") }

func (l *Layout) home() string    { return filepath.Join(l.dir, "home") }
func (l *Layout) inputs() string  { return filepath.Join(l.dir, "inputs") }
func (l *Layout) outputs() string { return filepath.Join(l.dir, "outputs") }

// Code lays out the declared code. Its folders can be written to, as tools leave
// caches beside code; its files cannot.
func (l *Layout) Code(ctx context.Context, store port.Store, code digest.Manifest) error {
	if len(code) == 0 {
		return os.Mkdir(l.CodeDir(), 0o700)
	}
	art := port.Artifact{Digest: code.Digest(), Size: code.Size(), Files: code}
	if err := artifact.Checkout(ctx, store, art, l.CodeDir()); err != nil {
		return fmt.Errorf("lay out code: %w", err)
	}
	return filepath.WalkDir(l.CodeDir(), func(p string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(p, 0o700)
		}
		return err
	})
}

// Input lays out an artifact under its own base name, so that a reader sees its
// extension, and names it by VISHWA_INPUT_<NAME>.
func (l *Layout) Input(ctx context.Context, store port.Store, name string, art port.Artifact) error {
	base := art.Name
	if base == "" || base != filepath.Base(base) || base == "." || base == ".." {
		base = "data"
	}
	p, err := l.place(name, base)
	if err == nil {
		err = artifact.Checkout(ctx, store, art, p)
	}
	if err != nil {
		return fmt.Errorf("lay out input %s: %w", name, err)
	}
	return nil
}

// InputBytes lays out a small input that is no artifact, readable by its owner alone.
func (l *Layout) InputBytes(name string, data []byte) error {
	p, err := l.place(name, "data")
	if err == nil {
		err = os.WriteFile(p, data, 0o400)
	}
	if err != nil {
		return fmt.Errorf("lay out input %s: %w", name, err)
	}
	return nil
}

func (l *Layout) place(name, base string) (string, error) {
	v := VarName(name)
	p := filepath.Join(l.inputs(), v, base)
	if err := l.set("VISHWA_INPUT_"+v, p); err != nil {
		return "", err
	}
	return p, os.Mkdir(filepath.Dir(p), 0o700)
}

// Output makes the place of an output, rel below the run's own folder of outputs,
// and names it by VISHWA_OUTPUT_<NAME>. The folder around it is there, the output is not.
func (l *Layout) Output(name, rel string) error {
	if !filepath.IsLocal(rel) || filepath.Clean(rel) == "." {
		return fault.WithHint(fault.New(fault.Invalid, "lay out output %s: %q leads out of the run's directory", name, rel), "Declare a relative path, such as %s.csv", name)
	}
	p := l.OutputPath(rel)
	if err := l.set("VISHWA_OUTPUT_"+VarName(name), p); err != nil {
		return fmt.Errorf("lay out output %s: %w", name, err)
	}
	if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
		return fmt.Errorf("lay out output %s: %w", name, err)
	}
	return nil
}

// OutputPath is where the output declared as rel is written.
func (l *Layout) OutputPath(rel string) string { return filepath.Join(l.outputs(), rel) }

// ModelDir is where a training writes its model and a server reads it.
func (l *Layout) ModelDir() string { return filepath.Join(l.dir, "model") }

// MetricsFile is where a training writes its metrics, as JSON or YAML.
func (l *Layout) MetricsFile() string { return filepath.Join(l.dir, "metrics.json") }

// Training makes the empty model directory and names it and the metrics file.
func (l *Layout) Training() error {
	l.vars["VISHWA_MODEL_DIR"], l.vars["VISHWA_METRICS"] = l.ModelDir(), l.MetricsFile()
	if err := os.Mkdir(l.ModelDir(), 0o700); err != nil {
		return fmt.Errorf("lay out model: %w", err)
	}
	return nil
}

// Model lays out the model that is served or scored, verified and read-only.
func (l *Layout) Model(ctx context.Context, store port.Store, model port.Artifact) error {
	l.vars["VISHWA_MODEL_DIR"] = l.ModelDir()
	if err := artifact.Checkout(ctx, store, model, l.ModelDir()); err != nil {
		return fmt.Errorf("lay out model: %w", err)
	}
	return nil
}

// Tracking makes the folder in which MLflow and W&B keep what a training logs, and tells them so: no
// training is given another's server to log to, whatever its declaration passes on.
func (l *Layout) Tracking() error {
	store := url.URL{Scheme: "file", Path: filepath.Join(l.TrackingDir(), "mlruns")}
	vars := map[string]string{
		"MLFLOW_TRACKING_URI": store.String(), "MLFLOW_REGISTRY_URI": store.String(), "MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true",
		"WANDB_MODE": "offline", "WANDB_DIR": l.TrackingDir(), "WANDB_ERROR_REPORTING": "false", "WANDB_DISABLE_GIT": "true", "DVC_NO_ANALYTICS": "1",
	}
	l.held = map[string]bool{}
	for name, value := range vars {
		l.vars[name], l.held[name] = value, true
	}
	if err := os.Mkdir(l.TrackingDir(), 0o700); err != nil {
		return fmt.Errorf("lay out the folder of trackers: %w", err)
	}
	return nil
}

// TrackingDir is where MLflow and W&B keep what a training logs.
func (l *Layout) TrackingDir() string { return filepath.Join(l.dir, "tracking") }

// Scoring lays out the model that is scored, and names the metrics file.
func (l *Layout) Scoring(ctx context.Context, store port.Store, model port.Artifact) error {
	l.vars["VISHWA_METRICS"] = l.MetricsFile()
	return l.Model(ctx, store, model)
}

// Params writes the parameters as one JSON object and names it by VISHWA_PARAMS.
// Without parameters the object is empty.
func (l *Layout) Params(params map[string]any) error {
	raw, err := ParamsFile(params)
	p := filepath.Join(l.dir, "params.json")
	if err == nil {
		err = os.WriteFile(p, raw, 0o400)
	}
	if err != nil {
		return fmt.Errorf("lay out parameters: %w", err)
	}
	l.vars["VISHWA_PARAMS"] = p
	return nil
}

// ParamsFile is what the file of parameters holds.
func ParamsFile(params map[string]any) ([]byte, error) {
	if params == nil {
		params = map[string]any{}
	}
	raw, err := json.MarshalIndent(params, "", "  ")
	return append(raw, '\n'), err
}

// Set gives the command one more variable.
func (l *Layout) Set(name, value string) { l.vars[name] = value }

// set is for variables whose names are derived: two names that are spelled the
// same as variables would hide one another.
func (l *Layout) set(name, value string) error {
	if _, twice := l.vars[name]; twice {
		return fault.WithHint(fault.New(fault.Invalid, "%s would be the name of two of them", name), "Rename one: names may not differ in case and punctuation alone")
	}
	l.vars[name] = value
	return nil
}

// Environ is the environment of the command: Environ's, with the layout's and the
// Python environment's variables. Python says at once what it prints, so that the
// log is live, and orders its sets the same way in every run of one key.
func (l *Layout) Environ(lookup func(string) (string, bool), pass []string, python Environment) []string {
	set := map[string]string{"PYTHONUNBUFFERED": "1", "PYTHONHASHSEED": "0"}
	maps.Copy(set, python.Vars(lookup))
	maps.Copy(set, l.vars)
	for _, name := range pass {
		if v, ok := lookup(name); ok && !Own(name) && !l.held[name] {
			set[name] = v // what the declaration asks for goes before what a run has by itself, as HOME
		}
	}
	return Environ(lookup, nil, set)
}
