// Out of the store: artifacts become read-only files and folders.

package artifact

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// readOnly is the mode of what is laid out: nobody changes verified bytes in passing.
const readOnly = 0o444

// Checkout lays art out at dst, whose parent folder exists: a file becomes a
// file, a folder one with exactly the files of its manifest. Bytes are verified
// while they are copied; dst is complete or not there. What is there already is a
// Conflict, but for an empty folder, whose place is taken.
func Checkout(ctx context.Context, store port.Store, art port.Artifact, dst string) error {
	if err := check(art); err != nil {
		return err
	}
	if err := vacant(dst, art.Files != nil); err != nil {
		return err
	}
	parent := filepath.Dir(dst)
	tmp, err := os.MkdirTemp(parent, ".partial-")
	if err != nil {
		return Disk(fmt.Errorf("lay out %s: %w", filepath.Base(dst), err), parent)
	}
	defer os.RemoveAll(tmp)
	root, err := os.OpenRoot(tmp)
	if err != nil {
		return fmt.Errorf("lay out %s: %w", filepath.Base(dst), err)
	}
	defer root.Close()

	const inside = "content" // a name of its own below tmp, to be renamed as a whole
	if art.Files == nil {
		err = write(ctx, store, root, inside, digest.File{Digest: art.Digest, Size: art.Size})
	} else if err = root.Mkdir(inside, 0o755); err == nil {
		for _, f := range art.Files {
			if err = write(ctx, store, root, inside+"/"+f.Path, f); err != nil {
				break
			}
		}
	}
	if err == nil {
		err = os.Rename(filepath.Join(tmp, inside), dst)
	}
	if err != nil {
		return Disk(fmt.Errorf("lay out %s: %w", filepath.Base(dst), err), parent)
	}
	return nil
}

// check tells whether art means what it says.
func check(art port.Artifact) error {
	const way = "the record that names it is damaged: run vishwa ledger verify"
	if art.Files == nil {
		if _, err := digest.Parse(string(art.Digest)); err != nil {
			return fault.WithHint(fault.New(fault.Corrupt, "artifact %s: %w", art.Name, err), way)
		}
		return nil
	}
	if err := art.Files.Check(); err != nil {
		return fault.WithHint(fault.New(fault.Corrupt, "artifact %s: %w", art.Name, err), way)
	}
	if got := art.Files.Digest(); got != art.Digest {
		return fault.WithHint(fault.New(fault.Corrupt, "artifact %s: its manifest is %s, its digest says %s", art.Name, got.Short(), art.Digest.Short()), way)
	}
	return nil
}

// vacant tells whether dst may be taken.
func vacant(dst string, folder bool) error {
	st, err := os.Lstat(dst)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return Disk(fmt.Errorf("lay out %s: %w", filepath.Base(dst), err), filepath.Dir(dst))
	}
	if folder && st.IsDir() && os.Remove(dst) == nil { // only an empty folder can be removed so
		return nil
	}
	return fault.WithHint(fault.New(fault.Conflict, "lay out %s: %s already exists", filepath.Base(dst), what(st.Mode())), "move %s away, or name a folder that is not there yet", dst)
}

// write copies one file's verified bytes. That they are verified is the store's
// promise: Get ends with Corrupt where io.EOF would stand, so hashing once is enough.
func write(ctx context.Context, store port.Store, root *os.Root, p string, f digest.File) error {
	if dir := filepath.Dir(p); dir != "." {
		if err := root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	r, err := store.Get(ctx, f.Digest)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := root.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL, readOnly)
	if err != nil {
		return err
	}
	n, err := io.CopyBuffer(w, r, make([]byte, chunk))
	if err == nil && n != f.Size {
		err = fault.WithHint(fault.New(fault.Corrupt, "%s has %d bytes, the manifest says %d", f.Digest, n, f.Size), "the record that names it is damaged: run vishwa ledger verify")
	}
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	return err
}
