// What is small of a model server: models.config, and what is noted of each model. It lies in the server's folder, or in the store.

package tfserving

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"

	"github.com/vishwaops/vishwa/reconciler/machine/conditional"
)

// desk is where that lies.
type desk struct {
	*os.Root                    // nil: in the store
	stored   *conditional.Files // nil: in the folder
}

// deskInStore opens what of p lies in the store.
func (s *server) deskInStore(p place) (*desk, error) {
	shelf, err := s.shelf()
	if err != nil {
		return nil, err
	}
	stored, err := conditional.Below(shelf, p.keys())
	if err != nil {
		return nil, err
	}
	return &desk{stored: stored}, nil
}

// Close gives the folder back.
func (d *desk) Close() error {
	if d.stored != nil {
		return nil
	}
	return d.Root.Close()
}

// readSmall reads a whole file, up to so many bytes; where there is none, the error is fs.ErrNotExist.
func (d *desk) readSmall(ctx context.Context, name string, most int64) ([]byte, error) {
	if d.stored != nil {
		return d.stored.Read(ctx, name, most)
	}
	return readFile(d.Root, name, most)
}

// has tells whether there is anything under a name: a file, or a folder.
func (d *desk) has(ctx context.Context, name string) (bool, error) {
	if d.stored != nil {
		return d.stored.Has(ctx, name)
	}
	_, err := d.Lstat(name)
	return err == nil, nil
}

// remove removes a file; one that is not there is no error.
func (d *desk) remove(ctx context.Context, name string) error {
	if d.stored != nil {
		return d.stored.Remove(ctx, name)
	}
	if err := d.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// where is what people call the place of a name.
func (p place) where(name string) string {
	if p.At.Folder == "" {
		return path.Join(p.keys(), name) + " of the store"
	}
	return path.Join(p.At.Folder, name)
}
