// GGUF, walked whole: the header, every key and its value, every tensor's place, and the
// tensors, one after the other to the last byte (ggml's gguf.cpp and its docs/gguf.md).

package model

import (
	"bufio"
	"bytes"
	"io"
	"math/bits"
	"strings"
)

// blocks are ggml's types: how many elements a block has, and of how many bytes it is.
var blocks = map[uint32][2]uint64{
	0: {1, 4}, 1: {1, 2}, 2: {32, 18}, 3: {32, 20}, 6: {32, 22}, 7: {32, 24}, 8: {32, 34}, 9: {32, 36}, 10: {256, 84}, 11: {256, 110},
	12: {256, 144}, 13: {256, 176}, 14: {256, 210}, 15: {256, 292}, 16: {256, 66}, 17: {256, 74}, 18: {256, 98}, 19: {256, 50},
	20: {32, 18}, 21: {256, 110}, 22: {256, 82}, 23: {256, 136}, 24: {1, 1}, 25: {1, 2}, 26: {1, 4}, 27: {1, 8}, 28: {1, 8},
	29: {256, 56}, 30: {1, 2}, 34: {256, 54}, 35: {256, 66}, 39: {32, 17}, 40: {64, 36}, 41: {128, 18},
}

const (
	ggufString = 8
	ggufArray  = 9
)

// ggufWidths are the sizes of values of fixed size, by type.
var ggufWidths = map[uint32]int64{0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}

type ggufReader struct {
	f     file
	src   *bufio.Reader
	off   int64
	wrong bool
}

func (s *scan) gguf(f file) string {
	g := &ggufReader{f: f, src: bufio.NewReaderSize(f.part(0, f.size), 64<<10)}
	g.skip(4)
	version, tensors, pairs := g.u32(), g.u64(), g.u64()
	if version != 2 && version != 3 || tensors > uint64(f.size)/24 || pairs > 100_000 {
		return Unknown
	}
	align, seen := uint64(32), map[string]bool{}
	for ; pairs > 0 && !g.wrong; pairs-- {
		key, kind := g.text(1<<10), g.u32()
		g.wrong = g.wrong || key == "" || seen[key] || len(seen) > 10_000
		seen[key] = true
		if strings.Contains(strings.ToLower(key), "chat_template") {
			s.carry(ChatTemplate)
		}
		if key == "general.alignment" {
			align = uint64(g.u32())
			g.wrong = g.wrong || kind != 4 || bits.OnesCount64(align) != 1 || align > 1<<16
			continue
		}
		g.value(kind, 0)
	}
	if g.wrong || !g.tensors(tensors, align) {
		return Unknown
	}
	return GGUF
}

// tensors reads where each lies: where the one before ended, and the last at the end.
func (g *ggufReader) tensors(n, align uint64) bool {
	at := uint64(0)
	ends := uint64(0) // without what fills up the last one
	for ; n > 0 && !g.wrong; n-- {
		name, dims := g.text(256), g.u32()
		elements := uint64(1)
		first := uint64(1)
		for i := range min(dims, 8) {
			size := g.u64()
			if i == 0 {
				first = size
			}
			elements = times(elements, size)
		}
		block, known := blocks[g.u32()]
		if name == "" || dims > 8 || !known || first%block[0] != 0 || g.u64() != at {
			return false
		}
		ends = plus(at, times(elements/block[0], block[1]))
		at = plus(ends, (align-ends%align)%align)
		if at > uint64(g.f.size) && ends > uint64(g.f.size) {
			return false
		}
	}
	data := uint64(g.off) + (align-uint64(g.off)%align)%align
	size := uint64(g.f.size)
	if g.wrong || at == 0 && size != uint64(g.off) && size != data || at != 0 && size != data+at && size != data+ends {
		return false
	}
	for size > uint64(g.off) && uint64(g.off) < data {
		if g.uint(1) != 0 {
			return false
		}
	}
	return !g.wrong && g.zero(data+ends)
}

// zero tells whether all from off is zero.
func (g *ggufReader) zero(off uint64) bool {
	n := g.f.size - int64(min(off, uint64(g.f.size)))
	b := g.f.bytes(g.f.size-n, n)
	return n <= 1<<16 && len(bytes.Trim(b, "\x00")) == 0
}

func (g *ggufReader) value(kind uint32, depth int) {
	if w, fixed := ggufWidths[kind]; fixed {
		g.skip(w)
		return
	}
	switch kind {
	case ggufString:
		g.skip(int64(min(g.u64(), 1<<62)))
	case ggufArray:
		kind, n := g.u32(), g.u64()
		if w, fixed := ggufWidths[kind]; fixed {
			g.skip(int64(min(times(n, uint64(w)), 1<<62)))
			return
		}
		g.wrong = g.wrong || depth == 4
		for ; n > 0 && !g.wrong; n-- {
			g.value(kind, depth+1)
		}
	default:
		g.wrong = true
	}
}

// text reads a string that has most bytes at most.
func (g *ggufReader) text(most uint64) string {
	n := g.u64()
	if n > most {
		g.wrong = true
		return ""
	}
	b := make([]byte, n)
	g.readBytes(b)
	g.wrong = g.wrong || !isText(b)
	return string(b)
}

func (g *ggufReader) u32() uint32 { return uint32(g.uint(4)) }
func (g *ggufReader) u64() uint64 { return g.uint(8) }

func (g *ggufReader) uint(n int) uint64 {
	var b [8]byte
	g.readBytes(b[:n])
	return le.Uint64(b[:])
}

func (g *ggufReader) readBytes(b []byte) {
	n, err := io.ReadFull(g.src, b)
	g.off += int64(n)
	g.wrong = g.wrong || err != nil
}

func (g *ggufReader) skip(n int64) {
	if g.wrong || n < 0 || n > g.f.size-g.off {
		g.wrong = true
		return
	}
	g.off += n
	if n <= int64(g.src.Buffered()) {
		_, _ = g.src.Discard(int(n))
		return
	}
	g.src.Reset(g.f.part(g.off, g.f.size-g.off))
}
