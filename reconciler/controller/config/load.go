// Reading a controller's file: all that is wrong with it is told at once.

package config

import (
	"cmp"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/yamlpos"
	"github.com/vishwaops/vishwa/schemas"
)

// Kind is the kind that a controller's file declares.
const Kind = "Controller"

// Document configures a controller, the process that reconciles many repositories: vishwa controller --config FILE.
type Document struct {
	// APIVersion is the version of the file's format.
	APIVersion string `yaml:"apiVersion"`
	// Kind says what the file is.
	Kind string `yaml:"kind"`
	// Spec is what the controller does. A field that is not there has its default.
	Spec Spec `yaml:"spec"`
}

// Read reads the file that configures a controller. Paths in it are as seen
// from its folder.
func Read(file string) (Spec, error) {
	c, _, err := decodeFile(file)
	return c, err
}

// Check reads as Read does, and looks whether what the file names on this
// machine is there: repositories, folders and files of secrets. Variables and addresses
// are left to the controller, which may run elsewhere.
func Check(file string) (Spec, error) {
	c, d, err := decodeFile(file)
	if err != nil {
		return Spec{}, err
	}
	d.found(c)
	return c, d.err()
}

func decodeFile(file string) (Spec, *decoder, error) {
	f, err := os.Open(file)
	if err != nil {
		kind := fault.Invalid
		if errors.Is(err, os.ErrNotExist) {
			kind = fault.Missing
		}
		return Spec{}, nil, fault.WithHint(fault.New(kind, "read the configuration: %w", err), "name the controller's file with --config")
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return Spec{}, nil, fault.WithHint(fault.New(fault.Invalid, "read the configuration: %w", err), "name the controller's file, and let its user read it")
	}
	c, d := parse(file, text)
	if err := d.err(); err != nil {
		return Spec{}, nil, err
	}
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return Spec{}, nil, fault.New(fault.Internal, "find the configuration's folder: %w", err)
	}
	c.rooted(dir)
	return c, d, nil
}

// Parse reads text, the contents of file. The error is Invalid and tells all
// problems, one a line, each with its place and the way out.
func Parse(file string, text []byte) (Spec, error) {
	c, d := parse(file, text)
	return c, d.err()
}

// parse reads text; where there are problems, the configuration is none.
func parse(file string, text []byte) (Spec, *decoder) {
	d := &decoder{file: file, places: map[string]schemas.Position{}}
	var doc Document
	if root := d.root(text); root != nil {
		d.value(root, reflect.ValueOf(&doc).Elem(), "", 0)
		d.check(&doc)
	}
	if len(d.problems) > 0 {
		return Spec{}, d
	}
	return doc.Spec.Filled(), d
}

// err tells all problems, in the order of the file.
func (d *decoder) err() error {
	if len(d.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(d.problems, func(a, b schemas.Problem) int {
		return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column))
	})
	lines := make([]string, len(d.problems))
	for i, p := range d.problems {
		lines[i] = p.Error()
	}
	return fault.WithHint(fault.New(fault.Invalid, "%s", strings.Join(lines, "\n")), "correct the configuration; vishwa controller --check --config FILE checks it")
}

// root is the one document of the text.
func (d *decoder) root(text []byte) *yaml.Node {
	if len(text) > maxConfig {
		d.problem("", "is larger than 4 MiB; split it among several controllers")
		return nil
	}
	root, err := yamlpos.One(text, maxNodes)
	var wrong *yamlpos.Problem
	switch {
	case errors.Is(err, io.EOF):
		d.problem("", "is empty; write apiVersion, kind and spec")
		return nil
	case errors.As(err, &wrong):
		d.places[""] = schemas.Position{File: d.file, Line: wrong.Line, Column: wrong.Column}
		d.problem("", "%s", wrong.Message)
		return nil
	}
	return root
}
