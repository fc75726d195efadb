// The order of refs is that of their text, however it is found.

package schemas

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRefsAreOrderedAsTheirText(t *testing.T) {
	ref := rapid.Custom(func(t *rapid.T) Ref {
		return Ref{
			Kind:   Kind(rapid.StringMatching(`[ab]{1,3}`).Draw(t, "kind")),
			Name:   rapid.StringMatching(`[a0]([-a0]{0,3}[a0])?`).Draw(t, "name"),
			Output: rapid.StringMatching(`([a0][-_.a0]{0,2})?`).Draw(t, "output"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := ref.Draw(t, "a"), ref.Draw(t, "b")
		if got, want := a.Compare(b), strings.Compare(a.String(), b.String()); got != want {
			t.Fatalf("%s, %s: %d, want %d", a, b, got, want)
		}
	})
}
