// What is kept elsewhere than in memory, from one measurement to the next: bytes in pieces, with what shows that they are the same.

package sample

import (
	"crypto/sha256"
	"hash"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// pieceBytes is about how many bytes of a part are written, and read, at once.
const pieceBytes = 256 << 10

// Keeper is the half of a Spool that takes bytes; several may append at once.
type Keeper interface {
	Append(raw []byte) (at int64, err error)
}

// Finder is the half of a Spool that gives them back; several may read at once.
type Finder interface {
	Read(at int64, into []byte) error
}

// Part is where bytes are that belong together.
type Part struct {
	Pieces []Piece       `json:"pieces,omitempty"`
	Sum    digest.Digest `json:"sum"` // of all of them
}

// Piece is one stretch of them.
type Piece struct {
	At   int64 `json:"at"`
	Size int   `json:"size"`
}

// PartWriter writes a part. What is appended to Raw goes to Keeper with the next call.
type PartWriter struct {
	Keeper Keeper
	Raw    []byte
	part   Part
	sum    hash.Hash
}

// Next ends a value, which no two pieces share.
func (w *PartWriter) Next() error {
	if len(w.Raw) < pieceBytes {
		return nil
	}
	return w.flush()
}

func (w *PartWriter) flush() error {
	if w.sum == nil {
		w.sum = sha256.New()
	}
	w.sum.Write(w.Raw)
	at, err := w.Keeper.Append(w.Raw)
	if err != nil {
		return err
	}
	w.part.Pieces = append(w.part.Pieces, Piece{at, len(w.Raw)})
	w.Raw = w.Raw[:0]
	return nil
}

// End is the part that was written.
func (w *PartWriter) End() (Part, error) {
	if err := w.flush(); err != nil {
		return Part{}, err
	}
	w.part.Sum = digest.FromSum(w.sum.Sum(nil))
	return w.part, nil
}

// Read hands over the bytes, piece by piece. They are those that were written where it returns no error, and may be any before.
func (p Part) Read(from Finder, take func(raw []byte) error) error {
	sum, raw := sha256.New(), []byte(nil)
	for _, piece := range p.Pieces {
		if cap(raw) < piece.Size {
			raw = make([]byte, piece.Size)
		}
		raw = raw[:piece.Size]
		if err := from.Read(piece.At, raw); err != nil {
			return err
		}
		sum.Write(raw)
		if err := take(raw); err != nil {
			return err
		}
	}
	if digest.FromSum(sum.Sum(nil)) != p.Sum {
		return damaged()
	}
	return nil
}

func damaged() error { return fault.New(fault.Corrupt, "what was kept of a reference is damaged") }
