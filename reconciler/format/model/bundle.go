// The index of a SavedModel's variables: a table of sorted keys, as LevelDB writes one without compression, with one
// BundleEntryProto a tensor (tensor_bundle.proto; lib/io/format.cc and block.cc of TensorFlow 2.21).

package model

import (
	"encoding/binary"
	"fmt"
)

const (
	tableFooter = 48
	tableMagic  = 0xdb4775248b80fb57
	maxBundle   = 8 << 20 // bytes of an index
	maxTensors  = 1 << 17
	maxParts    = 10_000
)

// handle is where a block of a table is.
type handle struct{ from, size uint64 }

// bundle reads an index: the parts of each data file that are its tensors. It is false where the table is not whole,
// from the first byte to the last.
func bundle(f file) (parts map[string][]reference, ok bool) {
	if f.size < tableFooter || f.size > maxBundle {
		return nil, false
	}
	raw := f.bytes(0, f.size)
	if raw == nil || binary.LittleEndian.Uint64(raw[len(raw)-8:]) != tableMagic {
		return nil, false
	}
	foot := raw[len(raw)-tableFooter : len(raw)-8]
	meta, foot, ok1 := readHandle(foot)
	index, foot, ok2 := readHandle(foot)
	for _, b := range foot {
		ok2 = ok2 && b == 0
	}
	if !ok1 || !ok2 {
		return nil, false
	}
	b := bundled{raw: raw[:len(raw)-tableFooter], parts: map[string][]reference{}}
	whole := b.block(index, func(_, value []byte) bool { // blocks of data, one after the other
		at, rest, ok := readHandle(value)
		return ok && len(rest) == 0 && b.next(at) && b.block(at, b.entry)
	})
	whole = whole && b.next(meta) && b.block(meta, func(_, _ []byte) bool { return false }) && b.next(index)
	return b.parts, whole && b.at == uint64(len(b.raw)) && b.header
}

// bundled is an index that is being read.
type bundled struct {
	raw    []byte // without its footer
	at     uint64 // the first byte that no block had
	header bool
	shards uint64
	count  int
	last   string
	parts  map[string][]reference
}

const blockTrailer = 5 // how it is compressed, and a checksum

// next tells whether a block is the one that comes next.
func (b *bundled) next(h handle) bool {
	if h.from != b.at || h.size > uint64(len(b.raw)) || h.from+h.size+blockTrailer > uint64(len(b.raw)) || b.raw[h.from+h.size] != 0 {
		return false
	}
	b.at += h.size + blockTrailer
	return true
}

// block hands over the entries of one.
func (b *bundled) block(h handle, entry func(key, value []byte) bool) bool {
	if h.size < 4 || h.from > uint64(len(b.raw)) || h.size > uint64(len(b.raw))-h.from {
		return false
	}
	block := b.raw[h.from : h.from+h.size]
	restarts := uint64(binary.LittleEndian.Uint32(block[len(block)-4:]))
	if restarts > uint64(len(block)-4)/4 {
		return false
	}
	block = block[:uint64(len(block)-4)-4*restarts]
	var key []byte
	for len(block) > 0 {
		var n [3]uint64
		for i := range n {
			var ok bool
			if n[i], block, ok = shortest(block); !ok {
				return false
			}
		}
		shared, own, value := n[0], n[1], n[2]
		if shared > uint64(len(key)) || own > uint64(len(block)) || value > uint64(len(block))-own || shared+own > maxTerm {
			return false
		}
		key = append(key[:shared:shared], block[:own]...)
		if !entry(key, block[own:own+value]) {
			return false
		}
		block = block[own+value:]
	}
	return true
}

// entry is one tensor; the first is the header, whose key is empty.
func (b *bundled) entry(key, value []byte) bool {
	fields, ok := numbersOf(value)
	name := string(key)
	if !ok || b.header && name <= b.last || len(key) > 0 && !isText(key) {
		return false
	}
	b.last = name
	if !b.header {
		b.header, b.shards = true, fields[1]
		return name == "" && b.shards > 0 && b.shards <= maxParts && fields[2] == 0 // little-endian
	}
	b.count++
	from, size, shard := fields[4], fields[5], fields[3]
	const most = 1 << 62
	if b.count > maxTensors || shard >= b.shards || from > most || size > most || fields[7] > 0 { // slices are no tensors of their own
		return false
	}
	file := fmt.Sprintf("variables.data-%05d-of-%05d", shard, b.shards)
	b.parts[file] = append(b.parts[file], reference{from: int64(from), until: int64(from + size)})
	return true
}

// numbersOf are the numbers of a message, by their fields; of another one, 1 says that it is there.
func numbersOf(raw []byte) (map[uint64]uint64, bool) {
	out := map[uint64]uint64{}
	for len(raw) > 0 {
		tag, rest, ok := shortest(raw)
		field := tag >> 3
		if _, twice := out[field]; !ok || twice || field == 0 || field > 7 {
			return nil, false
		}
		raw = rest
		switch tag & 7 {
		case 0:
			if out[field], raw, ok = shortest(raw); !ok {
				return nil, false
			}
		case 2:
			n, rest, ok := shortest(raw)
			if !ok || n > uint64(len(rest)) {
				return nil, false
			}
			out[field], raw = 1, rest[n:]
		case 5:
			if len(raw) < 4 {
				return nil, false
			}
			out[field], raw = uint64(binary.LittleEndian.Uint32(raw)), raw[4:]
		default:
			return nil, false
		}
	}
	return out, true
}

func readHandle(raw []byte) (h handle, rest []byte, ok bool) {
	if h.from, rest, ok = shortest(raw); ok {
		h.size, rest, ok = shortest(rest)
	}
	return h, rest, ok
}

// shortest reads a varint in its shortest form.
func shortest(raw []byte) (v uint64, rest []byte, ok bool) {
	v, n := binary.Uvarint(raw)
	if n <= 0 || n > 1 && raw[n-1] == 0 {
		return 0, raw, false
	}
	return v, raw[n:], true
}
