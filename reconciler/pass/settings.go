// Settings: what of a tree must be known before anything else is looked at.

package pass

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"path"

	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/lfs"
	"github.com/vishwaops/vishwa/reconciler/format/yamlpos"
	"github.com/vishwaops/vishwa/schemas"
)

// trustFile is where the trust file is, unless the project says otherwise.
const trustFile = "trust.yaml"

// Bounds on what is read before anything is checked.
const (
	maxSettings = 4 << 20 // bytes of vishwa.yaml, as schemas.Load has it
	maxTrust    = 1 << 20 // bytes of a trust file: thousands of people
	maxSigns    = 200_000 // of YAML
)

// readBounded is the file name, which may have so many bytes.
func readBounded(tree fs.FS, name string, most int64) ([]byte, error) {
	f, err := tree.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(raw)) > most {
		err = fault.WithHint(fault.New(fault.Invalid, "it is larger than %d MiB", most>>20), "take out what nobody needs: so large a file is not read")
	}
	return raw, err
}

// Settings reads the project and the trust file of a tree, and nothing else: what
// only reads the ledger works beside declarations that are broken. A tree without
// a readable project has the zero Project; Read reports what is wrong with it.
func Settings(tree fs.FS) (*schemas.Project, *trust.Trust, error) {
	raw, err := readBounded(tree, "vishwa.yaml", maxSettings)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fault.WithHint(fault.New(fault.Missing, "the repository has no vishwa.yaml"), "make one with vishwa init, or name another repository with -C")
	}
	if err != nil {
		return nil, nil, fault.WithHint(fault.New(fault.Invalid, "read vishwa.yaml: %w", err), "%s", cmp.Or(fault.HintOf(err), "make it a plain file that you may read"))
	}
	project := ParseProject(raw)
	t, err := readTrust(tree, project)
	return project, t, err
}

// ParseProject reads the project of a vishwa.yaml; what cannot be read of it is zero.
func ParseProject(raw []byte) *schemas.Project {
	project := &schemas.Project{}
	if yamlpos.Crowded(raw, maxSigns) >= 0 {
		return project // Read says where
	}
	docs := yaml.NewDecoder(bytes.NewReader(raw))
	for {
		var doc struct {
			Kind string         `yaml:"kind"`
			Spec map[string]any `yaml:"spec"`
		}
		err := docs.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			break // Read says where
		}
		if schemas.Declared(doc.Kind).Settings {
			if b, err := json.Marshal(doc.Spec); err == nil {
				_ = json.Unmarshal(b, project) // what does not fit stays zero; Read says where
			}
			break
		}
	}
	return project
}

// readTrust reads the trust file; none, where none is named, is nil.
func readTrust(tree fs.FS, project *schemas.Project) (*trust.Trust, error) {
	name := project.Trust
	if name == "" {
		name = trustFile
	}
	raw, err := readBounded(tree, path.Clean(name), maxTrust)
	if errors.Is(err, fs.ErrNotExist) && project.Trust == "" {
		return nil, nil
	}
	if err != nil {
		way := "add the trust file, or correct spec.trust of vishwa.yaml"
		if !errors.Is(err, fs.ErrNotExist) {
			way = "make it a plain file that you may read"
		}
		return nil, fault.WithHint(fault.New(fault.Invalid, "read %s: %w", name, err), "%s", cmp.Or(fault.HintOf(err), way))
	}
	if _, is := lfs.Parse(raw); is {
		return nil, fault.WithHint(fault.New(fault.Invalid, "read %s: it %s", name, lfs.NotTheFile), "%s", lfs.Way(name))
	}
	if yamlpos.Crowded(raw, maxSigns) >= 0 {
		return nil, fault.WithHint(fault.New(fault.Invalid, "read %s: it holds more than %d values", name, maxSigns/2), "make it shorter: a trust file names people, their keys and roles")
	}
	t, problems := trust.Load(raw, name)
	if len(problems) > 0 {
		return nil, invalid(problems)
	}
	return t, nil
}
