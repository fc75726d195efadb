// Copies for others of this machine: what a container's user is to read lies beside the store,
// whose files are its owner's alone.

package artifact

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// CopyOut copies content out of the store, for all to read.
func CopyOut(ctx context.Context, store port.Store, d digest.Digest, to string) error {
	in, err := store.Get(ctx, d)
	if err != nil {
		return err
	}
	defer in.Close()
	return fillNew(to, in, 0o444)
}

// CopyProgram copies a program, for all to begin.
func CopyProgram(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return fillNew(to, in, 0o755)
}

// fillNew writes a file that must not be there.
func fillNew(to string, in io.Reader, mode os.FileMode) error {
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, mode)
	if err != nil {
		return Disk(err, filepath.Dir(to))
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Chmod(mode), out.Close())
}
