// Facts are what entries fold to: the state that a plan is computed against.

package ledger

import (
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/schemas"
)

// Facts is the ledger, folded. The zero value is the empty ledger.
type Facts struct {
	Count int64         // entries folded; the next one's Seq
	Head  digest.Digest // of the newest entry's bundle bytes; the next one's Prev
	Time  time.Time     // of the newest entry, to the millisecond; the next one's is not before it

	ByKey     map[digest.Digest]*Entry   // the first entry that made what is under a key, or the newest that made it again; a duplicate never takes its place
	Others    map[digest.Digest][]*Entry // what duplicates made under a key, where that was other bytes, in order: see Under
	Latest    map[schemas.Ref]*Entry     // the newest success a ref: pin, transform, train, select, provision, deploy or retire
	Failed    map[digest.Digest]Tries    // keys whose runs failed since they last succeeded or were let go
	Denied    map[schemas.Ref]*Entry     // the newest refusal a ref, until it succeeds
	Observed  map[schemas.Ref]*Entry     // how it was last found, until it is retired
	Released  map[schemas.Ref]*Entry     // the deploy or retire that a deployment's newest change came with: bringing back the same release is none
	Places    map[string]*Entry          // the newest of these an environment, by schemas.Place: one that is left is among them
	Left      map[string]*Entry          // the newest release of each deployment in each environment where it is no more: see left
	Machines  map[string]*Entry          // the newest deploy or retire of a ref on each machine that names itself: see On
	Suspended map[schemas.Ref]*Entry     // refs about which nothing is to be done, until they are resumed: see Suspension
	Rollouts  map[schemas.Ref]*Entry     // the newest change of a deployment's rollout that counts: see RolloutOf
	WentBack  map[schemas.Ref]*Entry     // the newest time that a release was rolled back which was tried, also where it may be tried again by now
	Approvals []*Entry
	Stuck     []*Entry // failures that count against no key, until their ref succeeds, for the same pull request or under the same key, or is let go; the newest few
	Started   string   // revision of the first entry that is no pull request's; "": there is none yet
	Tracked   string   // revision of the newest entry that was made for the tracked branch

	heads [][32]byte // what names each entry, so that a position can be looked up
}

// At is the digest of entry seq's bundle bytes; false where there is no such entry.
func (f *Facts) At(seq int64) (digest.Digest, bool) {
	if seq < 0 || seq >= int64(len(f.heads)) {
		return "", false
	}
	return digest.FromSum(f.heads[seq][:]), true
}

// Tries counts the failures of a key.
type Tries struct {
	N    int
	Last *Entry
}
