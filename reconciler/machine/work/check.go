// What a job must be before anything of it is begun.

package work

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/tracking"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// CheckJob refuses what would fail later with a worse message.
func CheckJob(job port.Job) error {
	wrong := func(way, format string, args ...any) error {
		return fault.WithHint(fault.New(fault.Invalid, "check job %s: "+format, append([]any{job.Ref}, args...)...), "%s", way)
	}
	if job.External == nil && (len(job.Command) == 0 || job.Command[0] == "") {
		return wrong("Declare spec.run, such as [python, src/train.py]", "it has no command")
	}
	if err := job.Code.Check(); err != nil {
		return wrong("Declare code by plain paths within the repository", "code: %w", err)
	}
	if job.Lock != "" && !slices.ContainsFunc(job.Code, func(f digest.File) bool { return f.Path == job.Lock }) {
		return wrong("Name a file of the repository", "its lock file %s is not among its code", job.Lock)
	}
	if job.Model && job.Scores != nil {
		return wrong("Let it do one of both", "it is to make a model and to score another, in one place")
	}
	if !job.Model && (len(job.MetricsFrom) > 0 || job.ModelFrom != "") {
		return wrong("Declare it in a training", "it takes metrics or a model out of a tool's log, and makes no model")
	}
	for _, from := range job.MetricsFrom {
		if !slices.Contains(tracking.Tools, from) {
			return wrong("Name one of "+strings.Join(tracking.Tools, ", "), "its metrics are in the log of %q, which is no tool", from)
		}
	}
	if from := job.ModelFrom; from != "" && (!filepath.IsLocal(from) || filepath.Clean(from) == ".") {
		return wrong("Name "+tracking.MLflow+", or a path from where its command begins", "its model is at %q, which leads out of the run's directory", from)
	}
	for _, name := range job.Pass {
		if sandbox.Own(name) {
			return wrong("Remove it from the variables that the declaration passes on", "%s is Vishwa's own and is never passed on to a run", name)
		}
	}
	names := slices.Sorted(maps.Keys(job.Outputs))
	for i, a := range names {
		for _, b := range names[i+1:] {
			p, q := filepath.Clean(job.Outputs[a]), filepath.Clean(job.Outputs[b])
			if p == q || strings.HasPrefix(p, q+"/") || strings.HasPrefix(q, p+"/") {
				return wrong("Give each output a path of its own", "outputs %s and %s lie in one place, %s", a, b, min(p, q))
			}
		}
		if !filepath.IsLocal(job.Outputs[a]) || filepath.Clean(job.Outputs[a]) == "." {
			return wrong("Declare a relative path, such as train.csv", "output %s leads out of the run's directory: %q", a, job.Outputs[a])
		}
	}
	for what, names := range map[string][]string{"inputs": slices.Sorted(maps.Keys(job.Inputs)), "outputs": names} {
		seen := map[string]string{}
		for _, name := range names {
			v := sandbox.VarName(name)
			if other, twice := seen[v]; twice {
				return wrong("Rename one: names may not differ in case and punctuation alone", "%s %s and %s would both be the variable ..._%s", what, other, name, v)
			}
			seen[v] = name
		}
	}
	return nil
}
