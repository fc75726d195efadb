// The lock file of a module (.terraform.lock.hcl) says which providers it is planned with. Where it is committed, one that it
// does not name is not taken: nobody has reviewed which that would be.

package provisioner

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

const lockFile = ".terraform.lock.hcl"

// locked refuses providers that init chose by itself, although the module has a lock file. It adds to the copy of that file in the work directory.
func (w *work) locked() error {
	if !slices.ContainsFunc(w.module, func(f digest.File) bool { return f.Path == lockFile }) {
		return nil
	}
	declared, err := fs.ReadFile(w.stack.Source, lockFile)
	if err != nil {
		return fault.New(fault.Internal, "read %s of stack %s: %w", lockFile, w.stack.Name, err)
	}
	chosen, err := os.ReadFile(filepath.Join(w.moduleDir(), lockFile))
	if errors.Is(err, fs.ErrNotExist) { // it needs none, and they are forgotten
		return nil
	}
	if err != nil {
		return fault.New(fault.Internal, "read %s of stack %s: %w", lockFile, w.stack.Name, err)
	}
	was, err := lockedVersions(declared)
	if err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "read %s of stack %s: %w", lockFile, w.stack.Name, err), "write it anew: %s init in the module's folder", w.tool.product)
	}
	now, err := lockedVersions(chosen)
	if err != nil {
		return fault.New(fault.Internal, "read %s of stack %s: %w", lockFile, w.stack.Name, err)
	}
	var other []string
	for address, version := range now {
		if was[address] != version {
			other = append(other, address)
		}
	}
	if len(other) == 0 {
		return nil
	}
	slices.Sort(other)
	return fault.WithHint(fault.New(fault.Invalid, "stack %s: %s does not name %s, which the module needs", w.stack.Name, lockFile, strings.Join(other[:min(most, len(other))], ", ")),
		"run %s init in the module's folder, and commit %s", w.tool.product, lockFile)
}

// lockedVersions are the versions that a lock file names, by provider.
func lockedVersions(raw []byte) (map[string]string, error) {
	all, err := readBlock(string(raw))
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, b := range all.blocks {
		if b.kind == "provider" {
			out[strings.Trim(b.label, `"`)] = b.value("version")
		}
	}
	return out, nil
}
