// Read opens an entry's bundle without asking who signed it: for showing what was
// verified before.

package ledger

import (
	"encoding/json"
	"iter"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// Read is the entry in a Sigstore bundle's DSSE envelope. It checks the entry's
// form and no signature: Trust.Check does.
func Read(bundle []byte) (Entry, error) {
	var b struct {
		Envelope struct {
			Payload []byte `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(bundle, &b); err != nil {
		return Entry{}, fault.New(fault.Corrupt, "read bundle: %w", err)
	}
	return Parse(b.Envelope.Payload)
}

// Stated is the entry of a record, or why it is not to be read.
type Stated struct {
	Entry
	Err error
}

// ReadAhead reads the entries of records while those before them are looked at.
func ReadAhead(records iter.Seq2[Record, error]) iter.Seq2[Stated, error] {
	return routine.Ahead(records, Record.size, func(r Record) (s Stated) {
		s.Entry, s.Err = Read(r.Bundle)
		return s
	})
}
