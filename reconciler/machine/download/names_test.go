package download

import (
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestAcceptedNamesStayInside: whatever is accepted is local and no part of it is Git's.
func TestAcceptedNamesStayInside(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"..", ".", "", ".git", ".GIT", "a", "A", "nul", "\\", "\x00"}))
		name := strings.Join(rapid.SliceOfN(part, 1, 4).Draw(t, "parts"), "/")
		if why := strays(name); why != "" {
			t.Fatalf("%q is accepted, and %s", name, why)
		}
	})
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"a", "../a", ".git", "a\\b", "NUL", "a/b", "\xff", ".g\u200dit"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if why := strays(name); why != "" {
			t.Fatalf("%q is accepted, and %s", name, why)
		}
	})
}

// strays says what is wrong with a name that is accepted, or "".
func strays(name string) string {
	if unfit(name) != "" {
		return ""
	}
	if !filepath.IsLocal(name) || strings.ContainsAny(name, "\x00\\") {
		return "leads out"
	}
	for part := range strings.SplitSeq(name, "/") {
		if strings.EqualFold(part, ".git") || len(part) > 255 {
			return "is Git's, or too long"
		}
	}
	return ""
}
