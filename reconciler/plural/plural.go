// Package plural counts things in English: 1 file, 2 files, 1 entry, 0 entries.
package plural

import (
	"fmt"
	"strings"
)

// Of is n of one, which is written in the singular: "file", "entry". An s is added for
// more and for none, or a y becomes ies.
func Of[N ~int | ~int64](n N, one string) string {
	if n == 1 {
		return "1 " + one
	}
	if stem, y := strings.CutSuffix(one, "y"); y {
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, one)
}
