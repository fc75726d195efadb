// What artifacts are but for dates: read from the store, where they may be archives.

package pass

import (
	"context"
	"io"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/format/archive"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Undated names an artifact as if it carried nothing that varies from run to run, and tells
// what it carries of that. Only what begins as an archive is read.
func (d *stepServices) Undated(ctx context.Context, a port.Artifact) (digest.Digest, []string, error) {
	if len(a.Files) == 0 {
		return d.undated(ctx, digest.File{Path: a.Name, Digest: a.Digest, Size: a.Size})
	}
	files := slices.Clone(a.Files)
	var varies []string
	for i, f := range files {
		name, of, err := d.undated(ctx, f)
		if err != nil {
			return "", nil, err
		}
		if name == "" {
			continue
		}
		files[i].Digest, files[i].Size = name, 0 // the length of compressed numbers is theirs
		for _, v := range of {
			if !slices.Contains(varies, v) {
				varies = append(varies, v)
			}
		}
	}
	if varies == nil {
		return "", nil, nil
	}
	return files.Digest(), varies, nil
}

func (d *stepServices) undated(ctx context.Context, f digest.File) (digest.Digest, []string, error) {
	begins, err := d.begins(ctx, f)
	if err != nil || !begins {
		return "", nil, err
	}
	in, err := Content(ctx, d.Store, f)
	if err != nil {
		return "", nil, err
	}
	defer in.Close()
	return archive.Undated(in, f.Size)
}

// begins tells whether a file of the store begins as an archive does.
func (d *stepServices) begins(ctx context.Context, f digest.File) (bool, error) {
	in, err := d.Store.Get(ctx, f.Digest)
	if err != nil {
		return false, err
	}
	defer in.Close()
	head := make([]byte, 4)
	switch _, err := io.ReadFull(in, head); err {
	case nil:
		return archive.Begins(head), nil
	case io.EOF, io.ErrUnexpectedEOF:
		return false, nil
	default:
		return false, err
	}
}
