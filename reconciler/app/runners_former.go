// Runners that a project had: one that is removed while it has a run under way is asked about that run until it ends. Otherwise
// the same key would be begun a second time elsewhere, and nobody could stop the first.

package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/schemas"
)

// formerRunner is how a runner was declared when it was opened last, in a sealed file beside its runs.
type formerRunner struct {
	Runner   schemas.Runner             `json:"runner"`
	Clusters map[string]schemas.Cluster `json:"clusters,omitempty"`
}

func runnerFile(dir, name string) string { return filepath.Join(dir, "runner-"+name+".json") }

func runnerPurpose(name string) string { return "runner " + name }

// rememberRunner notes how a runner is declared, before it is given anything.
func rememberRunner(base runner.RemoteConfig, name string, project *schemas.Project, declared schemas.Runner) error {
	body, err := json.Marshal(formerRunner{declared, project.Clusters})
	if err != nil {
		return fault.New(fault.Internal, "encode the runner %s: %w", name, err)
	}
	raw, path := base.Seal.Wrap(runnerPurpose(name), body), runnerFile(base.Dir, name)
	if there, err := os.ReadFile(path); err == nil && bytes.Equal(there, raw) {
		return nil
	}
	if err := os.MkdirAll(base.Dir, 0o700); err != nil {
		return artifact.Disk(fault.New(fault.Internal, "remember the runner %s: %w", name, err), base.Dir)
	}
	f, err := os.CreateTemp(base.Dir, ".runner-*")
	if err != nil {
		return artifact.Disk(fault.New(fault.Internal, "remember the runner %s: %w", name, err), base.Dir)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return artifact.Disk(fault.New(fault.Internal, "remember the runner %s: %w", name, err), base.Dir)
	}
	return nil
}

// formerRunners are those that have runs here and are no longer declared. What cannot be read is left out, and logged.
func formerRunners(base runner.RemoteConfig, project *schemas.Project) map[string]formerRunner {
	found, err := filepath.Glob(runnerFile(base.Dir, "*"))
	if err != nil {
		return nil
	}
	out := map[string]formerRunner{}
	for _, path := range found {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "runner-"), ".json")
		if _, declared := project.Runners[name]; declared || name == schemas.LocalRunner {
			continue
		}
		was, err := readFormer(base, path, name)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				base.Env.Log.Warn("how a runner was declared cannot be read; runs that it has are not found", "runner", name, "error", err)
			}
			continue
		}
		out[name] = was
	}
	return out
}

func readFormer(base runner.RemoteConfig, path, name string) (was formerRunner, err error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return was, err
	}
	body, err := base.Seal.Open(runnerPurpose(name), raw)
	if err != nil {
		return was, err
	}
	return was, json.Unmarshal(body, &was)
}
