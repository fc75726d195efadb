// Environments on a real Python, from a wheel that the test itself packs, so that
// no package index is asked.

package sandbox_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/port"
)

var sealed, _ = seal.KeyOf([]byte(strings.Repeat("k", 32)))

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "prepare" { // DIR LOCK
		lock, err := os.ReadFile(os.Args[3])
		if err == nil {
			_, err = sandbox.Environments{Dir: os.Args[2], Env: port.Env{Lookup: os.LookupEnv}, Seal: sealed}.Prepare(context.Background(), lock, os.Stdout)
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// needPython skips where the real program is not there, but not in CI.
func needPython(t *testing.T) {
	t.Helper()
	if exec.Command("python3", "-c", "import venv, ensurepip").Run() == nil {
		return
	}
	const how = "python3 with venv is needed: apt-get install python3 python3-venv"
	if os.Getenv("CI") != "" {
		t.Fatal(how)
	}
	t.Skip(how)
}

// wheel packs a distribution of one module and returns its requirement with hash.
func wheel(t *testing.T, folder string) string {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	record := ""
	for name, text := range map[string]string{
		"vishwa_probe.py":                     "answer = 42\n",
		"vishwa_probe-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: vishwa-probe\nVersion: 1.0\n",
		"vishwa_probe-1.0.dist-info/WHEEL":    "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		"vishwa_probe-1.0.dist-info/RECORD":   "",
	} {
		if strings.HasSuffix(name, "RECORD") {
			continue
		}
		w, err := z.Create(name)
		if err == nil {
			_, err = io.WriteString(w, text)
		}
		if err != nil {
			t.Fatal(err)
		}
		record += name + ",,\n"
	}
	w, err := z.Create("vishwa_probe-1.0.dist-info/RECORD")
	if err == nil {
		_, err = io.WriteString(w, record+"vishwa_probe-1.0.dist-info/RECORD,,\n")
	}
	if err == nil {
		err = z.Close()
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "vishwa_probe-1.0-py3-none-any.whl"), buf.Bytes(), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("# made for the test\nvishwa-probe==1.0 \\\n    --hash=sha256:%x\n", sha256.Sum256(buf.Bytes()))
}

// offline is a caller whose registry settings name a folder of wheels.
func offline(t *testing.T) (e sandbox.Environments, lock string) {
	t.Helper()
	needPython(t)
	folder := t.TempDir()
	lock = wheel(t, folder)
	for name, v := range map[string]string{"PIP_FIND_LINKS": folder, "PIP_NO_INDEX": "1", "UV_FIND_LINKS": folder, "UV_NO_INDEX": "1"} {
		t.Setenv(name, v)
	}
	return sandbox.Environments{Dir: t.TempDir(), Env: port.Env{Lookup: os.LookupEnv}, Seal: sealed}, lock
}

// works asks the environment's interpreter for what was installed.
func works(t *testing.T, env sandbox.Environment) {
	t.Helper()
	out, err := exec.Command(filepath.Join(env.Bin, "python"), "-c", "import vishwa_probe, platform; print(vishwa_probe.answer, platform.python_version())").CombinedOutput()
	if want := "42 " + env.Python + "\n"; err != nil || string(out) != want {
		t.Errorf("got %q, %v; want %q", out, err, want)
	}
}

// TestAnEnvironmentIsMadeOnce: whoever asks at the same time, and ever after.
func TestAnEnvironmentIsMadeOnce(t *testing.T) {
	e, lock := offline(t)
	var mu sync.Mutex
	var said bytes.Buffer
	progress := writerFunc(func(b []byte) (int, error) { mu.Lock(); defer mu.Unlock(); return said.Write(b) })
	var wg sync.WaitGroup
	envs := make([]sandbox.Environment, 3)
	for i := range envs {
		wg.Go(func() {
			env, err := e.Prepare(t.Context(), []byte(lock), progress)
			if err != nil {
				t.Error(err)
			}
			envs[i] = env
		})
	}
	wg.Wait()
	if n := strings.Count(said.String(), "--require-hashes"); n != 1 {
		t.Errorf("installed %d times:\n%s", n, said.String())
	}
	works(t, envs[0])
	began := time.Now()
	again, err := e.Prepare(t.Context(), []byte(lock), nil)
	if err != nil || again != envs[0] || again != envs[2] {
		t.Errorf("got %+v, %v; want %+v", again, err, envs[0])
	}
	t.Logf("from the cache in %s", time.Since(began))
	if err := os.Remove(filepath.Join(again.Bin, "python")); err != nil { // as when the interpreter is uninstalled
		t.Fatal(err)
	}
	if again, err = e.Prepare(t.Context(), []byte(lock), nil); err != nil {
		t.Fatal(err)
	}
	works(t, again)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// TestAKilledInstallationLeavesNothingThatLooksDone: kill -9 of the process that
// prepares, at several moments, and prepare again.
func TestAKilledInstallationLeavesNothingThatLooksDone(t *testing.T) {
	e, lock := offline(t)
	file := filepath.Join(t.TempDir(), "requirements.lock")
	if err := os.WriteFile(file, []byte(lock), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, until := range []string{"-m venv", "--require-hashes"} {
		cmd := exec.Command(self, "prepare", e.Dir, file)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 4096)
		for seen := ""; !strings.Contains(seen, until) && !strings.Contains(seen, "uv"); {
			n, err := out.Read(buf)
			if err != nil {
				t.Fatalf("it ended too early: %q, %v", seen, err)
			}
			seen += string(buf[:n])
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	if done, _ := filepath.Glob(filepath.Join(e.Dir, "*", "vishwa-environment.json")); len(done) > 0 {
		t.Fatalf("it looks done: %v", done)
	}
	env, err := e.Prepare(t.Context(), []byte(lock), nil)
	if err != nil {
		t.Fatal(err)
	}
	works(t, env)
}

// TestAWrongHashIsRefused: with what the installer said, and nothing kept.
func TestAWrongHashIsRefused(t *testing.T) {
	e, lock := offline(t)
	at := strings.Index(lock, "sha256:") + len("sha256:")
	wrong := lock[:at] + strings.Repeat("0", 64) + "\n"
	_, err := e.Prepare(t.Context(), []byte(wrong), nil)
	if fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" || !strings.Contains(strings.ToLower(err.Error()), "hash") {
		t.Errorf("got %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(e.Dir, "*", "bin")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// TestPreparingCanBeCancelled: at once, and nothing is left running or lying.
func TestPreparingCanBeCancelled(t *testing.T) {
	e, lock := offline(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := e.Prepare(ctx, []byte(lock), writerFunc(func(b []byte) (int, error) { cancel(); return len(b), nil }))
	if fault.Of(err) != fault.Cancelled {
		t.Errorf("got %v", err)
	}
	if env, err := e.Prepare(t.Context(), []byte(lock), nil); err != nil {
		t.Error(err)
	} else {
		works(t, env)
	}
}

// TestALockFileNamesAllThatItInstalls: what its digest would not cover is refused before anything runs.
func TestALockFileNamesAllThatItInstalls(t *testing.T) {
	hash := " --hash=sha256:" + strings.Repeat("a", 64)
	e := sandbox.Environments{Dir: t.TempDir(), Seal: sealed, Env: port.Env{Lookup: func(string) (string, bool) { return "", false }}}
	for lock, want := range map[string]string{
		"six==1.16.0":                          "line 1: six==1.16.0 has no hash",
		"a==1" + hash + "\n# c\nsix==1.16.0\n": "line 3: six==1.16.0 has no hash",
		"a==1 # " + hash:                       "has no hash",
		"-r other.txt":                         "outside the file",
		"--requirement=other.txt":              "outside the file",
		"-e .":                                 "outside the file",
		"a==1" + hash + "\x00":                 "no requirements file",
		"--index-url http://127.0.0.1:1/\na==1 \\\n" + hash: "python3",
		"a==1 \\\r\n  " + hash + "\r\n":                     "python3",
	} {
		if _, err := e.Prepare(t.Context(), []byte(lock), nil); err == nil || !strings.Contains(err.Error(), want) || fault.HintOf(err) == "" {
			t.Errorf("%q: got %v, want %q", lock, err, want)
		}
	}
	for _, lock := range []string{"", " \n"} {
		if env, err := e.Prepare(t.Context(), []byte(lock), nil); err != nil || env != (sandbox.Environment{}) {
			t.Errorf("%q: got %+v, %v", lock, env, err)
		}
	}
}
