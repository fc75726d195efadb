// The real programs on the other side: what dvc pushed is read, and MinIO is a place
// like any other.

package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/freeport"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

// program finds a real program in VISHWA_TOOLS, in a folder beside it, or in PATH. Where it
// is absent, the variable must says that this is a failure.
func program(t *testing.T, name, must string) string {
	t.Helper()
	tools := os.Getenv("VISHWA_TOOLS")
	for _, at := range []string{filepath.Join(tools, name), filepath.Join(filepath.Dir(tools), name, "bin", name), name} {
		if tools == "" && at != name {
			continue
		}
		if found, err := exec.LookPath(at); err == nil {
			return found
		}
	}
	const way = "%s is not installed: run make tools test-real, or name the folder that has it in VISHWA_TOOLS"
	if os.Getenv(must) != "" {
		t.Fatalf(way, name)
	}
	t.Skipf(way, name)
	return ""
}

func TestWhatDVCPushedIsRead(t *testing.T) {
	tool, repo, remote := program(t, "dvc", "CI"), t.TempDir(), t.TempDir()
	files := map[string]string{"a.csv": "x,y\r\n1,2\r\n", "naïve/日本 😀.txt": "odd", "empty": "", "deep/er/b.bin": "\x00\x01", "q'\"\x7f": "quoted"}
	for name, data := range files {
		p := filepath.Join(repo, "data", "raw", filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(data), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(repo, "one.csv"), []byte("1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"init", "--no-scm", "-q"}, {"remote", "add", "-d", "there", remote}, {"add", "-q", "data/raw", "one.csv"}, {"push", "-q"}} {
		cmd := exec.CommandContext(t.Context(), tool, args...)
		cmd.Dir, cmd.Env = repo, append(os.Environ(), "DVC_NO_ANALYTICS=1", "HOME="+t.TempDir(), "DVC_SITE_CACHE_DIR="+t.TempDir())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("dvc %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	open := func(_ context.Context, c *dvc.Config, name string) (port.Objects, error) {
		r, err := c.Remote(name)
		if err != nil {
			return nil, err
		}
		return bucket.Dir(r.URL)
	}
	for path, want := range map[string]map[string]string{"data/raw": files, "one.csv": {"one.csv": "1\n"}, "data/raw/deep": {"er/b.bin": "\x00\x01"}} {
		s, err := Open(schemas.DataSource{DVC: &schemas.DVC{Path: path}}, Options{Tree: os.DirFS(repo), Remote: open})
		if err != nil {
			t.Fatal(err)
		}
		have, _ := got(t, s)
		same(t, have, want)
	}
}

func TestMinIOKeepsTheLawsOfSources(t *testing.T) {
	endpoint := minIO(t)
	for i, url := range []string{"s3://laws/%s/data.csv", "s3://laws/%s/"} {
		var n atomic.Int64
		porttest.Source(t, func(t *testing.T) porttest.Sourced {
			prefix := fmt.Sprintf("%d-%d", i, n.Add(1))
			b, err := bucket.S3(bucket.S3Options{Bucket: "laws", Endpoint: endpoint, AccessKey: "minioadmin", SecretKey: "minioadmin"})
			if err != nil {
				t.Fatal(err)
			}
			w := &trouble{}
			return w.into(porttest.Sourced{Source: s3Source(t, fmt.Sprintf(url, prefix), &troubled{b, w}), Name: "data.csv",
				Write: func(t *testing.T, data []byte) { put(t, b, "", prefix+"/data.csv", data) }})
		})
	}
}

// minIO starts a server with the bucket laws, and tells where it is.
func minIO(t *testing.T) (endpoint string) {
	t.Helper()
	tool, data := program(t, "minio", "VISHWA_REAL"), t.TempDir()
	address, err := freeport.Address("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), tool, "server", "--quiet", "--address", address, "--console-address", "127.0.0.1:0", data)
	cmd.Env = append(os.Environ(), "MINIO_ROOT_USER=minioadmin", "MINIO_ROOT_PASSWORD=minioadmin", "MINIO_BROWSER=off", "HOME="+t.TempDir())
	if err := errors.Join(os.Mkdir(filepath.Join(data, "laws"), 0o755), cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
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
