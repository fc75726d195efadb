package kubernetes

import (
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// TestAClusterThatMayNotBeUsedIsAskedNothing: neither for what is to be served there, nor for what was served while it might be.
func TestAClusterThatMayNotBeUsedIsAskedNothing(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	one := s.release("one", "v1")
	s.apply(one)
	before := s.double.Asked()
	may := s.o
	may.May = func(c schemas.Cluster) error {
		return fault.WithHint(fault.New(fault.Denied, "namespace %s may not be used", c.Namespace), "have it listed")
	}
	denied := New(may)
	for what, r := range map[string]port.Release{"the same": one, "another": s.release("two", "v2"), "its end": {Name: "one"}} {
		if _, err := denied.Apply(t.Context(), r); fault.Of(err) != fault.Denied || !strings.HasPrefix(fault.HintOf(err), "have it listed") {
			t.Errorf("%s: %v (%s)", what, err, fault.HintOf(err))
		}
	}
	if l, err := denied.Observe(t.Context(), "one"); err != nil || l.Health != port.Failing || !strings.Contains(l.Message, "may not be used; have it listed") {
		t.Errorf("it is observed as %+v, %v", l, err)
	}
	if n := s.double.Asked() - before; n > 0 {
		t.Errorf("it was asked %d times", n)
	}
	if l := s.observe("one"); l.Health != port.Ready {
		t.Errorf("what was served is %+v", l)
	}
}
