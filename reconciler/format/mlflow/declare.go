// Package mlflow says in declarations what a server of MLflow has: its registered models, their
// aliases, and the experiments whose runs are no model's. What it reads was written by whoever may write to the
// server: no name of theirs becomes the name of a file or of a declaration as it stands, and a script of theirs counts
// where the repository has that file.
package mlflow

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/plural"
)

// Registry is what was read of a server.
type Registry struct {
	Models      []Model
	Experiments []Experiment
}

// Model is a registered model.
type Model struct {
	Name    string
	Aliases map[string]string // alias -> version
	Stages  map[string]string // stage of MLflow 2, such as Production -> version
	Newest  string            // version; "": it has none
	Run     *Run              // that made the newest version; nil: the server does not say
}

// Experiment is one with runs.
type Experiment struct {
	Name string
	Run  *Run // the newest that ended well; nil: there is none
	// Named says that people asked for this one.
	Named bool
}

// Run is as much of a run as a declaration may come of.
type Run struct {
	Experiment string // its id
	Source     string // what began it, such as train.py
	Params     map[string]string
	Metrics    map[string]float64
	Datasets   []string
}

// Repository is where declarations are written to.
type Repository struct {
	Files        []string        // that it has, by their paths
	Lock         string          // a requirements file with hashes; "": none
	Declared     map[string]bool // refs, such as model/price
	Project      bool            // it has a vishwa.yaml
	Environments []string        // that this declares
	Name         string          // of the project, where it has none
	Script       string          // that trains what the server names no script of; "": none
}

// File is a file of declarations.
type File struct {
	Path, Text string
	What       string // for people
}

// Written is what comes of a registry.
type Written struct {
	Files []File
	// Notes are what could not be said in declarations, for people.
	Notes []string
	// Environments are those that vishwa.yaml, which is there, must declare besides.
	Environments []string
}

const mostNotes = 200

type declaring struct {
	Repository
	out      Written
	envs     map[string]bool
	unlocked []string // trainings without packages of their own
}

func (d *declaring) note(format string, args ...any) {
	if len(d.out.Notes) == mostNotes {
		format, args = "more could not be taken over: name models or experiments, and run it again", nil
	}
	if len(d.out.Notes) <= mostNotes {
		d.out.Notes = append(d.out.Notes, fmt.Sprintf(format, args...))
	}
}

// Declare says in declarations what r has, in files that the repository does not have.
func Declare(r Registry, in Repository) Written {
	d := &declaring{Repository: in, envs: map[string]bool{}}
	taken, made := map[string]string{}, map[string]bool{}
	for _, m := range r.Models {
		name := plainName(m.Name)
		if !d.free(taken, name, "registered model "+shown(m.Name)) {
			continue
		}
		if m.Run != nil {
			made[m.Run.Experiment] = true
		}
		d.model(name, m)
	}
	for _, e := range r.Experiments {
		name, who := plainName(e.Name), "experiment "+shown(e.Name)
		if e.Run == nil && e.Named {
			d.note("%s: none of its runs ended well, or it was deleted, so there is nothing to declare", who)
		}
		if e.Run == nil || made[e.Run.Experiment] {
			continue
		}
		if !d.free(taken, name, who) {
			continue
		}
		if text, ok := d.training(name, who, e.Run); ok {
			d.add(name, text, "training/"+name)
		}
	}
	if len(d.unlocked) > 0 {
		d.note("the repository has no requirements file with hashes, so %s, with the packages of this machine: write one, and name it in spec.env.requirements",
			map[bool]string{true: "training/" + d.unlocked[0] + " runs", false: plural.Of(len(d.unlocked), "training") + " run"}[len(d.unlocked) == 1])
	}
	d.project()
	return d.out
}

// free tells whether a name may be declared: no file, and nothing that is declared, is written over.
func (d *declaring) free(taken map[string]string, name, who string) bool {
	file := "vishwa/" + name + ".yaml"
	switch {
	case name == "":
		d.note("%s: no name of a declaration can be made of its name: declare it by hand, by another one", who)
	case taken[name] != "":
		d.note("%s: it comes to the same name %s as %s", who, name, taken[name])
	case slices.Contains(d.Files, file):
		d.note("%s: %s is there, and is left as it is", who, file)
	case d.Declared["training/"+name] || d.Declared["model/"+name]:
		d.note("%s: training/%s or model/%s is declared already, and is left as it is", who, name, name)
	default:
		taken[name] = who
		return true
	}
	return false
}

func (d *declaring) add(name, text string, what ...string) {
	d.out.Files = append(d.out.Files, File{"vishwa/" + name + ".yaml", text, strings.Join(what, ", ")})
}

const head = "apiVersion: vishwa.dev/v1alpha1\n"

// training declares what made a run: its script, which is one of the repository.
func (d *declaring) training(name, who string, r *Run) (string, bool) {
	if r == nil && d.Script == "" {
		d.note("%s: the server does not say which run made it: name its script by --script, or declare a training by hand", who)
		return "", false
	}
	if r == nil {
		r = &Run{}
	}
	script, ok := d.script(r.Source)
	if !ok {
		d.note("%s: its runs began with %s, which is no script of this repository: bring it here and run this again, or name another one by --script", who, orNothing(r.Source))
		return "", false
	}
	var t strings.Builder
	fmt.Fprintf(&t, "%skind: Training\nmetadata:\n  name: %s\n  description: %s\nspec:\n  run: [python3, %s]\n  code: [%s]\n", head, plain(name), quoted("Of the "+who+" of MLflow."), quoted(script), quoted(script))
	if d.Lock != "" {
		fmt.Fprintf(&t, "  env: {requirements: %s}\n", quoted(d.Lock))
	} else {
		d.unlocked = append(d.unlocked, name)
	}
	t.WriteString("  metricsFrom: [mlflow]\n  modelFrom: mlflow\n")
	if len(r.Params) > 0 {
		d.note("%s: what it logs as parameters (%d) stays in the script: what the declaration gives is read at VISHWA_PARAMS, which a script must ask for", who, len(r.Params))
	}
	if len(r.Datasets) > 0 {
		d.note("%s: it read %s by itself (%s): declare them as datasets and inputs, so that a change of them is seen", who, plural.Of(len(r.Datasets), "data set"), few(r.Datasets))
	}
	return t.String(), true
}

// script is the file of the repository that a run began with: by its whole path, or by the end of it that one file alone has.
func (d *declaring) script(source string) (string, bool) {
	want := path.Clean(strings.ReplaceAll(source, "\\", "/"))
	if strings.HasSuffix(want, ".py") {
		if slices.Contains(d.Files, want) {
			return want, true
		}
		for at := want; ; {
			var found []string
			for _, f := range d.Files {
				if f == at || strings.HasSuffix(f, "/"+at) {
					found = append(found, f)
				}
			}
			if len(found) == 1 {
				return found[0], true
			}
			_, rest, more := strings.Cut(at, "/")
			if len(found) > 1 || !more {
				break
			}
			at = rest
		}
	}
	return d.Script, d.Script != ""
}

// model declares a registered model, the training that it comes from, and a deployment an alias.
func (d *declaring) model(name string, m Model) {
	who := "registered model " + shown(m.Name)
	if m.Newest == "" {
		d.note("%s: it has no version, so there is nothing to declare", who)
		return
	}
	text, ok := d.training(name, who, m.Run)
	if !ok {
		return
	}
	what := []string{"training/" + name}
	var metrics map[string]float64
	if m.Run != nil {
		metrics = m.Run.Metrics
	}
	metric, goal := choose(metrics)
	if metric == "" {
		d.note("%s: its run has no metric of which it is known whether more is better, so the model is not declared: declare it with spec.select", who)
		d.add(name, text, what...)
		return
	}
	text += fmt.Sprintf("---\n%skind: Model\nmetadata: {name: %s}\nspec:\n  from: training/%s\n  select: {metric: %s, goal: %s}\n", head, plain(name), name, quoted(metric), goal)
	what = append(what, "model/"+name)
	d.note("%s: candidates are selected by %s, %s it: that is a guess by its name; it was %v for version %s, and no gate asks for it", who, shown(metric), goal[:len(goal)-1]+"ing", metrics[metric], shown(m.Newest))
	for _, at := range m.served() {
		ref, more := d.deployment(name, who, at, m.Newest, what)
		if more != "" {
			text, what = text+more, append(what, ref)
		}
	}
	d.note("%s: its versions stay in MLflow; the first apply trains version 1 of Vishwa's own", who)
	d.add(name, text, what...)
}

// servedAs is where MLflow says that a version is served: by an alias or, in MLflow 2, by a stage.
type servedAs struct{ kind, name, version string }

func (m Model) served() (out []servedAs) {
	for _, alias := range slices.Sorted(maps.Keys(m.Aliases)) {
		out = append(out, servedAs{"alias", alias, m.Aliases[alias]})
	}
	for _, stage := range slices.Sorted(maps.Keys(m.Stages)) {
		if m.Aliases[strings.ToLower(stage)] == "" { // where an alias took its place, that counts
			out = append(out, servedAs{"stage", stage, m.Stages[stage]})
		}
	}
	return out
}

// deployment declares what serves a model in the environment of an alias or a stage.
func (d *declaring) deployment(name, who string, at servedAs, newest string, taken []string) (ref, text string) {
	env := plainName(at.name)
	ref = "deployment/" + name + "-" + env
	if env == "" || len(ref) > len("deployment/")+mostName || d.Declared[ref] || slices.Contains(taken, ref) {
		d.note("%s: %s %s cannot be a deployment of the name %s", who, at.kind, shown(at.name), shown(name+"-"+env))
		return "", ""
	}
	text = fmt.Sprintf("---\n%skind: Deployment\nmetadata:\n  name: %s\n  description: %s\nspec:\n  model: model/%s\n  environment: %s\n  target:\n    local:\n      run: [python3, %s]\n      code: [%s]\n      ready: /ping\n      readyTimeout: 5m\n",
		head, plain(name+"-"+env), quoted(fmt.Sprintf("In MLflow, %s %s is on version %s.", at.kind, shown(at.name), shown(at.version))), name, plain(env), server, server)
	if d.Lock != "" {
		text += fmt.Sprintf("      env: {requirements: %s}\n", quoted(d.Lock))
	}
	d.envs[env] = true
	if at.version != newest {
		d.note("%s: %s %s is on version %s and the newest is %s: what is trained here is served in both", who, at.kind, shown(at.name), shown(at.version), shown(newest))
	}
	return ref, text
}

// server is the script that serves a model as MLflow's own server does, at /invocations.
const (
	server     = "src/serve_mlflow.py"
	serverText = `# Serves the model of a deployment as "mlflow models serve" of MLflow 3 does: POST /invocations.
import os

import mlflow.pyfunc
import uvicorn
from mlflow.pyfunc import scoring_server

app = scoring_server.init(mlflow.pyfunc.load_model(os.environ["VISHWA_MODEL_DIR"]))
uvicorn.run(app, host="127.0.0.1", port=int(os.environ["VISHWA_PORT"]))
`
)

// project adds what serves deployments, and declares the environments that deployments go to, where that is not for people to do.
func (d *declaring) project() {
	if len(d.out.Files) == 0 {
		return
	}
	envs := slices.Sorted(maps.Keys(d.envs))
	if len(envs) > 0 && !slices.Contains(d.Files, server) {
		d.out.Files = append(d.out.Files, File{server, serverText, "what serves them"})
	}
	if d.Project {
		for _, env := range envs {
			if !slices.Contains(d.Repository.Environments, env) {
				d.out.Environments = append(d.out.Environments, env)
			}
		}
		return
	}
	text := fmt.Sprintf("%skind: Project\nmetadata: {name: %s}\nspec:", head, plain(d.Name))
	if len(envs) == 0 {
		text += " {}\n"
	} else {
		text += "\n  environments:\n"
		for _, env := range envs {
			text += "    " + plain(env) + ": {}\n"
		}
	}
	d.out.Files = append([]File{{"vishwa.yaml", text, "project " + d.Name}}, d.out.Files...)
}

const mostName = 63

// plainName is a name as declarations have them: lower-case letters, digits and hyphens; "": there is none.
func plainName(s string) string {
	var t strings.Builder
	for _, r := range strings.ToLower(s[:min(len(s), 4*mostName)]) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			t.WriteRune(r)
		} else if t.Len() > 0 && !strings.HasSuffix(t.String(), "-") {
			t.WriteByte('-')
		}
		if t.Len() == mostName {
			break
		}
	}
	return strings.Trim(t.String(), "-")
}

// plain is a name in YAML: in quotes where it would be no text, such as 1e5 or null.
func plain(name string) string {
	if name[0] < 'a' || slices.Contains([]string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}, name) {
		return quoted(name)
	}
	return name
}

// shown is text of the server for people, in one line of a bounded length.
func shown(s string) string {
	if len(s) > 100 {
		s = strings.ToValidUTF8(s[:100], "") + "..."
	}
	return harmless.Line(s)
}

func orNothing(s string) string {
	if s == "" {
		return "nothing that MLflow names"
	}
	return shown(s)
}

func few(names []string) string {
	var out []string
	for _, n := range names[:min(len(names), 3)] {
		out = append(out, shown(n))
	}
	if len(names) > 3 {
		out = append(out, "...")
	}
	return strings.Join(out, ", ")
}

// quoted is a value in JSON, which is YAML too.
func quoted(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts and lists of them are always JSON
	}
	return string(raw)
}
