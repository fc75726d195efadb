// Numbers as people read them.

package watch

import (
	"fmt"
	"math"

	"github.com/vishwaops/vishwa/reconciler/engine/drift"
)

func text(n *drift.Number) string {
	if n == nil || math.IsNaN(float64(*n)) {
		return "not known"
	}
	return fmt.Sprintf("%.4g", float64(*n))
}

func bounds(m Metric) string {
	switch {
	case m.Min != nil && m.Max != nil:
		return fmt.Sprintf(", and is to be between %v and %v", *m.Min, *m.Max)
	case m.Min != nil:
		return fmt.Sprintf(", and is to be %v at least", *m.Min)
	case m.Max != nil:
		return fmt.Sprintf(", and is to be %v at most", *m.Max)
	}
	return ""
}
