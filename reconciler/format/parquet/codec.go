// Decompression of pages: into exactly as many bytes as the page's header says.

package parquet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Codecs, as the format numbers them.
const (
	none = iota
	bySnappy
	byGzip
	byLZO
	byBrotli
	byFramedLZ4
	byZstd
	byLZ4
)

var errSize = errors.New("a page does not unpack to the size that it says")

// unzstd holds decoders: one takes long to make.
var unzstd = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxWindow(1<<29))
	if err != nil {
		panic(err) // of options that are wrong
	}
	return d
}}

// plausible says whether n bytes can unpack to want: nobody makes room for what cannot come.
func plausible(codec uint8, in []byte, want int64) bool {
	n := int64(len(in))
	switch codec {
	case none:
		return n == want
	case bySnappy:
		m, err := snappy.DecodedLen(in)
		return err == nil && int64(m) == want
	case byGzip:
		return want <= 1040*n
	case byFramedLZ4, byLZ4:
		return want <= 256*n
	}
	return true
}

// unpack fills out from in.
func unpack(codec uint8, out, in []byte) error {
	switch codec {
	case none:
		copy(out, in)
		return nil
	case bySnappy:
		_, err := snappy.Decode(out, in)
		return err
	case byGzip:
		z, err := gzip.NewReader(bytes.NewReader(in))
		if err != nil {
			return err
		}
		return filled(z, out)
	case byBrotli:
		return filled(brotli.NewReader(bytes.NewReader(in)), out)
	case byZstd:
		d := unzstd.Get().(*zstd.Decoder)
		defer unzstd.Put(d)
		got, err := d.DecodeAll(in, out[:0:len(out)])
		if err == nil && len(got) != len(out) {
			err = errSize
		}
		return err
	case byLZ4:
		return unblock(out, in)
	case byFramedLZ4:
		if unframe(out, in) == nil {
			return nil
		}
		return unblock(out, in) // as some writers had it
	case byLZO:
		return errors.New("it is compressed by LZO, which is not supported")
	}
	return fmt.Errorf("it is compressed by codec %d, which is unknown", codec)
}

func filled(r io.Reader, out []byte) error {
	if _, err := io.ReadFull(r, out); err != nil {
		return errors.Join(errSize, err)
	}
	var more [1]byte
	if n, err := io.ReadFull(r, more[:]); n > 0 || !errors.Is(err, io.EOF) {
		return errors.Join(errSize, err)
	}
	return nil
}

func unblock(out, in []byte) error {
	n, err := lz4.UncompressBlock(in, out)
	if err == nil && n != len(out) {
		err = errSize
	}
	return err
}

// unframe reads blocks with both their lengths before them, as Hadoop writes LZ4.
func unframe(out, in []byte) error {
	for len(in) > 0 {
		if len(in) < 8 {
			return errSize
		}
		want, n := uint64(binary.BigEndian.Uint32(in)), uint64(binary.BigEndian.Uint32(in[4:]))
		if in = in[8:]; want > uint64(len(out)) || n > uint64(len(in)) {
			return errSize
		}
		if err := unblock(out[:want], in[:n]); err != nil {
			return err
		}
		out, in = out[want:], in[n:]
	}
	if len(out) > 0 {
		return errSize
	}
	return nil
}
