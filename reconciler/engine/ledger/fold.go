// Fold takes in one entry after another. Everything that is known comes from it,
// so that replaying the ledger anywhere gives the same facts.

package ledger

import (
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
)

// Fold takes in e, the next entry, whose bundle bytes are named by bundle. An
// entry that does not follow the one before is Corrupt and changes nothing.
func (f *Facts) Fold(e Entry, bundle digest.Digest) error {
	if e.Seq != f.Count {
		return fault.New(fault.Corrupt, "entry %d: it says that it is number %d", f.Count, e.Seq)
	}
	if e.Prev != f.Head {
		return fault.New(fault.Corrupt, "entry %d: it follows %s, and the entry before is %s", e.Seq, or(e.Prev), or(f.Head))
	}
	if (e.Action == Genesis) != (e.Seq == 0) {
		return fault.New(fault.Corrupt, "entry %d: it is a %s; a ledger has one genesis, its first entry", e.Seq, e.Action)
	}
	if _, err := digest.Parse(string(bundle)); err != nil {
		return fault.New(fault.Corrupt, "entry %d: %w", e.Seq, err)
	}
	var name [32]byte
	if _, err := hex.Decode(name[:], []byte(bundle.Hex())); err != nil {
		return fault.New(fault.Corrupt, "entry %d: %w", e.Seq, err)
	}
	f.ready()
	f.heads = append(f.heads, name)
	f.Count, f.Head, f.Time = f.Count+1, bundle, time.UnixMilli(e.Time.UnixMilli()).UTC()
	if e.PullRequest == nil && gitID.MatchString(e.Revision) {
		f.Tracked = e.Revision
	}
	f.foldEntry(&e)
	return nil
}

func or(d digest.Digest) string {
	if d == "" {
		return "nothing"
	}
	return string(d)
}

func (f *Facts) ready() {
	if f.ByKey == nil {
		f.ByKey = map[digest.Digest]*Entry{}
		f.Others = map[digest.Digest][]*Entry{}
		f.Latest = map[schemas.Ref]*Entry{}
		f.Failed = map[digest.Digest]Tries{}
		f.Denied = map[schemas.Ref]*Entry{}
		f.Observed = map[schemas.Ref]*Entry{}
		f.Released = map[schemas.Ref]*Entry{}
		f.Places = map[string]*Entry{}
		f.Left = map[string]*Entry{}
		f.Machines = map[string]*Entry{}
		f.Suspended = map[schemas.Ref]*Entry{}
		f.Rollouts = map[schemas.Ref]*Entry{}
		f.WentBack = map[schemas.Ref]*Entry{}
	}
}

func (f *Facts) foldEntry(e *Entry) {
	if f.Started == "" && e.PullRequest == nil && e.Action != Approve { // what a pull request proposes was carried out nowhere
		f.Started = e.Revision
	}
	switch e.Action {
	case Fail:
		if e.Key != "" {
			f.Failed[e.Key] = Tries{N: f.Failed[e.Key].N + 1, Last: e}
		} else {
			f.stick(e)
		}
	case Observe:
		f.Observed[e.Ref] = e
	case Suspend:
		f.Suspended[e.Ref] = e
	case Resume:
		f.resume(e.Ref)
	case RollOut:
		f.rolled(e)
	case Retry:
		f.letGo(e)
	case Evaluate:
		f.evaluated(e)
	case Deny:
		f.Denied[e.Ref] = e
	case Approve:
		f.Approvals = append(f.Approvals, e)
	default:
		if e.Action.makes() {
			f.success(e)
		}
	}
}

// success notes what was made. Under a key the first entry stays until it is made
// again; a duplicate of it only makes that entry its ref's newest.
func (f *Facts) success(e *Entry) {
	f.release(e)
	f.rolledOut(e)
	newest := e
	if e.Key != "" && e.Action != Retire {
		switch first := f.ByKey[e.Key]; {
		case first == nil:
			f.ByKey[e.Key] = e
		case e.Again:
			f.ByKey[e.Key] = e
			delete(f.Others, e.Key)
		case e.Duplicate:
			f.other(e)
			if first.Ref == e.Ref {
				newest = first
			}
		}
	}
	f.Latest[e.Ref] = newest
	delete(f.Failed, e.Key)
	delete(f.Denied, e.Ref)
	f.unstick(func(was *Entry) bool { // of a pull request, what the branch makes under another key mends nothing
		return was.Ref == e.Ref && (pullOf(was) == pullOf(e) || KeyOf(*was) == KeyOf(*e))
	})
	if e.Action == Retire && len(f.Observed[e.Ref].Incidents()) == 0 { // people are told yet that one is over
		delete(f.Observed, e.Ref)
	}
}

// evaluated notes a score by its key. It makes nothing, and is no newest entry of the model's.
func (f *Facts) evaluated(e *Entry) {
	if e.Key == "" {
		return // it names nothing that could be found again
	}
	if f.ByKey[e.Key] == nil || e.Again {
		f.ByKey[e.Key] = e
	}
	delete(f.Failed, e.Key)
	f.unstick(func(was *Entry) bool { return was.Ref == e.Ref && KeyOf(*was) == e.Key })
}

// release notes what changed for an environment: guards are in force as of there, and
// authors count from there on. What only comes back as it was, after a crash or a
// reboot or by a rollback, was approved before, and moves neither.
func (f *Facts) release(e *Entry) {
	if e.Action != Deploy && e.Action != Retire || !e.Ref.Kind.Traits().Serves {
		return
	}
	f.onMachine(e)
	last := f.Latest[e.Ref]
	was := last != nil && last.Action == Deploy
	f.left(e, last)
	if e.Action == Deploy && (was && last.Key == e.Key || e.Rollback()) {
		return
	}
	f.Released[e.Ref] = e
	if e.Release != nil {
		f.Places[schemas.Place(e.Release.Environment)] = e
	}
	if was && last.Release != nil {
		f.Places[schemas.Place(last.Release.Environment)] = e
	}
}

// left notes where e, a deploy or a retire, leaves nothing of what was released before.
func (f *Facts) left(e, last *Entry) {
	if last != nil && last.Action == Deploy && last.Release != nil {
		f.Left[e.Ref.String()+" "+last.Release.Environment] = last
	}
	if e.Action == Deploy && e.Release != nil {
		delete(f.Left, e.Ref.String()+" "+e.Release.Environment)
	}
}

// mostStuck is how many failures of a ref are kept, for one pull request or the branch;
// mostStuckInAll, for all of them together.
const (
	mostStuck      = 8
	mostStuckInAll = 256
)

// stick keeps e, in place of what said the same before.
func (f *Facts) stick(e *Entry) {
	f.Stuck = slices.DeleteFunc(f.Stuck, func(was *Entry) bool { return alike(was, e) })
	for _, bound := range []struct {
		most int
		same func(*Entry) bool
	}{
		{mostStuck, func(was *Entry) bool { return was.Ref == e.Ref && pullOf(was) == pullOf(e) }},
		{mostStuckInAll, func(was *Entry) bool { return was.Ref == e.Ref }},
	} {
		n := 0
		for _, was := range f.Stuck {
			if bound.same(was) {
				n++
			}
		}
		if n >= bound.most {
			oldest := slices.IndexFunc(f.Stuck, bound.same)
			f.Stuck = slices.Delete(f.Stuck, oldest, oldest+1)
		}
	}
	f.Stuck = append(f.Stuck, e)
}

func (f *Facts) unstick(of func(*Entry) bool) {
	f.Stuck = slices.DeleteFunc(f.Stuck, of)
	if len(f.Stuck) == 0 {
		f.Stuck = nil
	}
}

// letGo forgets the failures of a key, or of all keys of a ref.
func (f *Facts) letGo(e *Entry) {
	f.unstick(func(was *Entry) bool { return was.Ref == e.Ref || was.Ref.Whole() == e.Ref })
	if e.PullRequest == nil && f.RolloutOf(e.Ref).Phase == rollout.RolledBack {
		delete(f.Rollouts, e.Ref) // it may be tried once more, from its first step
	}
	if e.Key != "" {
		delete(f.Failed, e.Key)
		return
	}
	maps.DeleteFunc(f.Failed, func(_ digest.Digest, t Tries) bool {
		return t.Last.Ref == e.Ref || t.Last.Ref.Whole() == e.Ref
	})
}

// Clone is a copy that goes on apart from f; both share their entries, which
// nobody changes.
func (f *Facts) Clone() *Facts {
	c := *f
	c.ByKey, c.Others, c.Latest = maps.Clone(f.ByKey), maps.Clone(f.Others), maps.Clone(f.Latest)
	c.Machines = maps.Clone(f.Machines)
	c.Failed, c.Denied = maps.Clone(f.Failed), maps.Clone(f.Denied)
	c.Stuck, c.Observed = slices.Clone(f.Stuck), maps.Clone(f.Observed)
	c.Released, c.Places, c.Left = maps.Clone(f.Released), maps.Clone(f.Places), maps.Clone(f.Left)
	c.Suspended, c.Rollouts, c.WentBack = maps.Clone(f.Suspended), maps.Clone(f.Rollouts), maps.Clone(f.WentBack)
	c.Approvals = slices.Clone(f.Approvals)
	c.heads = slices.Clip(f.heads) // what is there stays; what is appended is apart
	return &c
}

// First is what an entry follows that is the first of its ref.
const First = -1

// Stale tells of an entry that others came before, since it was made.
func Stale(f *Facts, e Entry) error {
	newest, last := int64(First), f.Observed[e.Ref]
	switch e.Action {
	case RollOut:
		last = f.Rollouts[e.Ref]
	case Suspend, Resume:
		last = f.Suspension(e.Ref)
	}
	if last != nil {
		newest = last.Seq
	}
	if e.Follows == 0 || e.Follows == newest {
		return nil
	}
	return fault.WithHint(fault.New(fault.Conflict, "entry %d about %s was recorded meanwhile", newest, e.Ref), "try again")
}

// Recheck is what becomes of e, which was made while others wrote to the ledger,
// now that f holds their entries: where one of them made the same first, e
// stays as a record of work done twice.
func Recheck(f *Facts, e Entry) Entry {
	if first := f.ByKey[e.Key]; (e.Action == Evaluate || slices.Contains(byKey, e.Action)) && e.Key != "" && first != nil && !e.Again {
		e.Duplicate = true
	}
	return e
}
