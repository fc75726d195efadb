// Batches that producers compressed, inflated up to a bound: a few bytes can claim to be terabytes.

package topic

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// errTooLarge is of a batch that inflates to more than is read.
var errTooLarge = fault.WithHint(fault.New(fault.Invalid, "a batch of records inflates to more than %d MiB", maxBatch>>20), "have its producer make smaller batches")

// inflater inflates batches, one at a time.
type inflater struct{ zstd *zstd.Decoder }

func newInflater() (*inflater, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxBatch))
	if err != nil {
		return nil, fault.New(fault.Internal, "read zstd: %w", err)
	}
	return &inflater{d}, nil
}

func (i *inflater) Close() { i.zstd.Close() }

// Decompress inflates one batch.
func (i *inflater) Decompress(src []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	switch codec {
	case kgo.CodecNone:
		return src, nil
	case kgo.CodecGzip:
		r, err := gzip.NewReader(bytes.NewReader(src))
		if err != nil {
			return nil, err
		}
		return readUpTo(r)
	case kgo.CodecSnappy:
		return unsnap(src)
	case kgo.CodecLz4:
		return readUpTo(lz4.NewReader(bytes.NewReader(src)))
	case kgo.CodecZstd:
		out, err := i.zstd.DecodeAll(src, nil)
		if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
			return nil, errTooLarge
		}
		return out, err
	}
	return nil, fmt.Errorf("compressed by method %d, which is not known", codec)
}

func readUpTo(r io.Reader) ([]byte, error) {
	out, err := io.ReadAll(io.LimitReader(r, maxBatch+1))
	if err == nil && len(out) > maxBatch {
		err = errTooLarge
	}
	return out, err
}

// xerial begins what Java's library frames; its version, and the least that reads it, follow.
var xerial = []byte("\x82SNAPPY\x00")

func unsnap(src []byte) ([]byte, error) {
	if len(src) <= 16 || !bytes.HasPrefix(src, xerial) {
		return unsnapBlock(nil, src)
	}
	var out []byte
	for rest := src[16:]; len(rest) > 0; {
		if len(rest) < 4 {
			return nil, errors.New("a frame of snappy is cut off")
		}
		n := int(binary.BigEndian.Uint32(rest))
		if rest = rest[4:]; n > len(rest) {
			return nil, errors.New("a frame of snappy is cut off")
		}
		var err error
		if out, err = unsnapBlock(out, rest[:n]); err != nil {
			return nil, err
		}
		rest = rest[n:]
	}
	return out, nil
}

func unsnapBlock(before, src []byte) ([]byte, error) {
	n, err := snappy.DecodedLen(src)
	if err != nil {
		return nil, err
	}
	if len(before)+n > maxBatch {
		return nil, errTooLarge
	}
	out, err := snappy.Decode(nil, src)
	if before == nil {
		return out, err
	}
	return append(before, out...), err
}
