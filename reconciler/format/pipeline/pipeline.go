// Package pipeline reads and writes pipelines of Kubeflow Pipelines 2, as its SDK compiles them
// (schema 2.1.0). What a team wrote is read for what it asks for, and changed in its caching alone.
package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
)

// Container is what a step begins.
type Container struct {
	Image     string
	Command   []string
	Env       map[string]string
	Resources schemas.Resources
}

// fields are a container in the words of the format.
func (c Container) fields() map[string]any {
	env := []any{}
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		env = append(env, map[string]any{"name": name, "value": c.Env[name]})
	}
	out := map[string]any{"image": c.Image, "command": c.Command}
	if len(env) > 0 {
		out["env"] = env
	}
	if r := resources(c.Resources); len(r) > 0 {
		out["resources"] = r
	}
	return out
}

// OneStep is a pipeline of one container, of which nothing is taken from what another run made.
func OneStep(name string, c Container) map[string]any {
	return map[string]any{
		"schemaVersion": "2.1.0", "sdkVersion": "vishwa",
		"pipelineInfo":   map[string]any{"name": name},
		"deploymentSpec": map[string]any{"executors": map[string]any{"exec-work": map[string]any{"container": c.fields()}}},
		"components":     map[string]any{"comp-work": map[string]any{"executorLabel": "exec-work"}},
		"root": map[string]any{"dag": map[string]any{"tasks": map[string]any{"work": map[string]any{
			"cachingOptions": map[string]any{}, "componentRef": map[string]any{"name": "comp-work"}, "taskInfo": map[string]any{"name": "work"},
		}}}},
	}
}

// resources are given whole: what a task asks for is what it has and no more. Servers
// before 2.4 read numbers, later ones the texts.
func resources(r schemas.Resources) map[string]any {
	out := map[string]any{}
	if n, _ := schemas.Millicores(r.CPU); n > 0 {
		cores := float64(n) / 1000
		out["cpuLimit"], out["cpuRequest"], out["resourceCpuLimit"], out["resourceCpuRequest"] = cores, cores, r.CPU, r.CPU
	}
	if n, _ := schemas.Bytes(r.Memory); n > 0 {
		gigabytes := float64(n) / 1e9
		out["memoryLimit"], out["memoryRequest"], out["resourceMemoryLimit"], out["resourceMemoryRequest"] = gigabytes, gigabytes, r.Memory, r.Memory
	}
	if r.GPU > 0 {
		const kind = "nvidia.com/gpu"
		count := strconv.Itoa(r.GPU)
		out["accelerator"] = map[string]any{"type": kind, "count": count, "resourceType": kind, "resourceCount": count}
	}
	return out
}

// Most bounds a pipeline's file, in bytes: a cluster keeps no larger object.
const Most = 1 << 20

// What a pipeline that nobody has reviewed may have: containers with commands, variables and
// resources, and what one hands to the next. Nothing leads to a Secret, a volume, another
// account, or to what another run made.
var (
	unreviewedPipeline  = []string{"pipelineInfo", "deploymentSpec", "components", "root", "schemaVersion", "sdkVersion"}
	unreviewedComponent = []string{"inputDefinitions", "outputDefinitions", "executorLabel", "dag"}
	unreviewedExecutor  = []string{"container"}
	unreviewedContainer = []string{"image", "command", "args", "env", "resources"}
	unreviewedVariable  = []string{"name", "value"}
)

// Read is a pipeline that somebody compiled, given these parameters, with nothing taken from the
// runs before it: what such a one wrote lies elsewhere. What nobody has reviewed may be less. It
// is the pipeline alone, or with what its platform is given, as a server takes them.
func Read(raw []byte, parameters map[string]any, reviewed bool) (map[string]any, error) {
	wrong := func(hint, format string, args ...any) error {
		return fault.WithHint(fault.New(fault.Invalid, "the pipeline "+format, args...), "%s", hint)
	}
	const compile = "compile it with the SDK of Kubeflow Pipelines 2: kfp dsl compile --py FILE --output pipeline.yaml"
	if len(raw) > Most {
		return nil, wrong("make it smaller", "has more than %d bytes", Most)
	}
	docs, err := documents(raw, 2)
	if err != nil {
		return nil, wrong(compile, "cannot be read: %w", err)
	}
	if len(docs) == 0 {
		return nil, wrong(compile, "is empty")
	}
	if _, err := json.Marshal(docs); err != nil { // keys that are no text, numbers that are none
		return nil, wrong(compile, "cannot be written as JSON: %w", err)
	}
	spec := docs[0]
	root, _ := spec["root"].(map[string]any)
	deployment, _ := spec["deploymentSpec"].(map[string]any)
	executors, _ := deployment["executors"].(map[string]any)
	_, info := spec["pipelineInfo"].(map[string]any)
	if root == nil || !info || len(executors) == 0 {
		return nil, wrong(compile, "is none of Kubeflow Pipelines 2: it needs pipelineInfo, deploymentSpec and root")
	}
	if err := takes(root, parameters); err != nil {
		return nil, wrong("list the parameters that the pipeline has no value for, and no others", "%w", err)
	}
	if !reviewed {
		field := unreviewed(spec, deployment, executors)
		if len(docs) > 1 {
			field = "settings of a platform"
		}
		if field != "" {
			return nil, wrong("it is made after the merge, or without that", "has %s, which no pull request may set", field)
		}
	}
	components, _ := spec["components"].(map[string]any)
	spec["root"] = uncached(root)
	if components != nil {
		own := map[string]any{}
		for name, c := range components {
			own[name] = uncached(c)
		}
		spec["components"] = own
	}
	if len(docs) == 1 {
		return spec, nil
	}
	return map[string]any{"pipeline_spec": spec, "platform_spec": docs[1]}, nil
}

// documents are those of a file of YAML, each of which is a mapping.
func documents(raw []byte, most int) (all []map[string]any, _ error) {
	in := yaml.NewDecoder(bytes.NewReader(raw))
	for {
		var doc map[string]any
		err := in.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if doc == nil {
			continue
		}
		if all = append(all, doc); len(all) > most {
			return nil, errors.New("it holds more documents than a pipeline and one for its platform")
		}
	}
}

// takes tells whether a pipeline has these parameters, and is given all that it needs.
func takes(root map[string]any, given map[string]any) error {
	inputs, _ := root["inputDefinitions"].(map[string]any)
	if artifacts, _ := inputs["artifacts"].(map[string]any); len(artifacts) > 0 {
		return errors.New("takes artifacts, which a run cannot give it")
	}
	declared, _ := inputs["parameters"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if _, is := declared[name]; !is {
			return errors.New("has no parameter " + strconv.Quote(name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		is, _ := declared[name].(map[string]any)
		_, valued := is["defaultValue"]
		if _, here := given[name]; !here && !valued && is["isOptional"] != true {
			return errors.New("needs parameter " + strconv.Quote(name))
		}
	}
	return nil
}

// unreviewed names a field that what nobody has reviewed may not have; "" is none.
func unreviewed(spec, deployment, executors map[string]any) string {
	other := func(at string, v any, only []string) string {
		m, ok := v.(map[string]any)
		if !ok {
			return at
		}
		for _, field := range slices.Sorted(maps.Keys(m)) {
			if !slices.Contains(only, field) {
				return strings.TrimPrefix(at+"."+field, ".")
			}
		}
		return ""
	}
	if field := other("", spec, unreviewedPipeline); field != "" {
		return field
	}
	if field := other("deploymentSpec", deployment, []string{"executors"}); field != "" {
		return field
	}
	for _, name := range slices.Sorted(maps.Keys(executors)) {
		at := "deploymentSpec.executors." + name
		if field := other(at, executors[name], unreviewedExecutor); field != "" {
			return field
		}
		container := executors[name].(map[string]any)["container"]
		if field := other(at+".container", container, unreviewedContainer); field != "" {
			return field
		}
		env, listed := container.(map[string]any)["env"].([]any)
		if !listed && container.(map[string]any)["env"] != nil {
			return at + ".container.env"
		}
		for _, v := range env {
			if field := other(at+".container.env", v, unreviewedVariable); field != "" {
				return field
			}
		}
	}
	components, _ := spec["components"].(map[string]any)
	if components == nil && spec["components"] != nil {
		return "components"
	}
	for _, name := range slices.Sorted(maps.Keys(components)) {
		if field := other("components."+name, components[name], unreviewedComponent); field != "" {
			return field
		}
	}
	return other("root", spec["root"], unreviewedComponent)
}

// uncached is a component whose tasks are carried out whatever was made before.
func uncached(component any) any {
	c, is := component.(map[string]any)
	dag, has := c["dag"].(map[string]any)
	tasks, have := dag["tasks"].(map[string]any)
	if !is || !has || !have {
		return component
	}
	own := map[string]any{}
	for name, task := range tasks {
		own[name] = task
		if t, is := task.(map[string]any); is {
			t = maps.Clone(t)
			delete(t, "caching_options") // which means the same
			t["cachingOptions"] = map[string]any{}
			own[name] = t
		}
	}
	c, dag = maps.Clone(c), maps.Clone(dag)
	dag["tasks"], c["dag"] = own, dag
	return c
}
