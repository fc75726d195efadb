// Tests of a module (terraform test) and what they run in its place: modules that no plan of it tells of.

package terraform

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// Call is the call of a module, as its author wrote it.
type Call struct {
	Name    string
	Source  string
	Version string // what it asks for; "": nothing
}

var (
	ofTest = blocks(hcl.BlockHeaderSchema{Type: "run", LabelNames: []string{"name"}})
	ofRun  = blocks(hcl.BlockHeaderSchema{Type: "module"})
)

// IsTest tells whether the program of this name takes a file of a module for tests: next to the module's files, and in the folder tests.
func IsTest(file, product string) bool {
	kinds := []string{".tftest.hcl", ".tftest.json"}
	if product == "tofu" {
		kinds = append(kinds, ".tofutest.hcl", ".tofutest.json")
	}
	dir := path.Dir(file)
	return (dir == "." || dir == "tests") && slices.ContainsFunc(kinds, func(kind string) bool { return strings.HasSuffix(file, kind) })
}

// fetched is what init notes of a module (.terraform/modules/modules.json).
type fetched struct{ Key, Source, Version, Dir string }

// TestCalls are the modules that the tests of the module in root run, and those that these call, at whatever depth. root is a folder
// after init. An error says that not all of them are known.
func TestCalls(root fs.FS, product string) ([]Call, error) {
	left := &budget{maxAll, maxModules}
	all := map[Call]bool{}
	var dirs []string // of modules of the stack's own, which have calls of their own
	for _, dir := range []string{".", "tests"} {
		entries, _ := fs.ReadDir(root, dir) // none is none
		for _, e := range entries {
			file := path.Join(dir, e.Name())
			if !IsTest(file, product) {
				continue
			}
			runs, err := readTest(root, file, left)
			if err != nil {
				return nil, err
			}
			for _, c := range runs {
				all[c] = true
			}
		}
	}
	noted, err := readFetched(root)
	if err != nil {
		return nil, err
	}
	for _, one := range noted {
		if strings.HasPrefix(one.Key, "test.") {
			dirs = append(dirs, one.Dir)
		}
	}
	slices.Sort(dirs)
	for _, dir := range slices.Compact(dirs) {
		m, err := readModule(root, path.Clean(dir), left)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
		if m.partial {
			return nil, fmt.Errorf("%s: not all of it can be read", dir)
		}
		for _, c := range m.calls {
			all[Call{c.name, c.source, c.exact}] = true
		}
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b Call) int {
		return strings.Compare(a.Name+"\n"+a.Source+"\n"+a.Version, b.Name+"\n"+b.Source+"\n"+b.Version)
	}), nil
}

// readFetched are the modules that init noted; none where it had none to note.
func readFetched(root fs.FS) ([]fetched, error) {
	raw, err := fs.ReadFile(root, ".terraform/modules/modules.json")
	if err != nil {
		return nil, nil
	}
	var doc struct{ Modules []fetched }
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf(".terraform/modules/modules.json: %w", err)
	}
	return doc.Modules, nil
}

// readTest are the modules that one file of tests calls.
func readTest(root fs.FS, file string, left *budget) (out []Call, err error) {
	raw, err := limited(root, file, left)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var wrong []Problem
	parsed, err := parse(raw, file, &wrong)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if parsed == nil {
		return nil, fmt.Errorf("%s:%d: %s", file, wrong[0].Line, wrong[0].Message)
	}
	content, _, _ := parsed.Body.PartialContent(ofTest)
	for _, run := range content.Blocks {
		inner, _, _ := run.Body.PartialContent(ofRun)
		for _, b := range inner.Blocks {
			held, _, _ := b.Body.PartialContent(ofCall)
			c := Call{Name: run.Labels[0] + " of " + file}
			if a := held.Attributes["source"]; a != nil {
				c.Source = plain(a.Expr)
			}
			if a := held.Attributes["version"]; a != nil {
				c.Version = plain(a.Expr)
			}
			out = append(out, c)
		}
	}
	return out, nil
}
