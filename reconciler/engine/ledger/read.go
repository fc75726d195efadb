// Read opens an entry's bundle without asking who signed it: for showing what was
// verified before.

package ledger

import (
	"encoding/json"

	"github.com/vishwaops/vishwa/reconciler/fault"
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
