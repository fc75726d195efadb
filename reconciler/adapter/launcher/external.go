// Jobs of the team's: a manifest of the repository is begun under the name, the labels and the
// limits of a task. What nobody has reviewed may be no more than a task's pod is.

package launcher

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// mostManifest bounds a manifest, in bytes.
const mostManifest = 1 << 20

// The fields that a manifest which nobody has reviewed may have: none leads to another account,
// to a Secret, to the node, or out of the walls that Vishwa's own pods have.
var (
	unreviewedPod       = []string{"containers", "initContainers", "volumes", "restartPolicy", "terminationGracePeriodSeconds", "activeDeadlineSeconds"}
	unreviewedContainer = []string{"name", "image", "imagePullPolicy", "command", "args", "env", "workingDir", "resources", "volumeMounts"}
	unreviewedVariable  = []string{"name", "value"}
	unreviewedVolume    = []string{"name", "emptyDir"}
	unreviewedSpec      = []string{"template", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished", "suspend"}
)

// manifest reads the one Job of a manifest.
func manifest(t port.Task) (spec, pod map[string]any, err error) {
	wrong := func(format string, args ...any) error {
		return fault.WithHint(fault.New(fault.Invalid, "the manifest of %s "+format, append([]any{t.Ref}, args...)...), "write one Job of batch/v1 with its containers")
	}
	raw := t.External.Manifest
	if len(raw) > mostManifest {
		return nil, nil, wrong("has more than %d bytes", mostManifest)
	}
	var doc map[string]any
	in := yamlv3.NewDecoder(bytes.NewReader(raw))
	if err := in.Decode(&doc); err != nil {
		return nil, nil, wrong("cannot be read: %w", err)
	}
	if err := in.Decode(new(map[string]any)); !errors.Is(err, io.EOF) {
		return nil, nil, wrong("holds more than one document")
	}
	if doc["apiVersion"] != "batch/v1" || doc["kind"] != "Job" {
		return nil, nil, wrong("is no Job of batch/v1")
	}
	spec, _ = doc["spec"].(map[string]any)
	template, _ := spec["template"].(map[string]any)
	pod, _ = template["spec"].(map[string]any)
	if containers, _ := pod["containers"].([]any); len(containers) == 0 {
		return nil, nil, wrong("has no containers")
	}
	for _, what := range []string{"containers", "initContainers"} {
		for _, c := range list(pod, what) {
			if _, ok := c.(map[string]any); !ok {
				return nil, nil, wrong("has a container that is none")
			}
		}
	}
	if !t.Pull {
		return spec, pod, nil
	}
	if field := unreviewed(spec, pod); field != "" {
		return nil, nil, fault.WithHint(fault.New(fault.Invalid, "the manifest of %s has %s, which no pull request may set", t.Ref, field), "it is made after the merge, or without that")
	}
	return spec, pod, nil
}

// unreviewed names a field that what nobody has reviewed may not have; "" is none.
func unreviewed(spec, pod map[string]any) string {
	for _, look := range []struct {
		at   string
		of   []any
		only []string
	}{
		{"spec", []any{spec}, unreviewedSpec}, {"spec.template.spec", []any{pod}, unreviewedPod},
		{"volumes", list(pod, "volumes"), unreviewedVolume},
		{"containers", list(pod, "containers"), unreviewedContainer}, {"initContainers", list(pod, "initContainers"), unreviewedContainer},
		{"env", slices.Concat(each(list(pod, "containers"), "env"), each(list(pod, "initContainers"), "env")), unreviewedVariable},
	} {
		for _, o := range look.of {
			m, ok := o.(map[string]any)
			if !ok {
				return look.at
			}
			for _, field := range slices.Sorted(maps.Keys(m)) {
				if !slices.Contains(look.only, field) {
					return look.at + "." + field
				}
			}
		}
	}
	return ""
}

// list is a field that is a list; what is none is one element that is no mapping.
func list(m map[string]any, field string) []any {
	v, is := m[field]
	if !is {
		return nil
	}
	if all, ok := v.([]any); ok {
		return all
	}
	return []any{v}
}

func each(all []any, field string) (out []any) {
	for _, o := range all {
		if m, ok := o.(map[string]any); ok {
			out = append(out, list(m, field)...)
		}
	}
	return out
}

// external is the Job of a task that is work of the team's.
func (k jobKind) external(t port.Task, n names) map[string]any {
	spec, pod, err := manifest(t)
	if err != nil {
		return map[string]any{} // takes has refused it
	}
	spec, pod = maps.Clone(spec), maps.Clone(pod)
	for _, field := range []string{"selector", "manualSelector"} {
		delete(spec, field)
	}
	var vars []any
	for _, name := range slices.Sorted(maps.Keys(t.External.Vars)) {
		vars = append(vars, variable(name, t.External.Vars[name]))
	}
	for _, what := range []string{"containers", "initContainers"} {
		all := slices.Clone(list(pod, what))
		for i := range all {
			c := maps.Clone(all[i].(map[string]any))
			c["env"] = append(slices.Clone(list(c, "env")), vars...) // the last of a name counts
			if t.Pull {
				c["securityContext"] = looser()
			}
			all[i] = c
		}
		if len(all) > 0 {
			pod[what] = all
		}
	}
	pod["restartPolicy"] = "Never"
	if t.Pull {
		pod["securityContext"], pod["automountServiceAccountToken"], pod["enableServiceLinks"] = podSecurity(), false, false
	}
	if _, named := pod["serviceAccountName"]; k.o.Runner.ServiceAccount != "" && (t.Pull || !named) {
		pod["serviceAccountName"] = k.o.Runner.ServiceAccount
	}
	ours := k.object(port.Task{Name: t.Name, Owner: t.Owner, Launch: t.Launch, Job: t.Job, Ref: t.Ref, Pull: t.Pull, Deadline: t.Deadline, Nodes: 1}, n)
	own := ours["spec"].(map[string]any)
	for _, field := range []string{"suspend", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished", "podReplacementPolicy", "podFailurePolicy"} {
		spec[field] = own[field]
	}
	for _, field := range []string{"completions", "parallelism"} {
		if _, given := spec[field]; !given {
			spec[field] = 1
		}
	}
	spec["template"] = map[string]any{"metadata": own["template"].(map[string]any)["metadata"], "spec": pod}
	ours["spec"] = spec
	return ours
}

// looser is what a container is held to whose image writes where it likes within itself.
func looser() map[string]any {
	s := security()
	delete(s, "readOnlyRootFilesystem")
	return s
}

// takesExternal refuses work that is no Job.
func takesExternal(t port.Task) error {
	if t.External.Is.Kubernetes == nil {
		return fault.New(fault.Invalid, "%s is work of another tool than a cluster", t.Ref)
	}
	if _, _, err := manifest(t); err != nil {
		return err
	}
	for name := range t.External.Vars {
		if name == "" || strings.ContainsAny(name, "= \n") {
			return fault.New(fault.Internal, "%q is no variable", name)
		}
	}
	return nil
}
