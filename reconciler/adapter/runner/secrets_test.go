// A supervisor gets the store's credentials, and no run does.

package runner

import (
	"slices"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// TestVishwasOwnVariablesReachTheSupervisorAlone: those that the store names, and not those of other uses.
func TestVishwasOwnVariablesReachTheSupervisorAlone(t *testing.T) {
	vars := map[string]string{"VISHWA_STORE_PASSWORD": "hunter2", "VISHWA_KEY_PASSWORD": "other", "STORE_REGION": "eu"}
	lookup := func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
	l := local{Config: Config{Env: port.Env{Lookup: lookup}, Own: []string{"VISHWA_STORE_PASSWORD", "STORE_REGION", "VISHWA_UNSET"}}}
	own := sandbox.Environ(lookup, l.Own, l.secrets())
	if want := []string{"STORE_REGION=eu", "VISHWA_STORE_PASSWORD=hunter2"}; !slices.Equal(own, want) {
		t.Errorf("the supervisor gets %q, want %q", own, want)
	}
	if run := sandbox.Environ(lookup, []string{"VISHWA_STORE_PASSWORD"}, nil); len(run) > 0 {
		t.Errorf("a run gets %q", run)
	}
}
