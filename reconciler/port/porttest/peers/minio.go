// A real MinIO for tests, where it is installed.

package peers

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/freeport"
)

// MinIO starts a server for one test and tells where it is; minioadmin signs in with the
// password minioadmin. Where it is absent, VISHWA_REAL says that this is a failure.
func MinIO(t testing.TB) (endpoint string) {
	t.Helper()
	return MinIOAt(t, "127.0.0.1")
}

// MinIOAt starts a server at an address of this machine.
func MinIOAt(t testing.TB, host string) (endpoint string) {
	t.Helper()
	program, err := exec.LookPath(filepath.Join(os.Getenv("VISHWA_TOOLS"), "minio"))
	if err != nil {
		if program, err = exec.LookPath("minio"); err != nil {
			const way = "minio is missing: make test-real installs it"
			if os.Getenv("VISHWA_REAL") != "" {
				t.Fatal(way)
			}
			t.Skip(way)
		}
	}
	address, err := freeport.Address(host)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "server", "--quiet", "--address", address, "--console-address", "127.0.0.1:0", t.TempDir())
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = append(os.Environ(), "MINIO_ROOT_USER=minioadmin", "MINIO_ROOT_PASSWORD=minioadmin", "MINIO_BROWSER=off", "HOME="+t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		if err := cmd.Wait(); err != nil && !errors.Is(err, context.Canceled) {
			t.Log(err)
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get("http://" + address + "/minio/health/ready")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return "http://" + address
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("minio does not answer: %v", err)
		}
	}
}
