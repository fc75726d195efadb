// Several steps as one pipeline: what each begins, and whose outputs it reads.

package pipeline

import (
	"bytes"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Step is one task of a pipeline: a container, or an artifact that lies where a parameter says.
type Step struct {
	Name      string // a DNS label, which no other step has
	Container Container
	Args      []string
	From      string // the parameter that says where the artifact lies; then there is no container
	Inputs    map[string]Source
	Outputs   map[string]string // kinds of artifacts by name, such as system.Model
	Retries   int
}

// Source is an output of another step.
type Source struct{ Step, Output string }

// Imported is what the output of a step is called that has no container.
const Imported = "artifact"

// Compile is the pipeline of these steps. Parameters are texts; an empty one has to be given by
// whoever runs the pipeline. Nothing is kept from one run for another: a step's recipe is not all
// that is in its container.
func Compile(name string, steps []Step, parameters map[string]string) ([]byte, error) {
	executors, components, tasks := map[string]any{}, map[string]any{}, map[string]any{}
	kinds := map[Source]string{}
	for _, s := range steps {
		for output, kind := range s.Outputs {
			kinds[Source{s.Name, output}] = kind
		}
	}
	for _, s := range steps {
		executor := map[string]any{"container": withArgs(s.Container.fields(), s.Args)}
		if s.From != "" {
			executor = map[string]any{"importer": map[string]any{"artifactUri": map[string]any{"runtimeParameter": "uri"}, "typeSchema": schema(s.Outputs[Imported]), "reimport": true}}
		}
		executors["exec-"+s.Name] = executor
		components["comp-"+s.Name] = s.component(kinds)
		tasks[s.Name] = s.task()
	}
	root := map[string]any{"dag": map[string]any{"tasks": tasks}}
	if len(parameters) > 0 {
		declared := map[string]any{}
		for name, value := range parameters {
			p := map[string]any{"parameterType": "STRING"}
			if value != "" {
				p["defaultValue"], p["isOptional"] = value, true
			}
			declared[name] = p
		}
		root["inputDefinitions"] = map[string]any{"parameters": declared}
	}
	var out bytes.Buffer
	w := yaml.NewEncoder(&out)
	w.SetIndent(2)
	err := w.Encode(map[string]any{
		"schemaVersion": "2.1.0", "sdkVersion": "kfp-" + SDK, "pipelineInfo": map[string]any{"name": name},
		"deploymentSpec": map[string]any{"executors": executors}, "components": components, "root": root,
	})
	if err != nil {
		return nil, fault.New(fault.Internal, "write the pipeline: %w", err)
	}
	if out.Len() > Most {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the pipeline has %d bytes, and a server of Kubeflow Pipelines keeps at most %d", out.Len(), Most), "put code into the image in place of spec.code")
	}
	return out.Bytes(), nil
}

// SDK is the version of the SDK whose format this is, and which a step's program is begun by.
const SDK = "2.17.3"

func schema(kind string) map[string]any {
	return map[string]any{"schemaTitle": kind, "schemaVersion": "0.0.1"}
}

func withArgs(container map[string]any, args []string) map[string]any {
	if len(args) > 0 {
		container["args"] = args
	}
	return container
}

func (s Step) component(kinds map[Source]string) map[string]any {
	c := map[string]any{"executorLabel": "exec-" + s.Name}
	artifacts := func(all map[string]string) map[string]any {
		out := map[string]any{}
		for name, kind := range all {
			out[name] = map[string]any{"artifactType": schema(kind)}
		}
		return map[string]any{"artifacts": out}
	}
	if len(s.Inputs) > 0 {
		in := map[string]string{}
		for name, from := range s.Inputs {
			in[name] = kinds[from]
		}
		c["inputDefinitions"] = artifacts(in)
	}
	if s.From != "" {
		c["inputDefinitions"] = map[string]any{"parameters": map[string]any{"uri": map[string]any{"parameterType": "STRING"}}}
	}
	if len(s.Outputs) > 0 {
		c["outputDefinitions"] = artifacts(s.Outputs)
	}
	return c
}

func (s Step) task() map[string]any {
	t := map[string]any{"cachingOptions": map[string]any{}, "componentRef": map[string]any{"name": "comp-" + s.Name}, "taskInfo": map[string]any{"name": s.Name}}
	before, in := map[string]bool{}, map[string]any{}
	for name, from := range s.Inputs {
		before[from.Step] = true
		in[name] = map[string]any{"taskOutputArtifact": map[string]any{"producerTask": from.Step, "outputArtifactKey": from.Output}}
	}
	if len(in) > 0 {
		t["dependentTasks"], t["inputs"] = slices.Sorted(maps.Keys(before)), map[string]any{"artifacts": in}
	}
	if s.From != "" {
		t["inputs"] = map[string]any{"parameters": map[string]any{"uri": map[string]any{"componentInputParameter": s.From}}}
	}
	if s.Retries > 0 {
		t["retryPolicy"] = map[string]any{"maxRetryCount": s.Retries}
	}
	return t
}
