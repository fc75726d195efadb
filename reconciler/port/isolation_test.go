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

func TestARunIsEnclosedThatSharesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		is   *Isolation
		want bool
	}{
		"no network":                  {&Isolation{Level: "namespaces", Network: "none"}, true},
		"hosts, by the proxy":         {&Isolation{Level: "namespaces", Network: "pypi.example"}, true},
		"the machine's network":       {&Isolation{Level: "namespaces", Network: "all", Landlock: 5}, false},
		"it, and not its sockets":     {&Isolation{Level: "namespaces", Network: "all", Landlock: 6}, true},
		"a network that is not held":  {&Isolation{Level: "namespaces", Network: "not limited"}, false},
		"a network that is not known": {&Isolation{Level: "namespaces"}, false},
		"the machine's processes":     {&Isolation{Level: "landlock", Network: "none", Landlock: 7}, false},
		"no wall":                     {&Isolation{Level: "none", Network: "none"}, false},
		"nothing is known":            {nil, false},
	} {
		if got := c.is.Enclosed(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
