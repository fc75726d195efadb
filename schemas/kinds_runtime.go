// Programs that serve models of a format, in place of a command of the team's own.

package schemas

import (
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

// Runtime is a program that serves, which Vishwa begins and whose settings it writes. Exactly one is given.
type Runtime struct {
	// MLServer is Seldon's server, as the Python package mlserver of the environment has it.
	MLServer *MLServer `json:"mlserver,omitempty" part:"key"`
}

// MLServer is asked by the Open Inference Protocol, for a model with the deployment's name.
type MLServer struct {
	// Implementation is the Python class that loads the model and answers: of a package of the environment, such as mlserver_xgboost.XGBoostModel, or of the declared code, such as src.serve.Price.
	Implementation string `json:"implementation" jsonschema:"required" part:"key"`
	// File is the file or folder of the model that it is handed, by its path there; without it, the model's only file, or else its folder.
	File string `json:"file,omitempty" part:"key"`
}

// pythonClass is a class by the names of its modules.
var pythonClass = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+$`)

// runtimes are the fields of a runtime, each one that serves.
var runtimes = []string{"mlserver"}

func (r *Runtime) check(d *document, field string) {
	if r == nil {
		return
	}
	if !slices.ContainsFunc(runtimes, func(name string) bool { return d.has(field + "." + name) }) && !d.wrong(field) {
		d.problem(field, "names none; give %s", strings.Join(runtimes, " or "))
	}
	if m := r.MLServer; m != nil {
		if m.Implementation != "" && (len(m.Implementation) > maxRunnerText || !pythonClass.MatchString(m.Implementation)) {
			d.problem(field+".mlserver.implementation", "%s is not a class of Python; write it with its module, such as mlserver_xgboost.XGBoostModel", short(m.Implementation))
		}
		if m.File != "" && plain(d, field+".mlserver.file", m.File) && !fs.ValidPath(m.File) {
			d.problem(field+".mlserver.file", "%s is not a path of the model's folder; write one such as model.json", short(m.File))
		}
	}
}
