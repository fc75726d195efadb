// What of resources is not held is in the log.

package work

import (
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func TestWhatIsNotHeldIsSaid(t *testing.T) {
	all := schemas.RunsOn{Resources: schemas.Resources{CPU: "2", Memory: "1Gi", EphemeralStorage: "2Gi"}}
	far := all
	far.Runner = "box"
	for _, c := range []struct {
		on   schemas.RunsOn
		by   string
		want []string
	}{
		{all, "cgroup v2", nil}, {all, "cgroup v1", nil}, {all, "watching", []string{"2 CPU"}}, {all, "", []string{"2 CPU", "1Gi of memory", "2Gi of disk"}},
		{far, "", nil}, {schemas.RunsOn{}, "", nil}, {schemas.RunsOn{Runner: "local", Resources: schemas.Resources{GPU: 1}}, "", nil},
	} {
		got := unheld(port.Job{RunsOn: c.on}, c.by)
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("by %q: %q", c.by, got)
			}
		}
		if (got == "") != (c.want == nil) || len(c.want) == 1 && strings.Contains(got, "memory") {
			t.Errorf("by %q: %q", c.by, got)
		}
	}
}
