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
	_, hosted, _ := by.Hosted()
	if hosted == nil || hosted.Runtime == nil {
		return nil
	}
	var files map[string][]byte
	h, more, err := r.Hosted(), []string(nil), error(nil)
	was := h.Code
	switch run := hosted.Runtime; {
	case run.MLServer != nil:
		files, err = mlserver(r, run.MLServer)
	case run.Triton != nil:
		files, more = templates.TritonFiles(r.Name), []string{r.Name}
		err = tritonModel(r, run.Triton)
	case run.ONNXRuntime != nil:
		var file string
		file, err = onnxFile(r.Model, run.ONNXRuntime.File)
		files, more = templates.ONNXRuntimeFiles(), []string{r.Name, file}
	}
	if err != nil {
		return err
	}
	host := "127.0.0.1"
	if by.Docker != nil {
		host = "0.0.0.0"
	}
	h.Command = append([]string{"python3", templates.RuntimeDir + "/serve.py", host}, more...)
	if hosted.Ready == "" {
		r.Ready = "/v2/models/" + r.Name + "/ready"
	}
	return addCode(ctx, store, h, was, files)
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

// tritonModel has the program of the model where Triton reads it.
func tritonModel(r *port.Release, t *schemas.Triton) error {
	h := r.Hosted()
	for _, f := range h.Code {
		if f.Path == path.Clean(t.Program) {
			f.Path = templates.RuntimeDir + "/" + templates.TritonModel(r.Name) + "/model.py"
			h.Code = append(slices.Clone(h.Code), f)
			return nil
		}
	}
	return fault.WithHint(fault.New(fault.Invalid, "the code has no %s", t.Program), "list it in code of spec.target")
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

// addCode puts files into the folder of the code that is Vishwa's own, where nothing of what was declared is.
func addCode(ctx context.Context, store port.Store, h *port.Hosted, was digest.Manifest, files map[string][]byte) error {
	for _, f := range was {
		if f.Path == templates.RuntimeDir || strings.HasPrefix(f.Path, templates.RuntimeDir+"/") {
			return fault.WithHint(fault.New(fault.Invalid, "the code has %s, and that folder is for what Vishwa writes for a runtime", f.Path), "rename it")
		}
	}
	h.Code = slices.Clone(h.Code)
	for name, content := range files {
		d, n, err := store.Put(ctx, bytes.NewReader(content))
		if err != nil {
			return err
		}
		h.Code = append(h.Code, digest.File{Path: templates.RuntimeDir + "/" + name, Digest: d, Size: n})
	}
	slices.SortFunc(h.Code, func(x, y digest.File) int { return strings.Compare(x.Path, y.Path) })
	return nil
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
