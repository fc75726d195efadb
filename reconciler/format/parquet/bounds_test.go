// What a file claims costs no memory before it is there, whatever part of it claims it.

package parquet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	upstream "github.com/parquet-go/parquet-go"
)

type line struct {
	N    int64   `parquet:"n,delta"`
	X    *string `parquet:"x,optional,dict"`
	Text string  `parquet:"text,delta"`
	Raw  []byte  `parquet:"raw"`
	F    float32 `parquet:"f,split"`
	Yes  bool    `parquet:"yes"`
}

func written(t testing.TB, codec upstream.WriterOption, version int, rows int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := upstream.NewGenericWriter[line](&out, codec, upstream.DataPageVersion(version))
	for i := range rows {
		x := fmt.Sprint("x ", i%7)
		l := line{N: int64(i) * 3, Text: fmt.Sprint("text ", i), Raw: []byte{byte(i)}, F: float32(i), Yes: i%3 == 0}
		if i%4 > 0 {
			l.X = &x
		}
		if _, err := w.Write([]line{l}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// all reads every row, holding at most so much.
func all(in []byte, most int64) (rows int, err error) {
	f, err := Open(bytes.NewReader(in), int64(len(in)))
	if err != nil {
		return 0, err
	}
	for _, c := range f.Columns {
		if c.Repeats {
			return 0, errors.New("lists")
		}
	}
	f.Weight()
	r, cells := f.Rows(0, len(f.Groups), most), make([][]byte, len(f.Columns))
	for ; rows < 1<<16; rows++ {
		if err := r.Next(cells); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return rows, err
		}
	}
	return rows, nil
}

var codecs = []upstream.WriterOption{upstream.Compression(&upstream.Uncompressed), upstream.Compression(&upstream.Snappy), upstream.Compression(&upstream.Gzip),
	upstream.Compression(&upstream.Brotli), upstream.Compression(&upstream.Zstd), upstream.Compression(&upstream.Lz4Raw)}

// FuzzMemoryIsBounded by what may be held, and by the file's own size.
func FuzzMemoryIsBounded(f *testing.F) {
	for i, codec := range codecs {
		f.Add(written(f, codec, 1+i%2, 40))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		const most = 4 << 20
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		rows, _ := all(in, most)
		runtime.ReadMemStats(&after)
		// Pages of a chunk reuse their room; each dictionary has its own.
		allowed := uint64(64<<20 + 32*most + rows*64 + 64*len(in))
		if took := after.TotalAlloc - before.TotalAlloc; took > allowed {
			t.Fatalf("%d bytes took %d MiB", len(in), took>>20)
		}
	})
}

// TestOthersFilesAreRead: those of parquet-go, in every codec and both kinds of pages.
func TestOthersFilesAreRead(t *testing.T) {
	for i, codec := range codecs {
		for version := 1; version <= 2; version++ {
			if rows, err := all(written(t, codec, version, 5000), 1<<30); err != nil || rows != 5000 {
				t.Errorf("codec %d, pages %d: %d rows: %v", i, version, rows, err)
			}
		}
	}
}

// TestEveryByteMayBeWrong: it is refused or read, without a panic, and in bounded memory.
func TestEveryByteMayBeWrong(t *testing.T) {
	for i, codec := range codecs {
		whole := written(t, codec, 1+i%2, 40)
		for at := range whole {
			for _, by := range []byte{0x00, 0x7f, 0xff} {
				in := bytes.Clone(whole)
				in[at] = by
				_, _ = all(in, 4<<20)
			}
		}
	}
}

// footer is a file that is nothing but what it says of itself.
func footer(says string) []byte {
	in := append([]byte("PAR1"), says...)
	in = binary.LittleEndian.AppendUint32(in, uint32(len(says)))
	return append(in, "PAR1"...)
}

// TestClaimsTakeNoMemory: of two thousand million columns, groups, or bytes of a name.
func TestClaimsTakeNoMemory(t *testing.T) {
	const most = "\xff\xff\xff\xff\x07"
	for name, says := range map[string]string{
		"columns":           "\x29\xfc" + most,
		"groups":            "\x49\xfc" + most,
		"a name":            "\x29\x1c\x48" + most,
		"nested structures": "\x5c" + strings.Repeat("\x1c", 1<<20),
		"nested lists":      "\x59" + strings.Repeat("\x19", 1<<20),
		"children":          "\x29\x1c\x48\x01s\x15\xfe\xff\xff\xff\x0f" + "\x00\x00",
		"fewer children":    "\x29\x1c\x48\x01s\x15\x01\x00\x00",
		"rows of nothing":   "\x29\x1c\x48\x01s\x00\x29\x1c\x19\x0c\x26\xfe\xff\xff\xff\x0f\x00\x00",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := all(footer(says), 1<<30)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 8<<20 || err == nil {
			t.Errorf("%s: took %d bytes: %v", name, took, err)
		}
	}
}

// TestAPageOf900MBIsRefused by its header, before there is room for it.
func TestAPageOf900MBIsRefused(t *testing.T) {
	for _, claims := range []int64{900 << 20, 1 << 31, 1 << 40} {
		in := written(t, codecs[4], 1, 1)
		f, err := Open(bytes.NewReader(in), int64(len(in)))
		if err != nil {
			t.Fatal(err)
		}
		// The page in the place of the first: of the size that it claims, behind its own header.
		page := []byte{0x15, 0x00, 0x15}
		page = binary.AppendVarint(page, claims)
		page = append(page, "\x15\x02\x2c\x15\x02\x15\x00\x15\x06\x15\x06\x00\x00"...)
		at := f.Groups[0].chunks[3].at
		in = append(bytes.Clone(in[:at]), append(page, in[at:]...)...)
		f.in, f.size = bytes.NewReader(in), int64(len(in))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err = f.headerAt(at)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 || err == nil || !strings.Contains(err.Error(), "is larger than 512 MiB") {
			t.Errorf("%d: took %d: %v", claims, took, err)
		}
	}
}

// TestLZ4IsUnpackedToItsSizeAlone: blocks of another's making, raw and as Hadoop frames them,
// and none of them cut short or with a byte changed beyond its room.
func TestLZ4IsUnpackedToItsSizeAlone(t *testing.T) {
	text := []byte(strings.Repeat("abcabcabd", 300) + strings.Repeat("z", 5000) + "the end of it")
	block, err := upstream.Lz4Raw.Encode(nil, text)
	if err != nil {
		t.Fatal(err)
	}
	var framed []byte
	for range 2 {
		framed = binary.BigEndian.AppendUint32(framed, uint32(len(text)))
		framed = binary.BigEndian.AppendUint32(framed, uint32(len(block)))
		framed = append(framed, block...)
	}
	r, out, twice := &Rows{}, make([]byte, len(text)), make([]byte, 2*len(text))
	for codec, err := range map[string]error{"raw": r.unpack(byLZ4, out, block), "framed": r.unpack(byFramedLZ4, twice, framed)} {
		if err != nil {
			t.Error(codec, err)
		}
	}
	if !bytes.Equal(out, text) || !bytes.Equal(twice, append(bytes.Clone(text), text...)) {
		t.Error("the text is another")
	}
	for _, size := range []int{0, 1, len(text) - 1, len(text) + 1} {
		if r.unpack(byLZ4, make([]byte, size), block) == nil {
			t.Errorf("unpacked into %d bytes", size)
		}
	}
	for at := range block {
		if r.unpack(byLZ4, out, block[:at]) == nil {
			t.Errorf("unpacked the first %d bytes", at)
		}
		marred := bytes.Clone(block)
		marred[at] ^= 0xff
		_ = r.unpack(byLZ4, out, marred)
	}
}
