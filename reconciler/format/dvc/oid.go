// Package dvc reads and writes DVC's formats, version 3 and, where they are still
// met, version 2: names of content, directory manifests, .dvc files, dvc.lock and
// configuration. It is pure: bytes in, bytes out.
package dvc

import (
	"fmt"
	"strings"
)

// OID is DVC's name of content: the MD5 of a file in 32 lower-case hex digits, or
// of a directory's manifest with ".dir" behind. It is a name and no protection:
// what must not be forged is named by its SHA-256 beside it.
type OID string

const dirSuffix = ".dir"

// ParseOID checks s.
func ParseOID(s string) (OID, error) {
	h := strings.TrimSuffix(s, dirSuffix)
	if len(h) != 32 || strings.Trim(h, "0123456789abcdef") != "" {
		return "", fmt.Errorf("%q is not an MD5 name: want 32 lower-case hex digits, and .dir behind those of a directory", s)
	}
	return OID(s), nil
}

// IsDir tells whether a directory's manifest is named.
func (o OID) IsDir() bool { return strings.HasSuffix(string(o), dirSuffix) }

// Key is where a DVC 3 cache or remote keeps the object.
func (o OID) Key() string { return "files/md5/" + o.LegacyKey() }

// LegacyKey is where a DVC 2 cache or remote keeps it.
func (o OID) LegacyKey() string { return string(o[:2]) + "/" + string(o[2:]) }
