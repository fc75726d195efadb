// What vishwa export kubeflow writes: the graph as one pipeline of Kubeflow Pipelines, whose steps
// bring what they need and are the SDK's own lightweight components, so that its local runner
// carries them out as a cluster does.

package templates

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	nodes "github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/pipeline"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/schemas"
)

//go:embed scheduler/pipeline.py
var stepProgram string

// Exported is what a graph is exported with.
type Exported struct {
	Image string                       // of steps that declare none
	Lies  func(d digest.Digest) string // where content is kept that others reach; "" is nowhere
}

// The command of the SDK's lightweight components: the program comes as an argument, and kfp's own
// executor calls its function.
const (
	beginsKFP = `python3 -c 'import kfp.dsl.executor_main' 2>/dev/null || PIP_DISABLE_PIP_VERSION_CHECK=1 python3 -m pip install --quiet --no-warn-script-location --no-deps 'kfp==` + pipeline.SDK + `' typing-extensions
exec "$0" "$@"`
	callsStep = `program_path=$(mktemp -d)
printf "%s" "$0" > "$program_path/ephemeral_component.py"
_KFP_RUNTIME=true exec python3 -m kfp.dsl.executor_main --component_module_path "$program_path/ephemeral_component.py" "$@"
`
)

// KubeflowPipeline is the graph as a pipeline: its datasets are parameters, its transforms and
// candidates steps, and each model a step that chooses among candidates and holds the choice
// against the gates.
func KubeflowPipeline(name string, g nodes.Graph, tree fs.FS, o Exported) ([]byte, error) {
	x := exporter{g: g, tree: tree, o: o, parameters: map[string]string{}, outputs: map[schemas.Ref]output{}}
	for i := range g.Nodes {
		if err := x.add(&g.Nodes[i]); err != nil {
			return nil, err
		}
	}
	if len(x.steps) == 0 {
		return nil, fault.WithHint(fault.New(fault.Invalid, "nothing is declared that a pipeline can carry out"), "declare a transform, a training or a model")
	}
	raw, err := pipeline.Compile(plainName("vishwa-"+name), x.steps, x.parameters)
	if err != nil {
		return nil, err
	}
	return append([]byte("# PIPELINE DEFINITION\n# Name: "+plainName("vishwa-"+name)+"\n# Written by vishwa export kubeflow: change the declarations, and write it anew.\n"), raw...), nil
}

// output is where an artifact of the graph comes from, and what a file of it is called.
type output struct {
	pipeline.Source
	file string
	pins map[string]string // digests by path, where they are known
}

type exporter struct {
	g          nodes.Graph
	tree       fs.FS
	o          Exported
	steps      []pipeline.Step
	parameters map[string]string
	outputs    map[schemas.Ref]output
}

var notPlain = lazyregexp.New(`[^a-z0-9]+`)

func plainName(s string) string {
	return strings.Trim(notPlain.ReplaceAllString(strings.ToLower(s), "-"), "-")
}

// identifier is a name as Python has them.
func identifier(s string) string { return strings.ReplaceAll(plainName(s), "-", "_") }

func (x *exporter) add(n *nodes.Node) error {
	switch spec := n.Decl.Spec.(type) {
	case schemas.Data:
		x.dataset(n)
	case schemas.Runnable:
		return x.command(n, spec)
	case schemas.Selects:
		return x.model(n, spec.Selects())
	}
	return nil // what serves and watches is Vishwa's own
}

// dataset is a parameter that says where the data lies, and its pin, which each reader checks.
func (x *exporter) dataset(n *nodes.Node) {
	name := "dataset_" + identifier(n.Ref.Name)
	s := pipeline.Step{Name: plainName(n.Ref.String()), From: name, Outputs: map[string]string{pipeline.Imported: "system.Dataset"}}
	out := output{Source: pipeline.Source{Step: s.Name, Output: pipeline.Imported}, file: n.Data.Name}
	if out.file == "" {
		out.file = "data"
	}
	x.parameters[name] = ""
	if d := n.Data.Digest; d != "" && n.Data.Files == nil {
		out.pins = map[string]string{"": d.Hex()}
		if x.o.Lies != nil {
			x.parameters[name] = x.o.Lies(d)
		}
	} else if d != "" {
		out.pins = map[string]string{}
		for _, f := range n.Data.Files {
			out.pins[f.Path] = f.Digest.Hex()
		}
	}
	x.outputs[n.Ref] = out
	x.steps = append(x.steps, s)
}

func (x *exporter) command(n *nodes.Node, r schemas.Runnable) error {
	if n.Ask != nil {
		return fault.WithHint(fault.New(fault.Invalid, "%s searches by asking a command (spec.search.ask), which no step of a pipeline does", n.Ask.Training), "leave it to vishwa apply, or write the best parameters as a candidate")
	}
	if n.Recipe.Stop != nil {
		return fault.WithHint(fault.New(fault.Invalid, "%s may be ended early by what other trials come to (spec.search.stop), which no step of a pipeline does", n.Ref), "leave it to vishwa apply, or remove spec.search.stop")
	}
	work, _ := r.Command()
	outputs, model := r.Writes()
	if r.Delegates() != nil || work == nil {
		return fault.WithHint(fault.New(fault.Invalid, "%s is external work, which no step of a pipeline carries out", n.Ref), "leave it to vishwa apply, or put it into the pipeline by hand")
	}
	if n.RunsOn.Nodes > 1 {
		return fault.WithHint(fault.New(fault.Invalid, "%s has %d nodes, and a step has one", n.Ref, n.RunsOn.Nodes), "leave it to vishwa apply on a runner of kubernetes or kubeflow")
	}
	code, err := x.packed(n)
	if err != nil {
		return err
	}
	run, err := argumentsOf(work.Run, n.Recipe.Params)
	if err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "%s: %w", n.Ref, err), "declare it, or correct the name")
	}
	spec := map[string]any{"run": run, "code": code, "lock": n.Lock, "params": n.Recipe.Params, "outputs": map[string]string{}, "model": model, "pass": append([]string{}, work.Env.Pass...)}
	if n.Recipe.Params == nil {
		spec["params"] = map[string]any{}
	}
	s := pipeline.Step{Name: plainName(n.Ref.String()), Inputs: map[string]pipeline.Source{}, Outputs: map[string]string{}, Retries: r.Bounds().Retries}
	reads, writes := map[string]string{}, map[string]string{}
	names, pins := map[string]string{}, map[string]any{}
	for name, ref := range n.Inputs {
		from, ok := x.outputs[ref]
		if !ok {
			return fault.WithHint(fault.New(fault.Invalid, "%s reads %s, which no step of a pipeline makes", n.Ref, ref), "leave it to vishwa apply")
		}
		reads[name], names[name] = "in_"+identifier(name), from.file
		s.Inputs[reads[name]] = from.Source
		if from.pins != nil {
			pins[name] = from.pins
		}
	}
	spec["names"], spec["pins"] = names, pins
	if model {
		writes["model"], writes["metrics"] = "out_model", "out_metrics"
		s.Outputs["out_model"], s.Outputs["out_metrics"] = "system.Model", "system.Metrics"
		x.outputs[n.Ref] = output{Source: pipeline.Source{Step: s.Name}}
	} else {
		spec["outputs"] = outputs
	}
	for name, at := range outputs {
		writes[name] = "out_" + identifier(name)
		s.Outputs[writes[name]] = "system.Dataset"
		x.outputs[schemas.Ref{Kind: n.Ref.Kind, Name: n.Ref.Name, Output: name}] = output{Source: pipeline.Source{Step: s.Name, Output: writes[name]}, file: path.Base(at)}
	}
	return x.finish(n, s, program{"run", spec, reads, writes})
}

// argumentsOf are the arguments of a command for a step's program: each is a text or, where it names what the step is given, a list of texts and
// of pairs, the folder and the name, which the step puts its paths in place of.
func argumentsOf(run []string, params map[string]any) ([]any, error) {
	out := make([]any, len(run))
	for i, arg := range run {
		var given [][2]string
		text, err := schemas.Argument(arg, func(of, name string) (string, error) {
			if of == schemas.NamedParam {
				v, plain := schemas.ParamText(params[name])
				if !plain {
					return "", fmt.Errorf("its argument %q names a parameter that it is not given", arg)
				}
				return v, nil
			}
			given = append(given, [2]string{of, name})
			return "\x00", nil // in no argument, and in no parameter that stands in one
		})
		if err != nil {
			return nil, err
		}
		out[i] = text
		if len(given) == 0 {
			continue
		}
		var parts []any
		for j, part := range strings.Split(text, "\x00") {
			if j > 0 {
				parts = append(parts, given[j-1])
			}
			parts = append(parts, part)
		}
		out[i] = parts
	}
	return out, nil
}

// model chooses among the candidates of its training, and holds the choice against the gates.
func (x *exporter) model(n *nodes.Node, m schemas.Contest) error {
	if n.Scored != nil { // its gates may be of rows that no training has reported on
		return fault.WithHint(fault.New(fault.Invalid, "%s is scored apart from its training (spec.evaluate), which no step of a pipeline does", n.Ref), "leave it to vishwa apply")
	}
	if len(m.By.Objectives) > 0 {
		return fault.WithHint(fault.New(fault.Invalid, "%s is selected by several objectives, which no step of a pipeline does", n.Ref), "leave it to vishwa apply")
	}
	s := pipeline.Step{Name: plainName(n.Ref.String()), Inputs: map[string]pipeline.Source{}, Outputs: map[string]string{"out_model": "system.Model", "out_metrics": "system.Metrics"}}
	candidates, reads := map[string]string{}, map[string]string{}
	for name, ref := range n.Inputs {
		from, ok := x.outputs[ref]
		if !ok {
			return fault.New(fault.Internal, "%s is chosen from %s, which is no step", n.Ref, ref)
		}
		id := identifier(name)
		if _, twice := s.Inputs["in_model_"+id]; twice {
			return fault.WithHint(fault.New(fault.Invalid, "two candidates of %s would both be %s", m.From, id), "rename one of them")
		}
		candidates[name] = id
		for _, what := range []string{"model", "metrics"} {
			reads[what+"_"+id] = "in_" + what + "_" + id
			s.Inputs[reads[what+"_"+id]] = pipeline.Source{Step: from.Step, Output: "out_" + what}
		}
	}
	gates := m.Gates
	if gates == nil {
		gates = []schemas.Gate{}
	}
	spec := map[string]any{"candidates": candidates, "metric": m.By.Metric, "goal": m.By.Goal, "gates": gates}
	return x.finish(n, s, program{"evaluate", spec, reads, map[string]string{"model": "out_model", "metrics": "out_metrics"}})
}

// program is what a step does, with what, and what it reads and writes.
type program struct {
	does          string
	spec          map[string]any
	reads, writes map[string]string
}

// finish gives a step its program: the text of them all with what is this step's.
func (x *exporter) finish(n *nodes.Node, s pipeline.Step, p program) error {
	for _, other := range x.steps {
		if other.Name == s.Name {
			return fault.WithHint(fault.New(fault.Invalid, "%s and another would both be step %s", n.Ref, s.Name), "rename one of them")
		}
	}
	raw, err := json.Marshal(p.spec)
	if err != nil {
		return err
	}
	s.Container = pipeline.Container{Image: n.RunsOn.Image, Resources: n.RunsOn.Resources}
	if s.Container.Image == "" {
		s.Container.Image = x.o.Image
	}
	if s.Container.Image == "" {
		return fault.WithHint(fault.New(fault.Invalid, "%s declares no image, and a step of a pipeline has one", n.Ref), "name one that has Python 3.8 with --image, or declare spec.defaults.image of the Project")
	}
	var signature, in, out []string
	for _, name := range slices.Sorted(maps.Keys(p.reads)) {
		signature, in = append(signature, p.reads[name]+": Input[Artifact]"), append(in, fmt.Sprintf("%q: %s", name, p.reads[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(p.writes)) {
		kind := strings.TrimPrefix(s.Outputs[p.writes[name]], "system.")
		signature, out = append(signature, p.writes[name]+": Output["+kind+"]"), append(out, fmt.Sprintf("%q: %s", name, p.writes[name]))
	}
	text := strings.NewReplacer("[[SPEC]]", base64.StdEncoding.EncodeToString(raw), "[[SIGNATURE]]", strings.Join(signature, ", "), "[[DOES]]", p.does,
		"[[INPUTS]]", strings.Join(in, ", "), "[[OUTPUTS]]", strings.Join(out, ", ")).Replace(stepProgram)
	s.Container.Command = []string{"sh", "-c", beginsKFP, "sh", "-ec", callsStep, text}
	s.Args = []string{"--executor_input", "{{$}}", "--function_to_execute", "step"}
	x.steps = append(x.steps, s)
	return nil
}

// packed is a node's code as an archive, the same for the same files.
func (x *exporter) packed(n *nodes.Node) (string, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for _, f := range n.Code {
		raw, err := fs.ReadFile(x.tree, f.Path)
		if err != nil {
			return "", fault.New(fault.Missing, "read %s: %w", f.Path, err)
		}
		if digest.Of(raw) != f.Digest {
			return "", fault.WithHint(fault.New(fault.Transient, "%s changed while it was read", f.Path), "try again")
		}
		if err := w.WriteHeader(&tar.Header{Name: f.Path, Mode: 0o755, Size: int64(len(raw)), Format: tar.FormatPAX}); err != nil {
			return "", err
		}
		if _, err := w.Write(raw); err != nil {
			return "", err
		}
		if out.Len() > pipeline.Most {
			return "", fault.WithHint(fault.New(fault.Invalid, "the code of %s is too large for a pipeline", n.Ref), "put it into the image in place of spec.code")
		}
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	if err := z.Close(); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(out.Bytes()), nil
}
