// Which release came before.

package ledger

import "slices"

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

// RollsBackTo is the release that a rollback serves again where it names none: the one before the newest of releases. Where that
// one was rolled back to and is suspended still, it is it: who asks twice, or two who ask at once, go back one release.
func RollsBackTo(releases []Entry, suspended bool) *Entry {
	if n := len(releases); n > 0 && suspended && releases[n-1].Rollback() {
		return ReleaseOf(releases, releases[n-1].Seq)
	}
	return ReleaseBefore(releases)
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
