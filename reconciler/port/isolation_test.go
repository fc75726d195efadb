// A level that is asked for is never taken for reached where it is not.

package port

import "testing"

func TestALevelIsReachedByItselfAndStrongerOnes(t *testing.T) {
	at := func(level string) *Isolation { return &Isolation{Level: level} }
	for name, c := range map[string]struct {
		is    *Isolation
		least string
		want  bool
	}{
		"nothing is asked for":         {nil, "", true},
		"the same":                     {at("landlock"), "landlock", true},
		"a stronger one":               {at("namespaces"), "landlock", true},
		"a weaker one":                 {at("landlock"), "namespaces", false},
		"none":                         {at("none"), "landlock", false},
		"recorded before it was known": {nil, "landlock", false},
		"a level that nobody knows":    {at("perfect"), "landlock", false},
		"a least that nobody knows":    {at("namespaces"), "perfect", false},
	} {
		if got := c.is.Reaches(c.least); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	for _, c := range [][3]string{{"", "", ""}, {"", "landlock", "landlock"}, {"namespaces", "landlock", "namespaces"}, {"landlock", "namespaces", "namespaces"}, {"landlock", "", "landlock"}} {
		if got := Stricter(c[0], c[1]); got != c[2] {
			t.Errorf("the stricter of %q and %q is %q, want %q", c[0], c[1], got, c[2])
		}
	}
}
