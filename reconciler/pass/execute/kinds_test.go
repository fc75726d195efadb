// Each kind of which something is made has an executor; what stands in the world can go.

package execute

import (
	"testing"

	"github.com/vishwaops/vishwa/schemas"
)

func TestEveryKindHasAnExecutor(t *testing.T) {
	for _, k := range schemas.Kinds() {
		do, there := executors[k.Kind]
		if there != (k.Action != "") || there && do.make == nil {
			t.Errorf("%s: executor %v, action %q", k.Kind, there, k.Action)
		}
		if (do.retire != nil) != k.Observed {
			t.Errorf("%s is observed: %v; it can be retired: %v", k.Kind, k.Observed, do.retire != nil)
		}
		if do.stands != nil && !k.Observed {
			t.Errorf("%s is looked up by its key, and has another way to stand", k.Kind)
		}
	}
	if len(executors) != len(schemas.KindsThat(func(t schemas.Traits) bool { return t.Action != "" })) {
		t.Errorf("%d executors", len(executors))
	}
}
