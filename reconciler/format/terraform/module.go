// Package terraform reads what the files of a Terraform module declare, without Terraform:
// its variables, its backend, and what is wrong with it that can be told without a plan.
//
// It reads HCL as Terraform does, by the same library, and evaluates next to nothing. What
// it cannot tell it leaves to Terraform: it may say too little, and never too much.
package terraform

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/json"
)

// Bounds on what is read of a stack: anybody may have written it.
const (
	maxFile    = 512 << 10 // bytes of one file; a larger one is left to Terraform
	maxAll     = 8 << 20   // bytes of all files of a stack
	maxModules = 100       // folders of a stack
)

// Problem is something that is wrong. File is relative to the stack's module; where
// Variable is set it is about a value that is passed, and has no file.
type Problem struct {
	File     string
	Line     int
	Variable string
	Message  string // ends with what to do
}

// module is what the files of one folder declare.
type module struct {
	dir       string
	files     []*file
	variables map[string]*variable
	locals    map[string]bool
	data      map[string]bool      // type.name
	resources map[string]bool      // type.name
	iterators map[string]bool      // of dynamic blocks: names that look like a resource's type
	stands    map[string]hcl.Range // what is declared once at most, by kind and name; see once
	calls     map[string]*call
	backend   string
	versions  []required
	problems  []Problem
	// partial says that a file is not known whole: what is declared nowhere may be in it.
	partial bool
}

// file is one of them: native or, where it is JSON, the blocks whose expressions are read.
type file struct {
	name   string
	native *hclsyntax.Body
	blocks hcl.Blocks
}

// variable is one that a module declares.
type variable struct {
	name        string
	at          hcl.Range
	defaults    bool
	value       hcl.Expression // its default; nil: none
	kind        hcl.Expression // its type; nil: any
	validations []*hcl.Block
}

// call is a module block.
type call struct {
	name   string
	at     hcl.Range
	source string // "": it is not a plain text
	from   hcl.Range
	exact  string               // the version that it asks for
	gives  map[string]hcl.Range // the variables that it sets; nil: not known
}

// budget is what may still be read of a stack.
type budget struct{ bytes, modules int }

// Backend is the kind of the backend that the module's files declare, "cloud", or "".
// initialise checks it against Terraform's own view.
func Backend(root fs.FS) string {
	m, err := readModule(root, ".", &budget{maxAll, maxModules})
	if err != nil {
		return ""
	}
	return m.backend
}

// configuration tells whether Terraform or OpenTofu reads a file of this name.
func configuration(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") || strings.HasPrefix(name, "#") && strings.HasSuffix(name, "#") {
		return false
	}
	name = strings.TrimSuffix(name, ".json")
	return strings.HasSuffix(name, ".tf") || strings.HasSuffix(name, ".tofu")
}

// overrides tells whether what a file says replaces what other files say.
func overrides(name string) bool {
	stem, _, _ := strings.Cut(name, ".tf")
	stem, _, _ = strings.Cut(stem, ".tofu")
	return stem == "override" || strings.HasSuffix(stem, "_override")
}

var errLarge = errors.New("it is too large to be checked without Terraform")

// read reads the module in dir of root. An error says that there is none to read.
func readModule(root fs.FS, dir string, left *budget) (*module, error) {
	m := &module{dir: dir, variables: map[string]*variable{}, locals: map[string]bool{}, data: map[string]bool{}, calls: map[string]*call{},
		resources: map[string]bool{}, iterators: map[string]bool{}, stands: map[string]hcl.Range{}}
	if left.modules--; left.modules < 0 {
		m.partial = true
		return m, nil
	}
	entries, err := fs.ReadDir(root, dir)
	if err != nil {
		return nil, errors.New("it is not a folder that can be read")
	}
	var plain, over []string
	for _, e := range entries {
		name := e.Name()
		switch {
		case !configuration(name):
		case !e.Type().IsRegular():
			m.problem(hcl.Range{Filename: path.Join(dir, name)}, "is not a plain file; keep only plain files in the module's folder")
			m.partial = true
		case overrides(name):
			over = append(over, name)
		default:
			plain = append(plain, name)
		}
	}
	for _, name := range append(plain, over...) {
		m.readFile(root, path.Join(dir, name), left)
	}
	return m, nil
}

func (m *module) problem(at hcl.Range, format string, args ...any) {
	m.problems = append(m.problems, Problem{File: at.Filename, Line: at.Start.Line, Message: fmt.Sprintf(format, args...)})
}

// readFile reads one file. What is wrong in it is a problem; the rest of it is read.
func (m *module) readFile(root fs.FS, name string, left *budget) {
	raw, err := limited(root, name, left)
	if err != nil && !errors.Is(err, errLarge) {
		m.problem(hcl.Range{Filename: name}, "cannot be read; make it readable")
		m.partial = true
		return
	}
	var parsed *hcl.File
	if err == nil {
		parsed, err = parse(raw, name, &m.problems)
	}
	if errors.Is(err, errLarge) {
		m.partial = true
		return
	}
	if err != nil {
		m.problem(hcl.Range{Filename: name}, "%v; write it more simply", err)
		m.partial = true
		return
	}
	if parsed == nil { // what it would have declared is not known
		m.partial = true
		return
	}
	f := &file{name: name}
	f.native, _ = parsed.Body.(*hclsyntax.Body)
	blocks := m.declare(parsed.Body)
	if f.native == nil && plainTexts(raw) {
		f.blocks = blocks
	}
	if f.native != nil {
		m.iterate(f.native)
	}
	m.files = append(m.files, f)
}

// limited is the content of a file, while it is within its bounds.
func limited(root fs.FS, name string, left *budget) ([]byte, error) {
	info, err := fs.Stat(root, name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile || info.Size() > int64(left.bytes) {
		return nil, errLarge
	}
	left.bytes -= int(info.Size())
	raw, err := fs.ReadFile(root, name)
	if len(raw) > maxFile {
		return nil, errLarge
	}
	return raw, err
}

// parse reads HCL in either of its forms. Where its syntax is wrong, that is a problem,
// and there is no file; an error says that it was not tried.
func parse(raw []byte, name string, problems *[]Problem) (*hcl.File, error) {
	var parsed *hcl.File
	var found hcl.Diagnostics
	if strings.HasSuffix(name, ".json") {
		if deepJSON(raw) {
			return nil, errDeep
		}
		parsed, found = json.Parse(raw, name)
	} else {
		if err := checkHCL(raw, name); err != nil {
			return nil, err
		}
		parsed, found = hclsyntax.ParseConfig(raw, name, hcl.InitialPos)
	}
	if wrong := found.Errs(); len(wrong) > 0 {
		*problems = append(*problems, syntax(found, name))
		return nil, nil
	}
	return parsed, nil
}

// syntax is the first of what is wrong with a file's syntax: the rest follows from it.
func syntax(found hcl.Diagnostics, name string) Problem {
	for _, d := range found {
		if d.Severity != hcl.DiagError {
			continue
		}
		at := Problem{File: name, Message: d.Summary + "; correct the syntax"}
		if d.Subject != nil {
			at.Line = d.Subject.Start.Line
		}
		return at
	}
	return Problem{File: name, Message: "the syntax is wrong; correct it"}
}
