// Package lfs reads the pointers that Git LFS keeps in Git in place of large files
// (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md).
package lfs

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// MaxPointer is the size, in bytes, from which on a file is no pointer.
const MaxPointer = 1024

// Pointer names a file's content.
type Pointer struct {
	OID  string // SHA-256, 64 hex digits
	Size int64
}

var (
	versions = []string{"version https://git-lfs.github.com/spec/v1", "version https://hawser.github.com/spec/v1", "version http://git-media.io/v/2"}
	oid      = lazyregexp.New(`(?m)^oid sha256:([0-9a-f]{64})\r?$`)
	size     = lazyregexp.New(`(?m)^size ([0-9]{1,18})\r?$`)
)

// Parse is the pointer that b is; false where it is none. It takes what Git LFS takes,
// which is more than it writes: other orders, and line ends of other systems.
func Parse(b []byte) (Pointer, bool) {
	if len(b) >= MaxPointer {
		return Pointer{}, false
	}
	first, rest, _ := bytes.Cut(bytes.TrimSpace(b), []byte{'\n'})
	first = bytes.TrimSpace(first)
	if !slices.ContainsFunc(versions, func(v string) bool { return string(first) == v }) { // nearly all, by the hundred thousand: no more is asked of them
		return Pointer{}, false
	}
	o, s := oid.FindStringSubmatch(string(rest)), size.FindStringSubmatch(string(rest))
	if o == nil || s == nil {
		return Pointer{}, false
	}
	n, err := strconv.ParseInt(s[1], 10, 64)
	return Pointer{OID: o[1], Size: n}, err == nil
}

// NotTheFile says what a file is that is to be read as it is, and is a pointer.
const NotTheFile = "is a Git LFS pointer and not the file itself"

// Way says what to do about a pointer in place of a file that Git itself is to hold: a
// declaration, a trust file or a rule.
func Way(file string) string {
	return "keep it in Git itself (take it out of .gitattributes, and commit what git lfs pull --include " + file + " brings)"
}
