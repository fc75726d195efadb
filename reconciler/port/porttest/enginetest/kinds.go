// Kinds that a cluster learns, as the modules of those who carry them out bring them.

package enginetest

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// KServe has the cluster know InferenceServices, of KServe 0.15.2, until the test ends. Nobody carries them out.
func (k *Kubernetes) KServe(t testing.TB) {
	t.Helper()
	k.kinds(t, "kserve.yaml")
}

// kinds has the cluster know the kinds of a file that make has beside its programs, until the test ends.
func (k *Kubernetes) kinds(t testing.TB, file string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(filepath.Dir(os.Getenv("VISHWA_TOOLS")), "share", file))
	if err != nil {
		t.Fatalf("%v: make test-kubernetes has it", err)
	}
	t.Cleanup(func() { k.Kubectl(t, string(raw), "delete", "--ignore-not-found", "-f", "-") })
	k.Kubectl(t, string(raw), "apply", "--server-side", "-f", "-")
	for late := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		// kubectl does not wait for a kind of which nothing is said yet.
		err := k.try(string(raw), "wait", "--for=condition=Established", "--timeout=60s", "-f", "-")
		if err == nil {
			return
		}
		if time.Now().After(late) {
			t.Fatal(err)
		}
	}
}
