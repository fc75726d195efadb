// A real store for containers.

package enginetest

import (
	"testing"

	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
)

// MinIO starts a store for one test, which this process, containers and pods reach by one and the same address; minioadmin
// signs in with the password minioadmin.
func MinIO(t testing.TB) (endpoint string) {
	t.Helper()
	real(t)
	return peers.MinIOAt(t, Address)
}
