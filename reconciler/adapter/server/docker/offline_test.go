// Offline nobody is asked, by the engine either.

package docker

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dockerengine/dockertest"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// TestOfflineNoImageIsFetched: the engine is on this machine, and would ask a registry that is not.
func TestOfflineNoImageIsFetched(t *testing.T) {
	e := dockertest.New(t)
	env := testEnv()
	env.Offline = true
	fetch := func(image string) error {
		raw, err := json.Marshal(settled{Engine: "unix://" + e.Socket, Image: image})
		if err != nil {
			t.Fatal(err)
		}
		return New(Options{Env: env, User: os.Getuid()}).(*starter).Fetch(t.Context(), raw)
	}
	if err := fetch(dockertest.Image); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	err := fetch(dockertest.Away)
	if !errors.As(err, new(port.Unasked)) || !strings.Contains(err.Error(), "registry.example.com was not asked") || !strings.Contains(fault.HintOf(err), "--offline") || len(e.Auths) > 0 {
		t.Errorf("one that is not: %v (%s), %d fetched", err, fault.HintOf(err), len(e.Auths))
	}
}
