// Which release came before.

package ledger

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/schemas"
)

// ReleaseBefore is the release that was served before the newest of releases, the deploy
// entries of one deployment, oldest first; nil: there is none. What a rollback left behind
// does not count: before what was rolled back to comes what came before that.
func ReleaseBefore(releases []Entry) *Entry {
	if len(releases) == 0 {
		return nil
	}
	served := ReleaseOf(releases, releases[len(releases)-1].Seq)
	for i := len(releases) - 1; i >= 0 && served != nil; i-- {
		if releases[i].Seq < served.Seq && releases[i].Key != served.Key {
			return ReleaseOf(releases, releases[i].Seq)
		}
	}
	return nil
}

// HoldFor is the entry that suspends ref for a rollback to entry to.
func HoldFor(ref schemas.Ref, to int64, reason string) Entry {
	return Entry{Action: Suspend, Ref: ref, Release: &Release{Restores: to}, Reason: fmt.Sprintf("rollback to entry %d: %s", to, reason)}
}

// HeldFor is the number of the entry that the rollback goes back to for which e suspends; 0: somebody suspended for a reason of
// their own. Earlier programs told it by the reason alone.
func (e *Entry) HeldFor() int64 {
	switch {
	case e == nil || e.Action != Suspend:
		return 0
	case e.Release != nil:
		return e.Release.Restores
	}
	for _, words := range []string{"rollback to entry ", "rolled back to entry "} {
		if text, told := strings.CutPrefix(e.Reason, words); told {
			number, _, _ := strings.Cut(text, ":")
			if to, err := strconv.ParseInt(number, 10, 64); err == nil {
				return to
			}
		}
	}
	return 0
}

// RollsBackTo is the release that a rollback serves again where it names none: the one before the newest of releases. Where that
// one was rolled back to since hold, the suspension that stands, it is it: who asks twice, or two who ask at once, go back one
// release. A hold that came after it is for a rollback that is not done, and that one goes on.
func RollsBackTo(releases []Entry, hold *Entry) *Entry {
	if n := len(releases); n > 0 && hold != nil {
		switch newest := &releases[n-1]; {
		case newest.Seq < hold.Seq:
			if e := ReleaseOf(releases, hold.HeldFor()); e != nil {
				return e
			}
		case newest.Rollback():
			return ReleaseOf(releases, newest.Seq)
		}
	}
	return ReleaseBefore(releases)
}

// GivenUp is what let a deployment go on since it was suspended for a rollback whose reason ends so; nil: nothing did. Words are what was
// recorded of its suspensions, oldest first.
func GivenUp(words []Entry, reason string) (by *Entry) {
	held := false
	for i := range words {
		switch e := &words[i]; {
		case e.HeldFor() != 0 && strings.HasSuffix(e.Reason, ": "+reason):
			held, by = true, nil
		case held && by == nil && e.Action == Resume:
			by = e
		}
	}
	return by
}

// ReleaseOf is the release that entry seq of releases made; of a rollback, the one that it
// serves again. Nil: seq is not among them.
func ReleaseOf(releases []Entry, seq int64) *Entry {
	for range releases {
		i := slices.IndexFunc(releases, func(e Entry) bool { return e.Seq == seq })
		if i < 0 {
			return nil
		}
		if !releases[i].Rollback() || releases[i].Release.Restores >= seq {
			return &releases[i]
		}
		seq = releases[i].Release.Restores
	}
	return nil
}
