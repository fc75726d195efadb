// A directory's manifest: the .dir object (dvc-data, hashfile/tree.py).

package dvc

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// File is one file of a directory. Size (bytes, -1: unknown) and SHA256 ("":
// unknown) are no part of DVC's manifest.
type File struct {
	Path   string // relative, with forward slashes
	OID    OID
	Size   int64
	SHA256 digest.Digest
}

// Tree is a directory, sorted by path in byte order. Empty folders and modes are
// no part of it.
type Tree []File

// ParseTree reads a .dir object. Paths that would lead out of the directory, or
// stand twice, are Invalid.
func ParseTree(b []byte) (Tree, error) {
	t, err := parseTree(b)
	return t, fault.Advise(err, "delete the manifest (the .dir object) where it was read from, and push it again from where the data was added: vishwa data push")
}

func parseTree(b []byte) (Tree, error) {
	type row struct {
		MD5     string `json:"md5"`
		Relpath string `json:"relpath"`
	}
	t := make(Tree, 0, bytes.Count(b, []byte{'{'}))
	dec := json.NewDecoder(bytes.NewReader(b))
	if first, err := dec.Token(); err != nil || first != json.Delim('[') {
		return nil, fault.New(fault.Invalid, "read directory manifest: it is not a list")
	}
	for dec.More() {
		var r row
		if err := dec.Decode(&r); err != nil {
			return nil, fault.New(fault.Invalid, "read directory manifest: %w", err)
		}
		oid, err := ParseOID(r.MD5)
		if err != nil || oid.IsDir() {
			return nil, fault.New(fault.Invalid, "read directory manifest: %q: %q is not a file's MD5", r.Relpath, r.MD5)
		}
		if err := CheckPath(r.Relpath); err != nil {
			return nil, fault.New(fault.Invalid, "read directory manifest: %w", err)
		}
		t = append(t, File{Path: r.Relpath, OID: oid, Size: -1})
	}
	if _, err := dec.Token(); err != nil {
		return nil, fault.New(fault.Invalid, "read directory manifest: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fault.New(fault.Invalid, "read directory manifest: something follows it")
	}
	t.Sort()
	folders, last := map[string]bool{}, ""
	for i, f := range t {
		if i > 0 && f.Path == t[i-1].Path {
			return nil, fault.New(fault.Invalid, "read directory manifest: %q is listed twice", f.Path)
		}
		if in := path.Dir(f.Path); in != last {
			for at := in; at != "." && !folders[at]; at = path.Dir(at) {
				folders[at] = true
			}
			last = in
		}
	}
	for i := range t {
		if folders[t[i].Path] {
			return nil, fault.New(fault.Invalid, "read directory manifest: %q is a file and a folder", t[i].Path)
		}
	}
	return t, nil
}

// CheckPath tells whether p can be laid out below a folder without leaving it or
// touching a repository's own folders.
func CheckPath(p string) error {
	if !fs.ValidPath(p) || p == "." || strings.ContainsAny(p, "\x00") {
		return fmt.Errorf("path %q is not a plain relative path", p)
	}
	for part := range strings.SplitSeq(p, "/") {
		if strings.EqualFold(part, ".git") {
			return fmt.Errorf("path %q leads into .git", p)
		}
	}
	return nil
}

// Sort puts t in the manifest's order.
func (t Tree) Sort() {
	slices.SortFunc(t, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
}

// Bytes is the manifest as DVC writes it: Python's json.dumps with its defaults,
// which keeps to ASCII.
func (t Tree) Bytes() []byte {
	return TreeBytes(len(t), func(i int) (string, string) { return t[i].Path, string(t[i].OID) })
}

// TreeBytes is the manifest of n files, sorted by path; file tells the path and the MD5,
// in hexadecimal digits, of each.
func TreeBytes[S string | []byte](n int, file func(i int) (path string, md5 S)) []byte {
	size := 2
	for i := range n {
		path, _ := file(i)
		size += len(path) + len(`{"md5": "0123456789abcdef0123456789abcdef", "relpath": ""}, `)
	}
	b := bytes.NewBuffer(make([]byte, 0, size))
	b.WriteByte('[')
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		path, md5 := file(i)
		b.WriteString(`{"md5": "`)
		b.Write([]byte(md5))
		b.WriteString(`", "relpath": `)
		quote(b, path)
		b.WriteByte('}')
	}
	b.WriteByte(']')
	return b.Bytes()
}

// OID names the directory.
func (t Tree) OID() OID { return TreeOID(t.Bytes()) }

// TreeOID names the directory whose manifest is raw.
func TreeOID(raw []byte) OID {
	sum := md5.Sum(raw)
	return OID(hex.EncodeToString(sum[:]) + dirSuffix)
}

// Size is the sum of the files' sizes; -1 where one is unknown.
func (t Tree) Size() (n int64) {
	for _, f := range t {
		if f.Size < 0 {
			return -1
		}
		n += f.Size
	}
	return n
}

// Manifest is the directory by SHA-256; it is false where a file's is unknown.
func (t Tree) Manifest() (digest.Manifest, bool) {
	m := make(digest.Manifest, len(t))
	for i, f := range t {
		if f.SHA256 == "" || f.Size < 0 {
			return nil, false
		}
		m[i] = digest.File{Path: f.Path, Digest: f.SHA256, Size: f.Size}
	}
	return m, true
}

const hexDigits = "0123456789abcdef"

// quote writes s as Python's json.dumps does with ensure_ascii. Bytes that are no
// UTF-8 come in Python as lone surrogates (surrogateescape).
func quote(b *bytes.Buffer, s string) {
	b.WriteByte('"')
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			switch c {
			case '"', '\\':
				b.WriteByte('\\')
				b.WriteByte(c)
			case '\b':
				b.WriteString(`\b`)
			case '\f':
				b.WriteString(`\f`)
			case '\n':
				b.WriteString(`\n`)
			case '\r':
				b.WriteString(`\r`)
			case '\t':
				b.WriteString(`\t`)
			default:
				if c < ' ' || c == 0x7f {
					escape(b, uint16(c))
				} else {
					b.WriteByte(c)
				}
			}
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			escape(b, 0xdc00+uint16(c))
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			escape(b, uint16(hi))
			escape(b, uint16(lo))
		default:
			escape(b, uint16(r))
		}
		i += n
	}
	b.WriteByte('"')
}

func escape(b *bytes.Buffer, u uint16) {
	b.WriteString(`\u`)
	for shift := 12; shift >= 0; shift -= 4 {
		b.WriteByte(hexDigits[u>>shift&15])
	}
}
