// A release is the same wherever it is built, and its signature covers all of it.

package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
	"github.com/vishwaops/vishwa/reconciler/engine/attest"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// TestABuildIsTheSameInAnotherFolder: two copies of the sources, in folders of different
// names, give the same bytes, and the program says the version that it was given.
func TestABuildIsTheSameInAnotherFolder(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the whole program twice")
	}
	here := platform{"vishwa", "linux", "amd64"}
	var sums [2][sha256.Size]byte
	var paths [2]string
	for i, name := range []string{"one", "quite-another"} {
		dir := filepath.Join(t.TempDir(), name)
		copySources(t, dir)
		paths[i] = filepath.Join(t.TempDir(), here.file())
		if err := (build{dir, "v9.8.7", strings.Repeat("c", 40)}).program(t.Context(), here, paths[i]); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(paths[i])
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		if _, err := io.Copy(sum, f); err != nil {
			t.Fatal(err)
		}
		f.Close()
		sums[i] = [sha256.Size]byte(sum.Sum(nil))
	}
	if sums[0] != sums[1] {
		t.Errorf("two builds of the same sources differ: %x and %x", sums[0], sums[1])
	}
	info, err := buildinfo.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range info.Settings {
		if strings.HasPrefix(s.Key, "vcs") {
			t.Errorf("the program holds %s=%s", s.Key, s.Value)
		}
	}
	said, err := exec.Command(paths[0], "--version").Output()
	if err != nil || !strings.HasPrefix(string(said), "vishwa v9.8.7 go") {
		t.Errorf("--version says %q (%v)", said, err)
	}
}

// copySources copies the files that Git tracks or would track to dir.
func copySources(t *testing.T, dir string) {
	t.Helper()
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = "../.."
	names, err := list.Output()
	if err != nil {
		t.Fatalf("list the sources: %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(names), "\x00"), "\x00") {
		raw, err := os.ReadFile(filepath.Join("../..", name))
		if os.IsNotExist(err) { // removed, and not yet committed so
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// sealedRelease is a release of two small files, and the folder of the keys that signed it.
func sealedRelease(t *testing.T) (dir, keyDir string) {
	t.Helper()
	keyDir, dir = filepath.Join(t.TempDir(), "keys"), t.TempDir()
	if err := signer.Generate(keyDir, []byte("secret")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "vishwa-linux-amd64"), "a program")
	write(t, filepath.Join(dir, "vishwa-linux-amd64.cdx.json"), "{}")
	env := map[string]string{"VISHWA_KEYS": keyDir, "VISHWA_KEY_PASSWORD": "secret"}
	k, err := openKeys(func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	if err := k.seal(t.Context(), dir, "v1.2.3"); err != nil {
		t.Fatal(err)
	}
	return dir, keyDir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestASignedReleaseHoldsNoOtherFile: what is changed, added, removed, renamed or of
// another version or key is refused.
func TestASignedReleaseHoldsNoOtherFile(t *testing.T) {
	dir, keyDir := sealedRelease(t)
	key := filepath.Join(keyDir, "build.pub")
	if err := verify(t.Context(), dir, key, "v1.2.3"); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "vishwa-linux-amd64")
	for name, hurt := range map[string]func(dir string){
		"a changed byte":  func(dir string) { write(t, filepath.Join(dir, "vishwa-linux-amd64"), "b program") },
		"a file too many": func(dir string) { write(t, filepath.Join(dir, "install.sh"), "curl") },
		"a file too few":  func(dir string) { os.Remove(filepath.Join(dir, "vishwa-linux-amd64.cdx.json")) },
		"a link": func(dir string) {
			os.Remove(filepath.Join(dir, "vishwa-linux-amd64"))
			if err := os.Symlink(program, filepath.Join(dir, "vishwa-linux-amd64")); err != nil {
				t.Fatal(err)
			}
		},
		"sums written anew": func(dir string) {
			write(t, filepath.Join(dir, "vishwa-linux-amd64"), "b program")
			files, err := digests(dir)
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, sumsFile), string(sumsOf(files)))
		},
		"another key beside it": func(dir string) {
			raw, err := os.ReadFile(filepath.Join(keyDir, "deploy.pub"))
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, keyFile), string(raw))
			os.Remove(filepath.Join(dir, bundleFile))
		},
	} {
		copied := filepath.Join(t.TempDir(), "release")
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		hurt(copied)
		if err := verify(t.Context(), copied, key, "v1.2.3"); err == nil || fault.HintOf(err) == "" {
			t.Errorf("%s: verified, or no way out is given: %v", name, err)
		}
	}
	if err := verify(t.Context(), dir, key, "v1.2.4"); err == nil {
		t.Error("it verifies as another version")
	}
	if err := verify(t.Context(), dir, filepath.Join(keyDir, "deploy.pub"), "v1.2.3"); err == nil {
		t.Error("it verifies by another key")
	}
}

// TestOthersVerifyARelease: sha256sum and cosign take the same files.
func TestOthersVerifyARelease(t *testing.T) {
	dir, keyDir := sealedRelease(t)
	said, err := (&exec.Cmd{Path: must(t, "sha256sum"), Args: []string{"sha256sum", "-c", sumsFile}, Dir: dir}).CombinedOutput()
	if err != nil {
		t.Errorf("sha256sum: %v\n%s", err, said)
	}
	cosign := must(t, "cosign")
	for _, file := range []string{sumsFile, "vishwa-linux-amd64"} {
		args := []string{"verify-blob-attestation", "--key", filepath.Join(keyDir, "build.pub"), "--bundle", filepath.Join(dir, bundleFile), "--type", attest.ReleaseType,
			"--trusted-root", filepath.Join(keyDir, signer.TrustedRootFile), "--private-infrastructure", "--insecure-ignore-tlog", filepath.Join(dir, file)}
		if said, err := exec.Command(cosign, args...).CombinedOutput(); err != nil {
			t.Errorf("cosign of %s: %v\n%s", file, err, said)
		}
	}
}

// must finds a program among the tools of make tools, or on PATH.
func must(t *testing.T, name string) string {
	t.Helper()
	if at := filepath.Join(os.Getenv("VISHWA_TOOLS"), name); os.Getenv("VISHWA_TOOLS") != "" {
		if _, err := os.Stat(at); err == nil {
			return at
		}
	}
	at, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is needed: make tools installs it", name)
	}
	return at
}

func TestABillOfMaterialsHasNoTime(t *testing.T) {
	raw := []byte(`{"bomFormat":"CycloneDX","metadata":{"timestamp":"2026-01-01T00:00:00Z","tools":[{"name":"x","hashes":[{"alg":"MD5"}]}]},"components":[{"name":"a&b"}]}`)
	got, err := timeless(raw)
	if err != nil || bytes.Contains(got, []byte("timestamp")) || bytes.Contains(got, []byte("hashes")) || !bytes.Contains(got, []byte("a&b")) {
		t.Errorf("%s %v", got, err)
	}
	if _, err := timeless([]byte(`{"metadata":{},"components":[]}`)); err == nil {
		t.Error("an empty list is taken")
	}
}

func TestAReleaseIsSignedOrNotMade(t *testing.T) {
	t.Setenv("VISHWA_KEYS", "")
	os.Unsetenv("VISHWA_KEYS")
	out := filepath.Join(t.TempDir(), "dist")
	if err := release(t.Context(), out, "none", build{version: "v1"}); fault.Of(err) != fault.Denied {
		t.Errorf("without keys: %v", err)
	}
	if err := release(t.Context(), out, "none", build{version: "v1-dirty"}); fault.Of(err) != fault.Invalid {
		t.Errorf("of a changed work tree: %v", err)
	}
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Error("something was written")
	}
}
