// Offline nobody is asked who is not on this machine.

package port

import (
	"errors"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// TestOfflineFoldersAndSocketsOfThisMachineAreAllThereIs: by however an address is spelt, and no password of one is repeated.
func TestOfflineFoldersAndSocketsOfThisMachineAreAllThereIs(t *testing.T) {
	for address, near := range map[string]bool{
		"/srv/remote": true, "../other": true, "./a:b": true, "file:///srv/remote": true, "unix:///var/run/docker.sock": true,
		"s3://bucket/key": false, "oci://127.0.0.1:5000/team/a": false, "https://user:hunter2@example.com/x?token=hunter2": false, "git@example.com:team/data.git": false,
		"https://example.com?token=hunter2": false, "https://example.com#hunter2": false, "hunter2@example.com:team/data.git": false,
		"ssh://git@example.com/team/data.git": false, "kafka://broker:9092": false, "http://127.0.0.1:9090": false,
	} {
		for what, err := range map[string]error{"ask": (Env{Offline: true}).MayAsk(address), "use": (Env{Offline: true}).MayUse(address), "send": (Env{Offline: true}).MaySend("TOKEN", address)} {
			if near != (err == nil) || err != nil && (!errors.As(err, new(Unasked)) || fault.HintOf(err) == "" || strings.Contains(err.Error(), "hunter2")) {
				t.Errorf("%s %s: %v", what, address, err)
			}
		}
		if err := (Env{}).MayAsk(address); err != nil {
			t.Errorf("with the network, %s: %v", address, err)
		}
	}
}
