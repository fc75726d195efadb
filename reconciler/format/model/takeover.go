// Readers that do not begin at the first byte, or that take what looks like text:
// what each of them would take for its own, whatever else the file is.

package model

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"
	"strconv"
	"strings"
)

func hasPrefix(b []byte, prefix string) bool { return bytes.HasPrefix(b, []byte(prefix)) }

// magics are first bytes that say the format by themselves.
var magics = []struct{ magic, format string }{
	{"\x1f\x8b", Compressed}, {"\x1f\x9d", Compressed}, {"\x1f\xa0", Compressed}, {"BZh", Compressed}, {"\xfd7zXZ\x00", Compressed},
	{"\x04\x22\x4d\x18", Compressed}, {"\x02\x21\x4c\x18", Compressed}, {"\x28\xb5\x2f\xfd", Compressed}, {"LZIP", Compressed}, {"\x89LZO\x00", Compressed},
	{"ZF0x", Compressed}, // joblib before 0.10
	{"7z\xbc\xaf\x27\x1c", Compressed}, {"Rar!\x1a\x07", Compressed}, {"MSCF\x00", Compressed},
	{"\x7fELF", Executable}, {"MZ", Executable}, {"\x00asm", Executable}, {"\x1bLua", Executable}, {"!<arch>\n", Executable},
	{"\xcf\xfa\xed\xfe", Executable}, {"\xce\xfa\xed\xfe", Executable}, {"\xfe\xed\xfa\xce", Executable}, {"\xfe\xed\xfa\xcf", Executable},
	{"\xca\xfe\xba\xbe", Executable}, {"#!", Executable},
}

func byMagic(head []byte) string {
	for _, m := range magics {
		if hasPrefix(head, m.magic) {
			if m.magic == "MZ" && isText(head) {
				continue // prose may begin so
			}
			return m.format
		}
	}
	return ""
}

// isHDF5 looks where HDF5's readers look for the signature: at the first byte, and, as
// a block of the user's may stand before it, at 512, 1024, 2048 and so on.
func isHDF5(f file) bool {
	for off := int64(0); off <= f.size-8; off = max(512, off*2) {
		if string(f.bytes(off, 8)) == "\x89HDF\r\n\x1a\n" {
			return true
		}
	}
	return false
}

// isTar goes by the check sum of the first header, as tar's readers do: the word ustar
// is in none of the oldest ones, and all of a header may be text.
func isTar(head []byte) bool {
	const field, end = 148, 156
	if len(head) < 512 {
		return false
	}
	said, _, _ := bytes.Cut(head[field:end], []byte{0})
	digits := strings.ToLower(strings.ReplaceAll(strings.Trim(string(said), " \t\n\v\f\r\x1c\x1d\x1e\x1f+"), "_", ""))
	want, err := strconv.ParseInt(strings.TrimPrefix(digits, "0o"), 8, 64)
	if head[field] == 0x80 { // in binary
		want, err = int64(binary.BigEndian.Uint32(head[end-4:])), nil
	}
	if err != nil {
		return false
	}
	unsigned, signed := int64(0), int64(0)
	for i, c := range head[:512] {
		if i >= field && i < end {
			c = ' '
		}
		unsigned += int64(c)
		signed += int64(int8(c))
	}
	return want == unsigned || want == signed
}

// isRDS tells R's objects by their first letter (text, XDR, native), and its saved
// workspaces. A text begins with the version, which stands alone.
func isRDS(head []byte) bool {
	for _, magic := range []string{"RDA", "RDB", "RDX"} {
		if hasPrefix(head, magic) && len(head) > 4 && head[3] >= '1' && head[3] <= '9' && head[4] == '\n' {
			return true
		}
	}
	head = bytes.TrimPrefix(head, []byte("\n"))
	switch {
	case hasPrefix(head, "X\n\x00\x00\x00"), hasPrefix(head, "B\n") && len(head) > 6 && !isText(head[:6]):
		return true
	case !hasPrefix(head, "A\n"):
		return false
	}
	version := bytes.TrimLeft(head[2:], " \t\n\v\f\r+0")
	return len(version) > 0 && (version[0] == '2' || version[0] == '3') && (len(version) == 1 || version[1] < '0' || version[1] > '9')
}

// isLFSPointer tells what Git LFS leaves in the place of a large file.
func isLFSPointer(head []byte) bool {
	for _, first := range []string{"version https://git-lfs.github.com/spec/", "version https://hawser.github.com/spec/", "version http://git-media.io/"} {
		if hasPrefix(bytes.TrimLeft(head, " \t\r\n\ufeff"), first) {
			return true
		}
	}
	return hasPrefix(head, "/annex/objects/")
}

// isZlib tries: two bytes that fit are met by chance, and a whole stream can be written
// in letters. What a reader gets from the first of what it reads is handed on.
func isZlib(f file, head []byte) bool {
	const first = 8192
	if len(head) < 6 || head[0]&0x0f != 8 || head[0]>>4 > 7 || (uint16(head[0])<<8|uint16(head[1]))%31 != 0 || head[1]&0x20 != 0 {
		return false
	}
	in := &io.LimitedReader{R: f.part(2, f.size-2), N: first}
	out := flate.NewReader(in)
	defer out.Close()
	n, err := io.Copy(io.Discard, io.LimitReader(out, 1032*first))
	var corrupt flate.CorruptInputError
	return n > 0 && !errors.As(err, &corrupt)
}

// isLZMA tells the old format, which has no magic number, by what liblzma asks of its
// first 14 bytes.
func isLZMA(b []byte) bool {
	if len(b) < 14 || b[0] >= 225 || b[13] != 0 {
		return false
	}
	dict, size := uint64(binary.LittleEndian.Uint32(b[1:])), binary.LittleEndian.Uint64(b[5:])
	odd := dict
	for odd > 0 && odd%2 == 0 {
		odd /= 2
	}
	return (odd == 1 || odd == 3 || dict == 1<<32-1) && (size == 1<<64-1 || size < 1<<38)
}
