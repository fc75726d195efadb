// Facts are what entries fold to: the state that a plan is computed against.
package ledger

import (
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/schemas"
)

// Facts is the ledger, folded. The zero value is the empty ledger.
type Facts struct {
	Count int64         // entries folded; the next one's Seq
	Head  digest.Digest // of the newest entry's bundle bytes; the next one's Prev

	ByKey     map[digest.Digest]*Entry // the first entry that made what is under a key, or the newest that made it again; a duplicate never takes its place
	Latest    map[schemas.Ref]*Entry   // the newest success a ref: pin, transform, train, select, provision, deploy or retire
	Failed    map[digest.Digest]Tries  // keys whose runs failed since they last succeeded or were let go
	Denied    map[schemas.Ref]*Entry   // the newest refusal a ref, until it succeeds
	Observed  map[schemas.Ref]*Entry   // how a deployment was last found, until it is retired
	Approvals []*Entry
	Stuck     []*Entry // failures that count against no key, until their ref succeeds or is let go; the newest few a ref
	Started   string   // revision of the genesis entry
}

// Tries counts the failures of a key.
type Tries struct {
	N    int
	Last *Entry
}
