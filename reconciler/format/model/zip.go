// Archives. Readers of zips differ in where they look for the directory, in whom they
// believe where it and a member's own header disagree, and in what they pass over. So a
// zip is taken only where there is nothing to differ about: the members lie one after
// the other from the first byte, each as the directory says, then the directory, then
// one end record, which is the last. What else has an end record in the space that
// readers search is an archive that is not known.

package model

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"path"
	"slices"
	"strings"
)

const (
	endRecord  = "PK\x05\x06"
	endSize    = 22
	searched   = 1<<16 - 1 + endSize // how far from its end a file is searched for it
	maxMembers = 10_000
	maxNames   = 8 << 20 // bytes of the directory
	maxRatio   = 100     // of what a file unpacks to, all in all, beside
	maxUnpack  = 64 << 20
)

// asksZip tells whether a reader of zips would try: by the first bytes, as PyTorch
// does, or by an end record, as Python does.
func asksZip(f file, head []byte) bool {
	for _, first := range []string{"PK\x03\x04", endRecord, "PK\x06\x06", "PK\x07\x08", "PK\x01\x02", "PK00"} {
		if hasPrefix(head, first) {
			return true
		}
	}
	n := min(f.size, searched)
	tail := f.bytes(f.size-n, n)
	return tail == nil || bytes.Contains(tail, []byte(endRecord))
}

// member is what the directory says of one.
type member struct {
	name         string
	flags        uint16
	method       uint16
	crc          uint32
	packed, size int64
	at           int64 // of its header
	data         int64 // of its content
}

var le = binary.LittleEndian

// directory reads the directory. clear says that no reader can see another one;
// where it is false, the members are a guess.
func (f file) directory() (members []member, clear bool) {
	n := min(f.size, searched)
	tail := f.bytes(f.size-n, n)
	last := bytes.LastIndex(tail, []byte(endRecord))
	if last < 0 || len(tail)-last < endSize {
		return nil, false
	}
	end, at := tail[last:], f.size-n+int64(last)
	count, length, start := int(le.Uint16(end[10:])), int64(le.Uint32(end[12:])), int64(le.Uint32(end[16:]))
	clear = len(end) == endSize && bytes.Count(tail, []byte(endRecord)) == 1 && bytes.Equal(end[4:10], append(make([]byte, 4), end[10:12]...)) &&
		le.Uint16(end[20:]) == 0 && start+length == at && (at < 20 || string(f.bytes(at-20, 4)) != "PK\x06\x07")
	if count > maxMembers || length > min(maxNames, at) {
		return nil, false
	}
	raw := f.bytes(at-length, length)
	for ; len(raw) >= 46 && string(raw[:4]) == "PK\x01\x02"; count-- {
		name, extra, comment := int(le.Uint16(raw[28:])), int(le.Uint16(raw[30:])), int(le.Uint16(raw[32:]))
		if len(raw) < 46+name+extra+comment || len(members) == maxMembers {
			return members, false
		}
		m := member{
			name: string(raw[46 : 46+name]), flags: le.Uint16(raw[8:]), method: le.Uint16(raw[10:]), crc: le.Uint32(raw[16:]),
			packed: int64(le.Uint32(raw[20:])), size: int64(le.Uint32(raw[24:])), at: int64(le.Uint32(raw[42:])),
		}
		_, known := extras(raw[46+name:46+name+extra], m.packed, m.size)
		clear = clear && known && comment == 0 && le.Uint16(raw[34:]) == 0 && raw[6] <= 45 // made for no later version of zip
		members, raw = append(members, m), raw[46+name+extra+comment:]
	}
	return members, clear && len(raw) == 0 && count == 0
}

// extras tells whether the extra fields change nothing: dates, owners, and lengths of 64
// bits that say what the directory says.
func extras(b []byte, packed, size int64) (wide, known bool) {
	for ; len(b) >= 4; b = b[4+int(le.Uint16(b[2:])):] {
		id, n := le.Uint16(b), int(le.Uint16(b[2:]))
		if n > len(b)-4 {
			return wide, false
		}
		switch id {
		case 0x5455, 0x7875, 0x5855, 0xcafe:
		case 0x0001:
			if wide || n != 16 || le.Uint64(b[4:]) != uint64(size) || le.Uint64(b[12:]) != uint64(packed) {
				return wide, false
			}
			wide = true
		default:
			return wide, false
		}
	}
	return wide, len(b) == 0
}

// place finds m's content, and where the next member begins. clear says that its own
// header says the same as the directory.
func (f file) place(m *member) (next int64, clear bool) {
	head := f.bytes(m.at, 30)
	if head == nil || string(head[:4]) != "PK\x03\x04" {
		return 0, false
	}
	name, extra := int64(le.Uint16(head[26:])), int64(le.Uint16(head[28:]))
	m.data = m.at + 30 + name + extra
	next = m.data + m.packed
	if next > f.size {
		return 0, false
	}
	wide, known := extras(f.bytes(m.at+30+name, extra), m.packed, m.size)
	crc, packed, size := le.Uint32(head[14:]), le.Uint32(head[18:]), le.Uint32(head[22:])
	same := crc == m.crc && (int64(packed) == m.packed && int64(size) == m.size || wide && packed == 1<<32-1 && size == 1<<32-1)
	if m.flags&8 != 0 { // said behind the content, again
		same = crc == 0 && packed == 0 && size == 0 || same
		after := f.bytes(next, min(24, f.size-next))
		after = bytes.TrimPrefix(after, []byte("PK\x07\x08"))
		if len(after) < 12 || le.Uint32(after) != m.crc || int64(le.Uint32(after[4:])) != m.packed || int64(le.Uint32(after[8:])) != m.size {
			return 0, false
		}
		next = next + min(24, f.size-next) - int64(len(after)) + 12
	}
	return next, same && known && le.Uint16(head[6:]) == m.flags && le.Uint16(head[8:]) == m.method && string(f.bytes(m.at+30, name)) == m.name
}

// plainName tells a name that every reader and file system takes for the same one.
func plainName(name string) bool {
	return name != "" && len(name) <= 1024 && isText([]byte(name)) && !strings.ContainsAny(name, "\\:\n\r\t\f\ufeff") && path.Clean("/"+name) == "/"+strings.TrimSuffix(name, "/")
}

// clearly tells whether the members fill f as far as the directory, each once.
func (f file) clearly(members []member) bool {
	at, seen, unpacked := int64(0), map[string]bool{}, int64(0)
	for i := range members {
		m := &members[i]
		if m.at != at || !plainName(m.name) || seen[strings.ToLower(m.name)] || m.flags&^0x0806 != 0 && m.flags&^0x0806 != 8 || m.method != 0 && m.method != 8 {
			return false
		}
		seen[strings.ToLower(m.name)] = true
		next, clear := f.place(m)
		unpacked += m.size
		if !clear || m.method == 0 && m.packed != m.size || strings.HasSuffix(m.name, "/") && m.size != 0 || unpacked > maxUnpack+maxRatio*f.size {
			return false
		}
		at = next
	}
	return at <= f.size-endSize && (len(members) == 0 || string(f.bytes(at, 4)) == "PK\x01\x02")
}

// open is m's content. What is packed is unpacked as it is read.
func (f file) open(m member) file {
	out := file{path: m.name, ReaderAt: f.part(m.data, m.packed), size: m.size}
	if m.method == 8 {
		out.ReaderAt = &inflater{raw: f, off: m.data, n: m.packed}
	}
	return out
}

// whole tells whether m unpacks to what the directory says.
func (f file) whole(m member) bool {
	sum := crc32.NewIEEE()
	in := io.Reader(f.part(m.data, m.packed))
	if m.method == 8 {
		unpack := flate.NewReader(in)
		defer unpack.Close()
		in = unpack
	}
	n, err := io.Copy(sum, io.LimitReader(in, m.size+1))
	return err == nil && n == m.size && sum.Sum32() == m.crc
}

// inflater reads packed content at an offset. To go back it begins anew, which is
// counted: the time stays linear.
type inflater struct {
	raw    io.ReaderAt
	off, n int64
	src    io.ReadCloser
	pos    int64
	begun  int
}

func (z *inflater) ReadAt(b []byte, off int64) (int, error) {
	if z.src == nil || off < z.pos {
		if z.begun++; z.begun > 32 {
			return 0, errors.New("read back too often")
		}
		z.src, z.pos = flate.NewReader(io.NewSectionReader(z.raw, z.off, z.n)), 0
	}
	n, err := io.CopyN(io.Discard, z.src, off-z.pos)
	if z.pos += n; err != nil {
		return 0, err
	}
	got, err := io.ReadFull(z.src, b)
	z.pos += int64(got)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return got, err
}

// zip is what its members make it: its worst one, whatever it is called.
func (s *scan) zip(f file, depth int) string {
	members, clear := f.directory()
	clear = clear && f.clearly(members)
	kinds := map[string]string{}
	for _, m := range members {
		if strings.EqualFold(path.Base(strings.ReplaceAll(m.name, "\\", "/")), "data.pkl") {
			return TorchZip
		}
		if !clear || depth >= maxDepth || strings.HasSuffix(m.name, "/") {
			continue
		}
		if clear = f.whole(m); clear {
			kinds[m.name] = s.format(f.open(m), depth+1)
		}
	}
	if !clear || depth >= maxDepth {
		return Unknown
	}
	for _, worst := range []struct{ member, archive string }{{Pickle, TorchZip}, {TorchZip, TorchZip}, {NumPyObject, NumPyObject}, {KerasLambda, KerasLambda}} {
		for _, kind := range kinds {
			if kind == worst.member {
				return worst.archive
			}
		}
	}
	names := func(name string) bool { return kinds[name] != "" }
	switch {
	case names("config.json") && names("metadata.json"):
		return Keras
	case names("schema.json"):
		return s.skops(f, members, kinds)
	case len(kinds) > 0 && !slices.ContainsFunc(members, func(m member) bool { return kinds[m.name] != NumPy || path.Ext(m.name) != ".npy" }):
		return NumPy
	default:
		return Zip
	}
}
