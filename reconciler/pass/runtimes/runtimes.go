// Package runtimes writes what a program that serves in place of a command is begun with, for the model that was released.
package runtimes

import (
	"bytes"
	"context"
	"path"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// Begin has r served by the program that its target names, where it names one; what is written for it is put into store.
func Begin(ctx context.Context, store port.Store, r *port.Release, by *schemas.Target) error {
	run := by.ByRuntime()
	if run == nil {
		return nil
	}
	var files map[string][]byte
	command, code := r.Program()
	more, err := []string(nil), error(nil)
	was := *code
	switch {
	case run.MLServer != nil:
		files, err = mlserver(r, run.MLServer)
	case run.Triton != nil:
		files, more = templates.TritonFiles(r.Name), []string{r.Name}
		*code, err = tritonModel(r.Name, was, run.Triton)
	case run.ONNXRuntime != nil:
		var file string
		file, err = onnxFile(r.Model, run.ONNXRuntime.File)
		files, more = templates.ONNXRuntimeFiles(), []string{r.Name, file}
	case run.BentoML != nil:
		files, more = templates.BentoMLFiles(), []string{path.Clean(run.BentoML.Program), run.BentoML.Service}
		if !slices.ContainsFunc(was, func(f digest.File) bool { return f.Path == more[0] }) {
			err = absent(run.BentoML.Program)
		}
	}
	if err != nil {
		return err
	}
	host := "0.0.0.0"
	if by.Local != nil {
		host = "127.0.0.1"
	}
	*command = append([]string{"python3", templates.RuntimeDir + "/serve.py", host}, more...)
	if _, how, _ := by.Served(); how.Ready == "" {
		r.Ready = "/v2/models/" + r.Name + "/ready"
		if run.BentoML != nil {
			r.Ready = "/readyz"
		}
	}
	*code, err = addCode(ctx, store, was, *code, files)
	return err
}

func mlserver(r *port.Release, m *schemas.MLServer) (map[string][]byte, error) {
	file, err := modelFile(r.Model, "mlserver", m.File)
	if err != nil {
		return nil, err
	}
	files, err := templates.MLServerFiles(r.Name, m.Implementation, file)
	if err != nil {
		return nil, fault.New(fault.Internal, "write the settings of MLServer: %w", err)
	}
	return files, nil
}

// tritonModel is code with the program of the model where Triton reads it.
func tritonModel(name string, code digest.Manifest, t *schemas.Triton) (digest.Manifest, error) {
	for _, f := range code {
		if f.Path == path.Clean(t.Program) {
			f.Path = templates.RuntimeDir + "/" + templates.TritonModel(name) + "/model.py"
			return append(slices.Clone(code), f), nil
		}
	}
	return nil, absent(t.Program)
}

func absent(program string) error {
	return fault.WithHint(fault.New(fault.Invalid, "the code has no %s", program), "list it in code of spec.target")
}

// onnxFile is the file of a model that is of ONNX: the one that is named, or the only one.
func onnxFile(m port.Artifact, named string) (string, error) {
	if named != "" {
		return modelFile(m, "onnxruntime", named)
	}
	var all []string
	for _, f := range m.Files {
		if strings.HasSuffix(f.Path, ".onnx") {
			all = append(all, f.Path)
		}
	}
	if len(all) != 1 {
		return "", fault.WithHint(fault.New(fault.Invalid, "the model has %s that end in .onnx", plural.Of(len(all), "file")), "name the one that serves as spec.target's runtime.onnxruntime.file")
	}
	return all[0], nil
}

// addCode is code with files in the folder that is Vishwa's own, where nothing of what was declared is.
func addCode(ctx context.Context, store port.Store, declared, code digest.Manifest, files map[string][]byte) (digest.Manifest, error) {
	for _, f := range declared {
		if f.Path == templates.RuntimeDir || strings.HasPrefix(f.Path, templates.RuntimeDir+"/") {
			return nil, fault.WithHint(fault.New(fault.Invalid, "the code has %s, and that folder is for what Vishwa writes for a runtime", f.Path), "rename it")
		}
	}
	code = slices.Clone(code)
	for name, content := range files {
		d, n, err := store.Put(ctx, bytes.NewReader(content))
		if err != nil {
			return nil, err
		}
		code = append(code, digest.File{Path: templates.RuntimeDir + "/" + name, Digest: d, Size: n})
	}
	slices.SortFunc(code, func(x, y digest.File) int { return strings.Compare(x.Path, y.Path) })
	return code, nil
}

// modelFile is what of a model a runtime is handed: the file or folder that is named, its only file, or "." for all of it.
func modelFile(m port.Artifact, runtime, named string) (string, error) {
	if named == "" && len(m.Files) == 1 {
		return m.Files[0].Path, nil
	}
	if named == "" {
		return ".", nil
	}
	for _, f := range m.Files {
		if f.Path == named || strings.HasPrefix(f.Path, named+"/") {
			return named, nil
		}
	}
	var all []string
	for _, f := range m.Files[:min(len(m.Files), 10)] {
		all = append(all, f.Path)
	}
	return "", fault.WithHint(fault.New(fault.Invalid, "the model has no %s", named), "name one of its files as spec.target's runtime.%s.file: %s", runtime, strings.Join(all, ", "))
}
