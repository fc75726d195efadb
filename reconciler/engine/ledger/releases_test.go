// What a rollback goes back to.

package ledger

import (
	"slices"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/schemas"
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
		if e := RollsBackTo(c.releases, nil); (e == nil) != (got < 0) || e != nil && e.Seq != got {
			t.Errorf("%s: let go on, %+v, want %d", name, e, got)
		}
		if got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// TestARollbackThatIsAskedForAgainGoesWhereItsSuspensionSays: done or not, whoever recorded it.
func TestARollbackThatIsAskedForAgainGoesWhereItsSuspensionSays(t *testing.T) {
	release := func(seq int64, key string, restores int64) Entry {
		return Entry{Seq: seq, Key: digest.Digest(key), Action: Deploy, Release: &Release{Restores: restores}}
	}
	hold := func(seq, to int64) *Entry {
		e := HoldFor(schemas.Ref{}, to, "too dear")
		e.Seq = seq
		return &e
	}
	words := func(seq int64, reason string) *Entry { return &Entry{Seq: seq, Action: Suspend, Reason: reason} }
	three := []Entry{release(1, "a", 0), release(3, "b", 0), release(5, "c", 0)}
	back := append(slices.Clone(three), release(7, "b", 3))
	further := append(slices.Clone(back), release(9, "a", 1))
	for name, c := range map[string]struct {
		releases []Entry
		hold     *Entry
		want     int64
	}{
		"it is done":                                   {back, hold(6, 3), 3},
		"it is not done":                               {three, hold(6, 3), 3},
		"it is not done, and goes further":             {three, hold(6, 1), 1},
		"a second one is not done":                     {back, hold(9, 1), 1},
		"a second one is done, and the first holds it": {further, hold(6, 3), 1},
		"somebody suspended it before it was done":     {back, words(6, "hands off"), 3},
		"somebody suspended it since":                  {back, words(9, "hands off"), 1},
		"somebody suspended what never went back":      {three, words(6, "hands off"), 3},
		"it names what is no release":                  {three, hold(6, 99), 3},
		"an older program, done":                       {back, words(8, "rolled back to entry 3: too dear"), 3},
		"an older program, not done":                   {back, words(9, "rollback to entry 1: too dear"), 1},
		"words like those":                             {back, words(9, "rollback to entry one: too dear"), 1},
		"another was released since":                   {append(slices.Clone(back), release(11, "d", 0)), hold(6, 3), 3},
		"nothing was ever released":                    {nil, hold(6, 3), 0},
	} {
		got := int64(0)
		if e := RollsBackTo(c.releases, c.hold); e != nil {
			got = e.Seq
		}
		if got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// TestWhoLetsItGoOnGivesTheRollbackUp: and nobody who lets something else go on does.
func TestWhoLetsItGoOnGivesTheRollbackUp(t *testing.T) {
	hold := func(reason string) Entry { return HoldFor(schemas.Ref{}, 3, reason) }
	by, resume := Entry{Action: Suspend, Reason: "hands off"}, Entry{Seq: 7, Action: Resume}
	for name, c := range map[string]struct {
		words []Entry
		up    bool
	}{
		"nothing was said":      {nil, false},
		"it is held":            {[]Entry{hold("comment 1")}, false},
		"it was let go on":      {[]Entry{hold("comment 1"), resume}, true},
		"and suspended anew":    {[]Entry{hold("comment 1"), resume, by}, true},
		"another's":             {[]Entry{hold("comment 11"), resume}, false},
		"what came before":      {[]Entry{by, resume, hold("comment 1")}, false},
		"by a person, so named": {[]Entry{{Action: Suspend, Reason: "see: comment 1"}, resume}, false},
	} {
		if e := GivenUp(c.words, "comment 1"); (e != nil) != c.up || e != nil && e.Seq != 7 {
			t.Errorf("%s: %+v", name, e)
		}
	}
}
