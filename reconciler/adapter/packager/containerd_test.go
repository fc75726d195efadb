// A package is an image that a container engine mounts, as Kubernetes does with its volumes.

package packager

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/registrytest"
)

// TestContainerdMountsAPackage: on a containerd of the test's own, as root.
func TestContainerdMountsAPackage(t *testing.T) {
	if os.Getenv("VISHWA_CONTAINERD") == "" {
		t.Skip("make test-package runs it, as root")
	}
	p := packaging(t, registrytest.New(t, "", "").Address, nil, nil)
	files := digest.Manifest{}
	for _, name := range []string{"model.json", "weights/0.bin"} {
		d, n, err := p.Store.Put(t.Context(), strings.NewReader(strings.Repeat(name, 1<<18)))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, digest.File{Path: name, Digest: d, Size: n})
	}
	packed, err := p.Packager.Push(t.Context(), port.Package{At: p.At, Name: "price", Model: port.Artifact{Digest: files.Digest(), Files: files}})
	if err != nil {
		t.Fatal(err)
	}
	ctr := containerd(t)
	at := t.TempDir()
	ctr("image", "pull", "--plain-http", packed.Reference())
	ctr("image", "mount", packed.Reference(), at)
	t.Cleanup(func() { _ = exec.Command("umount", at).Run() })
	got, err := artifact.Walk(t.Context(), filepath.Join(at, "models"))
	if err != nil || got.Digest() != files.Digest() {
		t.Errorf("%v is mounted, want %v: %v", got, files, err)
	}
}

// containerd starts one, and gives its client.
func containerd(t *testing.T) func(args ...string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "containerd-") // a short path, as it is a socket's
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	config := filepath.Join(dir, "config.toml")
	socket := filepath.Join(dir, "socket")
	text := fmt.Sprintf("version = 3\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.cri.v1.runtime\", \"io.containerd.cri.v1.images\", \"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = %q\n",
		filepath.Join(dir, "root"), filepath.Join(dir, "state"), socket)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	daemon := exec.Command(filepath.Join(os.Getenv("VISHWA_TOOLS"), "containerd"), "--config", config)
	daemon.Stdout, daemon.Stderr = &log, &log
	if err := daemon.Start(); err != nil {
		t.Fatalf("%v: make test-package installs it", err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Signal(os.Interrupt)
		_ = daemon.Wait()
		_ = exec.Command("sh", "-c", `awk '{print $2}' /proc/mounts | grep "^$1/" | sort -r | xargs -r umount`, "sh", dir).Run()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	client := func(args ...string) ([]byte, error) {
		return exec.Command(filepath.Join(os.Getenv("VISHWA_TOOLS"), "ctr"), append([]string{"--address", socket}, args...)...).CombinedOutput()
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		out, err := client("version")
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	return func(args ...string) {
		t.Helper()
		if out, err := client(args...); err != nil {
			t.Fatalf("ctr %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
