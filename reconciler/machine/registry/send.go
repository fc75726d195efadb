// Bytes on their way to a registry: in parts side by side, each named by its own digest,
// so that what has arrived, from whichever process or machine, is not sent again.

package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/ended"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// send has the registry hold the parts of an object, and what every manifest names. anew sends what it says that it has.
func (b *repository) send(ctx context.Context, key string, r io.ReaderAt, size int64, anew bool) ([]ocispec.Descriptor, error) {
	each := partSize(size, b.least)
	layers := make([]ocispec.Descriptor, (size+each-1)/each)
	g, within := routine.WithContext(ctx)
	g.SetLimit(abreast)
	if !b.empty.Load() || anew {
		g.Start(func() error {
			_, err := b.part(within, key, io.NewSectionReader(bytes.NewReader([]byte("{}")), 0, 2), anew)
			if err == nil {
				b.empty.Store(true)
			}
			return err
		})
	}
	for i := range layers {
		if within.Err() != nil {
			break
		}
		g.Start(func() (err error) {
			off := int64(i) * each
			layers[i], err = b.part(within, key, io.NewSectionReader(r, off, min(each, size-off)), anew)
			return err
		})
	}
	err := g.Wait()
	if err == nil && ctx.Err() != nil {
		err = fault.New(fault.Cancelled, "put %s: %w", b.name(key), ctx.Err())
	}
	return layers, err
}

// part sends one, where it is not there.
func (b *repository) part(ctx context.Context, key string, r *io.SectionReader, anew bool) (desc ocispec.Descriptor, err error) {
	for try := 1; ; try++ {
		if desc, err = described(ctx, r); err != nil {
			return desc, fmt.Errorf("put %s: %w", b.name(key), err)
		}
		if !anew || try > 1 { // an earlier try may have arrived, and its answer not
			there, err := b.has(ctx, key, desc)
			if err != nil || there {
				return desc, err
			}
		}
		if _, err = r.Seek(0, io.SeekStart); err != nil {
			return desc, err
		}
		err = b.repo.Blobs().Push(ctx, desc, ended.Reader(ctx, r, "copy"))
		if err == nil {
			return desc, nil
		}
		if err = b.classed(ctx, key, err); try == tries || fault.Of(err) != fault.Transient {
			return desc, err
		}
		if err := b.rest(ctx, key, try); err != nil {
			return desc, err
		}
	}
}

// described reads a part. One that is shorter than it was is a Conflict.
func described(ctx context.Context, r *io.SectionReader) (ocispec.Descriptor, error) {
	h := sha256.New()
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return ocispec.Descriptor{}, err
	}
	n, err := io.Copy(h, ended.Reader(ctx, r, "copy"))
	if err == nil && n != r.Size() {
		err = fault.WithHint(fault.New(fault.Conflict, "there are %d bytes less than there were: it changed while it was read", r.Size()-n), "let nothing write the file meanwhile, and run the command again")
	}
	return ocispec.Descriptor{MediaType: layerType, Digest: godigest.NewDigest(godigest.SHA256, h), Size: n}, err
}

// lost tells that a registry does not have what a manifest names.
func lost(err error) bool {
	return coded(err, "MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN")
}

// errCut marks what went wrong on the way, and may go right the next time.
var errCut = errors.New("the connection was cut")
