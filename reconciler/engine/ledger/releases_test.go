// What a rollback goes back to.

package ledger

import (
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

func TestARollbackGoesToTheReleaseBeforeTheServedOne(t *testing.T) {
	release := func(seq int64, key string) Entry {
		return Entry{Seq: seq, Key: digest.Digest(key), Action: Deploy, Release: &Release{}}
	}
	back := func(seq int64, key string, to int64) Entry {
		e := release(seq, key)
		e.Release.Restores = to
		return e
	}
	for name, c := range map[string]struct {
		releases []Entry
		want     int64 // -1: none
	}{
		"none":                             {nil, -1},
		"the first":                        {[]Entry{release(3, "a")}, -1},
		"the second":                       {[]Entry{release(3, "a"), release(5, "b")}, 3},
		"one that came back after a crash": {[]Entry{release(3, "a"), release(5, "b"), release(6, "b")}, 3},
		"one that is declared again":       {[]Entry{release(3, "a"), release(5, "b"), release(7, "a")}, 5},
		"a second rollback":                {[]Entry{release(1, "a"), release(3, "b"), release(5, "c"), back(7, "b", 3)}, 1},
		"a third":                          {[]Entry{release(1, "a"), release(3, "b"), back(5, "a", 1)}, -1},
		"what came after a rollback":       {[]Entry{release(1, "a"), release(3, "b"), back(5, "a", 1), release(8, "c")}, 1},
		"one that names itself":            {[]Entry{release(1, "a"), back(3, "b", 3)}, 1},
	} {
		got := int64(-1)
		if e := ReleaseBefore(c.releases); e != nil {
			got = e.Seq
		}
		again := int64(-1)
		if e := RollsBackTo(c.releases, true); e != nil {
			again = e.Seq
		}
		if n := len(c.releases); n > 0 && c.releases[n-1].Rollback() { // asked twice, it goes back once
			if served := ReleaseOf(c.releases, c.releases[n-1].Seq); again != served.Seq {
				t.Errorf("%s: asked again, %d, want %d", name, again, served.Seq)
			}
		} else if again != got {
			t.Errorf("%s: suspended, %d, want %d", name, again, got)
		}
		if e := RollsBackTo(c.releases, false); (e == nil) != (got < 0) || e != nil && e.Seq != got {
			t.Errorf("%s: let go on, %+v, want %d", name, e, got)
		}
		if got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
