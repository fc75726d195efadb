// The real server, for tests that have it.

package mlflowtest

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/freeport"
)

// Start begins a real server of MLflow, of the environment venv, on this machine's own address. Its log has
// a line a request. Without further arguments, artifacts go through it.
func Start(t testing.TB, venv string, args ...string) (url, log string) {
	t.Helper()
	address, err := freeport.Address("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	log = filepath.Join(dir, "server.log")
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(address)
	if len(args) == 0 {
		args = []string{"--artifacts-destination", filepath.Join(dir, "artifacts"), "--serve-artifacts"}
	}
	cmd := exec.Command(filepath.Join(venv, "bin", "mlflow"), append([]string{"server", "--host", "127.0.0.1", "--port", port, "--workers", "1",
		"--backend-store-uri", "sqlite:///" + filepath.Join(dir, "mlflow.db")}, args...)...)
	cmd.Env = append(os.Environ(), "MLFLOW_DISABLE_TELEMETRY=true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false", "PATH="+filepath.Join(venv, "bin")+":"+os.Getenv("PATH"))
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // its workers outlive it
		<-ended
		out.Close()
	})
	url = "http://" + address
	for until := time.Now().Add(5 * time.Minute); ; {
		resp, err := http.Get(url + "/health")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == 200 {
				return url, log
			}
		}
		select {
		case <-ended:
			raw, _ := os.ReadFile(log)
			t.Fatalf("the server ended:\n%s", raw)
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(until) {
			raw, _ := os.ReadFile(log)
			t.Fatalf("the server is not ready:\n%s", raw)
		}
	}
}
