// Pointers of Git LFS in the place of data: a checkout without its content, or a source
// that serves what Git has. They are refused before anything is kept or profiled.

package data

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/lfs"
	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
)

const isPointer = "is a Git LFS pointer and not the file itself"

// standsIn refuses a file of the work tree whose content is a pointer.
func (w *Workspace) standsIn(at dvccache.Spot, content []byte) error {
	if _, is := lfs.Parse(content); !is {
		return nil
	}
	rel := strings.TrimPrefix(strings.TrimPrefix(at.String(), w.root), "/")
	return fault.WithHint(fault.New(fault.Invalid, "%s %s", rel, isPointer), "fetch what it names: git lfs pull --include %s; then add it again", rel)
}

// CheckFetched refuses what was fetched, a file or a folder, where a pointer stands in it.
// Only files that are small enough to be one are read.
func CheckFetched(ctx context.Context, fetched string) error {
	files, err := findFiles(ctx, fetched, nil, 1)
	if err != nil {
		return err
	}
	inOrder(files)
	buf := make([]byte, lfs.MaxPointer)
	for _, f := range files {
		if f.stamp.Size >= lfs.MaxPointer {
			continue
		}
		at := filepath.Join(fetched, filepath.FromSlash(f.path))
		in, err := os.Open(at)
		if err != nil {
			return fault.New(fault.Internal, "read what was fetched: %w", err)
		}
		n, err := io.ReadFull(in, buf)
		in.Close()
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return fault.New(fault.Internal, "read what was fetched: %w", err)
		}
		if _, is := lfs.Parse(buf[:n]); is {
			return fault.WithHint(fault.New(fault.Invalid, "what came as %s %s", filepath.Base(at), isPointer), "have the source serve the file itself, or fetch it where Git LFS can: git lfs pull")
		}
	}
	return nil
}
