// Reading what a repository's files say of its data: of files that are made to be waited
// for, or to take all memory, nothing is read.

package data

import (
	"io"
	"io/fs"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/yamlpos"
)

// Bounds on a .dvc file, dvc.lock, dvc.yaml, file of parameters or .dvcignore: YAML takes
// fifty times the room of its text.
const (
	maxSmall = 16 << 20  // bytes
	maxSigns = 2_000_000 // of YAML
)

// readSmall is a file of tree. One that is not there is fs.ErrNotExist.
func readSmall(tree fs.FS, file string) ([]byte, error) {
	st, err := fs.Stat(tree, file)
	if err != nil {
		return nil, fault.New(fault.Denied, "read %s: %w", file, err)
	}
	if !st.Mode().IsRegular() {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s is not a regular file", file), "restore it from Git, or remove it")
	}
	f, err := tree.Open(file)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Denied, "read %s: %w", file, err), "make it readable")
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSmall+1))
	switch {
	case err != nil:
		return nil, fault.WithHint(fault.New(fault.Denied, "read %s: %w", file, err), "make it readable")
	case len(b) > maxSmall, yamlpos.Crowded(b, maxSigns) >= 0:
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s has more than %d MiB, or %d values", file, maxSmall>>20, maxSigns/4), "let it name less; a folder can be kept whole")
	}
	return b, nil
}
