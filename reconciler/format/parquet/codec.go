// Decompression of pages: into exactly as many bytes as the page's header says.

package parquet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
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

// newZstd takes long, so there is one for all pages.
func newZstd() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxWindow(1<<29))
}

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
	case byZstd:
		return want <= 32768*n // a run of 128 KiB takes four bytes
	}
	return true
}

// unpack fills out from in. What a library panics of is an error of the file.
func (r *Rows) unpack(codec uint8, out, in []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("unpack a page: %v", p)
		}
	}()
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
		if r.zstd == nil {
			if r.zstd, err = newZstd(); err != nil {
				return err
			}
		}
		got, err := r.zstd.DecodeAll(in, out[:0:len(out)])
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

// unblock is LZ4's block format (https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md).
// The library's assembly faults on blocks that others made to make it fault.
func unblock(out, in []byte) error {
	at := 0
	for len(in) > 0 {
		token := in[0]
		var n int
		var ok bool
		if n, in, ok = lz4Length(int(token>>4), in[1:]); !ok || n > len(in) || n > len(out)-at {
			return errSize
		}
		copy(out[at:], in[:n])
		if at, in = at+n, in[n:]; len(in) == 0 {
			break // the last sequence has nothing to repeat
		}
		if len(in) < 2 {
			return errSize
		}
		back := int(binary.LittleEndian.Uint16(in))
		if n, in, ok = lz4Length(int(token&15), in[2:]); !ok || back == 0 || back > at || n+4 > len(out)-at {
			return errSize
		}
		// What is repeated may run into what it makes: then it doubles with each copy.
		for end := at + n + 4; at < end; {
			at += copy(out[at:end], out[at-back:at])
		}
	}
	if at != len(out) {
		return errSize
	}
	return nil
}

// lz4Length adds bytes to a length of four bits, as long as they are full.
func lz4Length(n int, in []byte) (int, []byte, bool) {
	if n < 15 {
		return n, in, true
	}
	for i, b := range in {
		if n += int(b); b < 255 {
			return n, in[i+1:], true
		}
	}
	return 0, nil, false
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
