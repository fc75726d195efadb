// Package archive names files apart from when they were written: zip archives carry a date a
// member, gzip one in its header, and skops numbers objects by where they lay in memory. Two
// runs that came to the same model differ in such alone. It is pure.
package archive

import (
	"archive/zip"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"hash"
	"io"
	"slices"
	"strconv"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// What varies from run to run.
const (
	ZipDates     = "the dates of zip members"
	GzipDate     = "the date in gzip's header"
	SkopsNumbers = "the numbers that skops takes from memory addresses"
)

// Whoever wrote a file decides what is in it, so reading it is bounded: its directory, and a
// skops schema, both in bytes. Its members are read once, and are together no longer than it.
const (
	mostDirectory = 4 << 20
	mostSchema    = 4 << 20
	tail          = 22 + 1<<16 + 20 // the end of a zip archive: its last record, the comment, and where the one of zip64 is
)

// Begins tells whether a file that begins with head may be one that varies; 4 bytes are enough.
func Begins(head []byte) bool {
	return len(head) >= 4 && (string(head[:4]) == "PK\x03\x04" || string(head[:2]) == "\x1f\x8b")
}

// Undated is the name of a file of size bytes as if it carried nothing that varies, and what
// it carries of that. A file that carries nothing, or cannot be read as an archive, has no
// such name. An error is r's.
func Undated(r io.ReaderAt, size int64) (name digest.Digest, varies []string, err error) {
	head := make([]byte, 10)
	if n, err := r.ReadAt(head, 0); n < len(head) {
		if err == io.EOF {
			err = nil
		}
		return "", nil, err
	}
	switch {
	case !Begins(head):
		return "", nil, nil
	case head[0] == 0x1f:
		return gzipped(r, size, head)
	}
	kept := &keeping{r: r, left: mostDirectory + 2*tail}
	if kept.zip64(size) {
		return "", nil, kept.err
	}
	z, err := zip.NewReader(kept, size)
	if err != nil {
		return "", nil, kept.err
	}
	kept.left = 1 << 62
	var all uint64
	for _, f := range z.File {
		if all += f.CompressedSize64; all > uint64(size) {
			return "", nil, kept.err // members that lie over one another
		}
	}
	name, varies = zipped(z)
	return name, varies, kept.err
}

// zip64 tells whether the archive may say that it has more members than 65,535: there is
// room made for as many as it says.
func (k *keeping) zip64(size int64) bool {
	end := make([]byte, min(size, tail))
	n, _ := k.ReadAt(end, size-int64(len(end)))
	return n < len(end) || bytes.Contains(end, []byte("PK\x06\x07"))
}

// keeping remembers what went wrong with reading: what is wrong with an archive is no error here.
type keeping struct {
	r    io.ReaderAt
	left int64 // bytes that may be read
	err  error
}

func (k *keeping) ReadAt(p []byte, off int64) (int, error) {
	if k.left -= int64(len(p)); off < 0 || k.left < 0 { // where a broken archive leads
		return 0, io.ErrUnexpectedEOF
	}
	n, err := k.r.ReadAt(p, off)
	if err != nil && err != io.EOF {
		k.err = err
	}
	return n, err
}

// gzipped leaves out the four bytes of the time (RFC 1952, 2.3.1).
func gzipped(r io.ReaderAt, size int64, head []byte) (digest.Digest, []string, error) {
	if binary.LittleEndian.Uint32(head[4:8]) == 0 {
		return "", nil, nil
	}
	h := sha256.New()
	h.Write(head[:4])
	if _, err := io.Copy(h, io.NewSectionReader(r, 8, size-8)); err != nil {
		return "", nil, err
	}
	return digest.FromSum(h.Sum(nil)), []string{GzipDate}, nil
}

// member is what a member of an archive is, but for when.
type member struct {
	Name    string        `json:"name"`
	Comment string        `json:"comment,omitempty"`
	Method  uint16        `json:"method"`
	Flags   uint16        `json:"flags"`
	Attrs   uint32        `json:"attrs"`
	Creator uint16        `json:"creator"`
	Extra   []byte        `json:"extra,omitempty"`
	Bytes   digest.Digest `json:"bytes"` // as they are stored
}

// zipped names the members and all that is said of them, but for dates.
func zipped(z *zip.Reader) (digest.Digest, []string) {
	var varies []string
	steady, numbered := skops(z)
	out := make([]member, 0, len(z.File))
	for _, f := range z.File {
		extra, dated := undatedExtra(f.Extra)
		if (dated || f.ModifiedDate != 0x21 || f.ModifiedTime != 0) && !slices.Contains(varies, ZipDates) { // 0x21 is the first of 1980
			varies = append(varies, ZipDates)
		}
		m := member{Name: steady(f.Name), Comment: f.Comment, Method: f.Method, Flags: f.Flags, Attrs: f.ExternalAttrs, Creator: f.CreatorVersion, Extra: extra}
		h := sha256.New()
		if numbered && f.Name == "schema.json" {
			raw, ok := readMember(f)
			if !ok {
				return "", nil
			}
			h.Write([]byte(steady(raw)))
		} else if !hashRaw(h, f) {
			return "", nil
		}
		m.Bytes = digest.FromSum(h.Sum(nil))
		out = append(out, m)
	}
	if numbered {
		varies = append(varies, SkopsNumbers)
		slices.SortStableFunc(out, func(a, b member) int { return cmp.Compare(a.Name, b.Name) })
	}
	if len(varies) == 0 {
		return "", nil
	}
	text, err := json.Marshal(map[string]any{"comment": z.Comment, "members": out})
	if err != nil {
		return "", nil
	}
	return digest.Of(text), varies
}

func hashRaw(h hash.Hash, f *zip.File) bool {
	raw, err := f.OpenRaw()
	if err != nil {
		return false
	}
	_, err = io.Copy(h, raw)
	return err == nil
}

// read is a member's content, where it is no longer than a schema may be.
func readMember(f *zip.File) (string, bool) {
	if f.UncompressedSize64 > mostSchema {
		return "", false
	}
	in, err := f.Open()
	if err != nil {
		return "", false
	}
	defer in.Close()
	raw, err := io.ReadAll(io.LimitReader(in, mostSchema+1))
	return string(raw), err == nil && len(raw) <= mostSchema
}

// dated are the extra fields that hold times: NTFS, and Info-ZIP's in three forms
// (APPNOTE.TXT 4.5 and 4.6).
var dated = []uint16{0x000a, 0x5455, 0x5855, 0x000d}

// undatedExtra is extra without the fields that hold times.
func undatedExtra(extra []byte) (out []byte, held bool) {
	for len(extra) >= 4 {
		id, n := binary.LittleEndian.Uint16(extra), 4+int(binary.LittleEndian.Uint16(extra[2:]))
		if n > len(extra) {
			break
		}
		if slices.Contains(dated, id) {
			held = true
		} else {
			out = append(out, extra[:n]...)
		}
		extra = extra[n:]
	}
	return append(out, extra...), held
}

var (
	objectID = lazyregexp.New(`"__id__": ?(\d+)`)
	number   = lazyregexp.New(`\d+`)
)

// skops numbers the objects of a skops archive in the order of the schema, as the example's
// stable_skops.py does: steady is a text with these numbers.
func skops(z *zip.Reader) (steady func(string) string, numbered bool) {
	same := func(s string) string { return s }
	at := slices.IndexFunc(z.File, func(f *zip.File) bool { return f.Name == "schema.json" })
	if at < 0 {
		return same, false
	}
	schema, ok := readMember(z.File[at])
	if !ok {
		return same, false
	}
	numbers := map[string]string{}
	for _, found := range objectID.FindAllStringSubmatch(schema, -1) {
		if _, known := numbers[found[1]]; !known {
			numbers[found[1]] = strconv.Itoa(len(numbers) + 1)
			// One that is small already was put there by somebody.
			numbered = numbered || len(found[1]) > 8
		}
	}
	if !numbered {
		return same, false
	}
	return func(s string) string {
		return number.ReplaceAllStringFunc(s, func(n string) string { return cmp.Or(numbers[n], n) })
	}, true
}
