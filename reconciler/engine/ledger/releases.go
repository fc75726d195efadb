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
