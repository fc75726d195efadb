// Whose keys these are, by the repository's trust file.

package app

import (
	"os"
	"path/filepath"

	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// controller is the name under which trust.yaml knows this machine's keys.
func (h *Repository) controller(must bool) (string, error) {
	pub, err := os.ReadFile(filepath.Join(h.Paths.Keys, string(port.Build)+".pub"))
	if err != nil && must {
		return "", fault.WithHint(fault.New(fault.Missing, "no controller's keys in %s", h.Paths.Keys), "make them with vishwa keys generate, or set VISHWA_KEYS to their folder")
	}
	if err == nil {
		if name := controllerOf(h.Trust, pub); name != "" {
			return name, nil
		}
	}
	if !must {
		return "", nil
	}
	return "", h.Untrusted()
}

// Untrusted is the error of keys that trust.yaml does not know: of the tracked revision, where somebody acts. Where the work tree's
// file knows them, it only has to be committed.
func (h *Repository) Untrusted() error {
	err := fault.New(fault.Denied, "the keys in %s are not a controller's in trust.yaml", h.Paths.Keys)
	if h.Repo != nil && !h.Repo.Bare() {
		pub, readErr := os.ReadFile(filepath.Join(h.Paths.Keys, string(port.Build)+".pub"))
		_, t, settingsErr := pass.Settings(h.Repo.Worktree())
		if readErr == nil && settingsErr == nil && controllerOf(t, pub) != "" {
			return fault.WithHint(fault.New(fault.Denied, "%w as it is committed; in the work tree it names them", err), "commit trust.yaml")
		}
	}
	return fault.WithHint(err, "add them with vishwa keys trust, and commit trust.yaml")
}

// controllerOf is the controller whose key pub is by t, or "".
func controllerOf(t *trust.Trust, pub []byte) string {
	if t == nil {
		return ""
	}
	hint := signer.Hint(pub)
	for name, c := range t.Controllers {
		if signer.Hint(c.Keys[port.Build]) == hint {
			return name
		}
	}
	return ""
}
