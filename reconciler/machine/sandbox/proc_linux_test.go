// The reader of /proc's stat, whose second field a process chooses itself.

package sandbox

import "testing"

func TestAProcessNameCannotPoseAsAnother(t *testing.T) {
	for s, want := range map[string]process{
		"7 (sh) S 1 2 3 0 -1":      {7, 1, 2, 3},
		"7 (a) S 9 9 9) S 1 2 3 0": {7, 1, 2, 3},
		"7 (a b (c)) R 1 2 3 0":    {7, 1, 2, 3},
		"7 (sh) Z 1 2 3 0":         {},
		"7 (sh S 1 2 3":            {},
		"":                         {},
		"7 (sh) S x 2 3":           {},
	} {
		if got, ok := parseStat(s); got != want || ok != (want.pid != 0) {
			t.Errorf("%q: got %+v, %v", s, got, ok)
		}
	}
}

func FuzzStat(f *testing.F) {
	f.Add("7 (a) S 9 9 9) S 1 2 3 0")
	f.Add(")(")
	f.Fuzz(func(t *testing.T, s string) {
		if p, ok := parseStat(s); !ok && p != (process{}) {
			t.Errorf("%q: %+v", s, p)
		}
	})
}
