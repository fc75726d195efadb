// Each kind that stands in the world is looked at there.

package pass

import (
	"testing"

	"github.com/vishwaops/vishwa/schemas"
)

func TestWhatIsObservedHasAnObserver(t *testing.T) {
	for _, k := range schemas.Kinds() {
		if (observers[k.Kind] != nil) != k.Observed {
			t.Errorf("%s is observed: %v; it has an observer: %v", k.Kind, k.Observed, observers[k.Kind] != nil)
		}
	}
}
