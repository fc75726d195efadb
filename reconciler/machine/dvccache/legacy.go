// How DVC 2 named files, and where it kept them: by the MD5 of what is left of a text
// when the carriage returns before line feeds are taken out, below the cache's root.

package dvccache

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"hash"
	"os"

	"github.com/vishwaops/vishwa/reconciler/format/dvc"
)

// Legacy is the same cache as DVC 2 laid it out. Objects of one layout are none of the
// other's, as in DVC 3: their names do not mean the same.
func (c *Cache) Legacy() *Cache { return c.twin }

// LegacySum takes DVC 2's name of what is written to it (md5-dos2unix of
// dvc_data/hashfile/hash.py). Text is told piece by piece, and a line end that two
// pieces share stays as it is, as there.
type LegacySum struct {
	md5   hash.Hash
	piece []byte
}

const (
	legacyPiece = 1 << 20 // bytes that DVC reads at once
	legacyHead  = 512     // bytes of a piece by which it tells text
)

// NewLegacySum begins one.
func NewLegacySum() *LegacySum { return &LegacySum{md5: md5.New()} }

func (s *LegacySum) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if s.piece == nil {
			s.piece = make([]byte, 0, legacyPiece)
		}
		k := min(len(p), legacyPiece-len(s.piece))
		s.piece = append(s.piece, p[:k]...)
		if p = p[k:]; len(s.piece) == legacyPiece {
			s.digest()
		}
	}
	return n, nil
}

func (s *LegacySum) digest() {
	rest := s.piece
	if isText(rest[:min(len(rest), legacyHead)]) {
		for {
			line, after, found := bytes.Cut(rest, []byte("\r\n"))
			s.md5.Write(line)
			if !found {
				break
			}
			s.md5.Write([]byte{'\n'})
			rest = after
		}
	} else {
		s.md5.Write(rest)
	}
	s.piece = s.piece[:0]
}

// OID is the name of all that was written; nothing is written afterwards.
func (s *LegacySum) OID() dvc.OID {
	if len(s.piece) > 0 {
		s.digest()
	}
	return dvc.OID(hex.EncodeToString(s.md5.Sum(nil)))
}

// isText tells whether DVC takes bytes for text: no NUL, and at most three in ten of
// them unprintable (dvc_data/hashfile/istextfile.py).
func isText(head []byte) bool {
	odd := 0
	for _, c := range head {
		if c == 0 {
			return false
		}
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != '\b' || c > 0x7e {
			odd++
		}
	}
	return odd*10 <= len(head)*3
}

// named tells whether the file, whose sums are k, is what oid names here.
func (c *Cache) named(oid dvc.OID, at Spot, k FileState) (bool, error) {
	if is := k.Is(bare(oid)); is || !c.dos {
		return is, nil
	}
	old, err := SumFile(context.Background(), at.String(), true) // what was read just now
	return old.OID == bare(oid), err
}

// spoiled takes away an object that is not what it is named.
func (c *Cache) spoiled(oid dvc.OID) { _ = os.Remove(c.Path(oid)) }
