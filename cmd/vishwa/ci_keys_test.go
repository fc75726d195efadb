// What a job cannot sign it finds before it does anything.

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// TestAJobFindsAKeyWithChangedBytesBeforeAnyWork: of whatever role, also one that it would sign with hours later.
func TestAJobFindsAKeyWithChangedBytesBeforeAnyWork(t *testing.T) {
	for _, name := range []string{"", "build.key", "deploy.key", "refuse.key", signer.LedgerKey} {
		dir := quickKeys(t)
		if name != "" {
			at := filepath.Join(dir, name)
			raw, err := os.ReadFile(at)
			if err != nil {
				t.Fatal(err)
			}
			lines := bytes.Split(raw, []byte("\n"))
			middle := lines[len(lines)/2]
			if name == signer.LedgerKey {
				middle = lines[len(lines)-4] // the secret half: OpenSSH's format has the public one three times
			}
			if middle[3] == 'A' {
				middle[3] = 'B'
			} else {
				middle[3] = 'A'
			}
			if err := os.WriteFile(at, bytes.Join(lines, []byte("\n")), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		a := &cli{lookup: func(v string) (string, bool) {
			return map[string]string{"VISHWA_KEYS": dir, "HOME": dir}[v], v == "VISHWA_KEYS" || v == "HOME"
		}}
		err := a.keysOpen(t.Context(), &signer.Ring{}, func() ([]byte, error) { return []byte(password), nil })
		if (err == nil) != (name == "") || err != nil && (!strings.Contains(err.Error(), name) || fault.HintOf(err) == "") {
			t.Errorf("%s: %v (%s)", name, err, fault.HintOf(err))
		}
	}
}
