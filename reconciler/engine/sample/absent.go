// Values that are not there: scores are of those that are, so that a column which comes empty would
// look as it did.

package sample

import (
	"fmt"
	"math"

	"github.com/vishwaops/vishwa/reconciler/plural"
)

const (
	byChance  = 0.01  // what is less likely than that of a column like the reference's is none
	mostMoved = 0.05  // by which the share of rows without a value may move
	surely    = 3.291 // deviations, which chance passes in one of a thousand
)

// Absent tells of a column's rows without a value: a fault, where none of the window has one and
// chance does not explain it; or a note, where they are far more or far fewer than in the reference.
func Absent(base Reference, now *Side, name string) (fault, note string) {
	if base.Len() == 0 || now.Rows == 0 {
		return "", ""
	}
	m, n := float64(base.Len()), float64(now.Rows)
	was, is := float64(base.Nulls(name))/m, float64(now.Nulls(name))/n
	if is == 1 && math.Pow(was, n) < byChance {
		return fmt.Sprintf("the window: none of its %s has a value, and of the reference %.0f %% have one", plural.Of(now.Rows, "row"), 100*(1-was)), ""
	}
	both := (was*m + is*n) / (m + n)
	if d := math.Abs(was - is); d >= mostMoved && d > surely*math.Sqrt(both*(1-both)*(1/m+1/n)) {
		return "", fmt.Sprintf("column %s: %.0f %% of the rows have no value, and of the reference %.0f %%", name, 100*is, 100*was)
	}
	return "", ""
}
