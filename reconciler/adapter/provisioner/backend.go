// Where a stack's state is. A declared backend wins; a module's own backend is
// respected; otherwise the state is a file that Vishwa names, never one in a
// work directory, which may be wiped.

package provisioner

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/hashicorp/terraform-exec/tfexec"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/terraform"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// overrideFile is the generated file that puts the state where it belongs.
// Terraform merges files with this ending over the module's own blocks.
const overrideFile = "vishwa_override.tf.json"

// backend is where the state is: a local file, or what the module declares.
type backend struct {
	Path     string            `json:"path,omitempty"`     // of the local state file
	Settings map[string]string `json:"settings,omitempty"` // of the backend that the module declares
	Kind     string            `json:"kind,omitempty"`     // of the module's own backend
}

func (b backend) digest() digest.Digest {
	d, err := digest.JSON(b)
	if err != nil {
		panic(err) // strings always encode
	}
	return d
}

func chooseBackend(s port.Infrastructure, root string) (backend, error) {
	kind := terraform.Backend(s.Source)
	switch {
	case s.State.Path != "" && len(s.State.Backend) > 0:
		return backend{}, fault.New(fault.Invalid, "stack %s: spec.state has both path and backend: keep one", s.Name)
	case s.State.Path != "":
		if !filepath.IsAbs(s.State.Path) {
			return backend{}, fault.New(fault.Invalid, "stack %s: spec.state.path %q is not absolute: give an absolute path outside the repository", s.Name, s.State.Path)
		}
		return backend{Path: filepath.Clean(s.State.Path)}, nil
	case len(s.State.Backend) > 0 && kind == "":
		return backend{}, fault.WithHint(fault.New(fault.Invalid, "stack %s: spec.state.backend configures a backend, and the module declares none", s.Name),
			"declare the backend in the module, as in terraform { backend \"s3\" {} }, or remove spec.state.backend")
	case len(s.State.Backend) > 0:
		return backend{Settings: s.State.Backend, Kind: kind}, nil
	case kind != "" && kind != "local":
		return backend{Kind: kind}, nil
	default:
		return backend{Path: filepath.Join(root, "terraform.tfstate")}, nil
	}
}

// initialise runs init and validate on a module that was just laid out.
func (w *work) initialise(ctx context.Context) error {
	options := []tfexec.InitOption{tfexec.Reconfigure(true)}
	if w.backend.Path != "" {
		if err := os.MkdirAll(filepath.Dir(w.backend.Path), 0o700); err != nil {
			return fault.WithHint(fault.New(fault.Internal, "make folder of the state: %w", err), "choose a folder that can be written, in spec.state.path")
		}
		if err := w.overrideBackend(w.backend.Path); err != nil {
			return err
		}
	}
	for name, value := range w.backend.Settings {
		options = append(options, tfexec.BackendConfig(name+"="+value))
	}
	var said text
	w.cli.SetStdout(&said)
	err := w.run(ctx, func(ctx context.Context) error { return w.cli.Init(ctx, options...) })
	if err != nil {
		return w.failure("initialise", fromText(err.Error()+"\n"+said.String()), err)
	}
	if err := w.atCommits(); err != nil {
		return err
	}
	if err := w.locked(); err != nil {
		return err
	}
	if !w.initialised() {
		return fault.WithHint(fault.New(fault.Invalid, "stack %s: %s did not take the backend of the module", w.stack.Name, w.tool.product),
			"declare the backend in a terraform block of the module's root, or say where the state is in spec.state.path")
	}
	return w.validate(ctx)
}

// overrideBackend has the module keep its state in a file.
func (w *work) overrideBackend(state string) error {
	raw, err := json.Marshal(map[string]any{"terraform": map[string]any{"backend": map[string]any{"local": map[string]any{"path": state}}}})
	if err == nil {
		err = os.WriteFile(filepath.Join(w.moduleDir(), overrideFile), raw, 0o600)
	}
	if err != nil {
		return fault.New(fault.Internal, "write backend of stack %s: %w", w.stack.Name, err)
	}
	return nil
}

// initialised tells whether Terraform's own record agrees on the backend: where it
// does not, a state could be written to a folder that is wiped.
func (w *work) initialised() bool {
	raw, err := os.ReadFile(filepath.Join(w.moduleDir(), ".terraform", "terraform.tfstate"))
	if err != nil {
		return false
	}
	var doc struct {
		Backend struct {
			Type   string `json:"type"`
			Config struct {
				Path string `json:"path"`
			} `json:"config"`
		} `json:"backend"`
	}
	if json.Unmarshal(raw, &doc) != nil {
		return false
	}
	if w.backend.Path != "" {
		return doc.Backend.Type == "local" && doc.Backend.Config.Path == w.backend.Path
	}
	return doc.Backend.Type == w.backend.Kind
}

func (w *work) validate(ctx context.Context) error {
	var found []diagnostic
	w.cli.SetStdout(&text{})
	err := w.run(ctx, func(ctx context.Context) error {
		out, err := w.cli.Validate(ctx)
		if out == nil {
			return err
		}
		for _, d := range out.Diagnostics {
			one := diagnostic{Severity: string(d.Severity), Summary: d.Summary, Detail: d.Detail}
			if d.Range != nil {
				one.Range = &place{Filename: d.Range.Filename}
				one.Range.Start.Line = d.Range.Start.Line
			}
			found = append(found, one)
		}
		return err
	})
	broken := slices.ContainsFunc(found, func(d diagnostic) bool { return d.Severity == "error" })
	if err != nil || broken {
		if err == nil {
			err = errors.New("invalid module")
		}
		return w.failure("validate", found, err)
	}
	return nil
}

// state is the bytes of the state; none where there is no state yet.
func (w *work) state(ctx context.Context) ([]byte, error) {
	if w.backend.Path != "" {
		raw, err := os.ReadFile(w.backend.Path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, fault.WithHint(fault.New(fault.Internal, "read state of stack %s: %w", w.stack.Name, err), "make the state readable")
		}
		return raw, nil
	}
	var raw string
	w.cli.SetStdout(&text{})
	err := w.run(ctx, func(ctx context.Context) (err error) {
		raw, err = w.cli.StatePull(ctx)
		return err
	})
	if err != nil {
		return nil, w.failure("read state of", fromText(err.Error()), err)
	}
	return []byte(raw), nil
}

// position names the state's place in its history: what a plan is made against.
func position(state []byte) string {
	var doc struct {
		Lineage string      `json:"lineage"`
		Serial  json.Number `json:"serial"`
	}
	switch {
	case len(state) == 0:
		return ""
	case json.Unmarshal(state, &doc) == nil && doc.Lineage != "":
		return doc.Lineage + "/" + strconv.Quote(doc.Serial.String())
	default: // encrypted: every write is another text
		return string(digest.Of(state))
	}
}
