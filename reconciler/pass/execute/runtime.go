// A program that serves in place of a command: what it is begun with is written for the model that was released.

package execute

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// runtime has r served by the program that its target names, where it names one.
func (a *execution) runtime(ctx context.Context, r *port.Release, by *schemas.Target) error {
	_, hosted, _ := by.Hosted()
	if hosted == nil || hosted.Runtime == nil || hosted.Runtime.MLServer == nil {
		return nil
	}
	m, h := hosted.Runtime.MLServer, r.Hosted()
	file, err := modelFile(r.Model, m.File)
	if err != nil {
		return err
	}
	files, err := templates.MLServerFiles(r.Name, m.Implementation, file)
	if err != nil {
		return fault.New(fault.Internal, "write the settings of MLServer: %w", err)
	}
	host := "127.0.0.1"
	if by.Docker != nil {
		host = "0.0.0.0"
	}
	h.Command = []string{"python3", templates.RuntimeDir + "/serve.py", host}
	if hosted.Ready == "" {
		r.Ready = "/v2/models/" + r.Name + "/ready"
	}
	return a.addCode(ctx, h, files)
}

// addCode puts files into the folder of the code that is Vishwa's own.
func (a *execution) addCode(ctx context.Context, h *port.Hosted, files map[string][]byte) error {
	for _, f := range h.Code {
		if f.Path == templates.RuntimeDir || strings.HasPrefix(f.Path, templates.RuntimeDir+"/") {
			return fault.WithHint(fault.New(fault.Invalid, "the code has %s, and that folder is for what Vishwa writes for a runtime", f.Path), "rename it")
		}
	}
	h.Code = slices.Clone(h.Code)
	for name, content := range files {
		d, n, err := a.Store.Put(ctx, bytes.NewReader(content))
		if err != nil {
			return err
		}
		h.Code = append(h.Code, digest.File{Path: templates.RuntimeDir + "/" + name, Digest: d, Size: n})
	}
	slices.SortFunc(h.Code, func(x, y digest.File) int { return strings.Compare(x.Path, y.Path) })
	return nil
}

// modelFile is what of a model a runtime is handed: the file or folder that is named, its only file, or "." for all of it.
func modelFile(m port.Artifact, named string) (string, error) {
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
	return "", fault.WithHint(fault.New(fault.Invalid, "the model has no %s", named), "name one of its files as spec.target's runtime.mlserver.file: %s", strings.Join(all, ", "))
}
