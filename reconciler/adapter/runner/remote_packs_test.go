// An environment is installed once and unpacked ever after; what is unpacked was made by no run.

package runner_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/dispatch"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

const packImage = "registry.example.com/base@sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"

// packBench is a runner in an image, with a package index that is a folder.
type packBench struct {
	*remoteBench
	lock digest.File
}

func newPackBench(t *testing.T) *packBench {
	t.Helper()
	if exec.Command("python3", "-c", "import venv, ensurepip").Run() != nil {
		t.Fatal("python3 with venv is needed: apt-get install python3 python3-venv")
	}
	folder := t.TempDir()
	var wheel bytes.Buffer
	z := zip.NewWriter(&wheel)
	for _, f := range [][2]string{
		{"vishwa_probe.py", "answer = 42\n"},
		{"vishwa_probe-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: vishwa-probe\nVersion: 1.0\n"},
		{"vishwa_probe-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{"vishwa_probe-1.0.dist-info/RECORD", "vishwa_probe.py,,\nvishwa_probe-1.0.dist-info/METADATA,,\nvishwa_probe-1.0.dist-info/WHEEL,,\nvishwa_probe-1.0.dist-info/RECORD,,\n"},
	} {
		w, err := z.Create(f[0])
		if err == nil {
			_, err = w.Write([]byte(f[1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "vishwa_probe-1.0-py3-none-any.whl"), wheel.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]string{"PIP_FIND_LINKS": folder, "PIP_NO_INDEX": "1", "UV_FIND_LINKS": folder, "UV_NO_INDEX": "1"} {
		t.Setenv(name, v)
	}
	b := &packBench{remoteBench: newRemoteBench(t)}
	lock := fmt.Sprintf("vishwa-probe==1.0 --hash=sha256:%x\n", sha256.Sum256(wheel.Bytes()))
	d, n, err := b.Store.Put(t.Context(), strings.NewReader(lock))
	if err != nil {
		t.Fatal(err)
	}
	b.lock = digest.File{Path: "requirements.txt", Digest: d, Size: n}
	b.processes.fixed = filepath.Join(b.state, "worker")
	b.cfg.Packs = dispatch.Packs{Dir: filepath.Join(b.state, "packs"), Seal: sealed.Derive("packs"), Make: true}
	b.Runner = runner.Remote(b.cfg)
	return b
}

// asked runs a job that uses the environment, and returns its log.
func (b *packBench) asked(t *testing.T, name string) string {
	t.Helper()
	job := b.job("")
	job.Key, job.Command = digest.Of([]byte(name)), []string{"python", "-c", "import vishwa_probe as p; print(p.answer, '" + name + "')"}
	job.Code, job.Lock, job.RunsOn = digest.Manifest{b.lock}, b.lock.Path, schemas.RunsOn{Image: packImage}
	r := b.run(t, job)
	log, err := artifact.ReadAll(t.Context(), b.Store, r.Log)
	if err != nil || r.Cause != "" || !strings.Contains(string(log), "42 "+name) {
		t.Fatalf("%s: %s %v\n%s", r.Cause, r.Message, err, log)
	}
	return string(log)
}

// packing waits until the task that packs has ended.
func (b *packBench) packing(t *testing.T) {
	t.Helper()
	for _, x := range b.tasks("vishwa-environment-") {
		<-x.ended
	}
}

func (b *packBench) tasks(prefix string) (found []*process) {
	b.processes.mu.Lock()
	defer b.processes.mu.Unlock()
	for name, x := range b.processes.all {
		if strings.HasPrefix(name, prefix) {
			found = append(found, x)
		}
	}
	return found
}

func installed(log string) bool { return strings.Contains(log, "--require-hashes") }
func unpacked(log string) bool  { return strings.Contains(log, "environment was unpacked in") }

// ofAPullRequest is the runner of pull requests beside this one.
func (b *packBench) ofAPullRequest() *packBench {
	c := *b
	other := *b.remoteBench
	other.cfg.Dir, other.cfg.Pull, other.cfg.Packs.Make = filepath.Join(b.state, "pulls"), true, false
	other.cfg.Seal = sealed.Derive("pulls")
	copied := *b.bench
	copied.Runner = runner.Remote(other.cfg)
	other.bench, c.remoteBench = &copied, &other
	return &c
}

func TestAnEnvironmentIsInstalledOnceAndUnpackedAfter(t *testing.T) {
	b := newPackBench(t)
	if log := b.asked(t, "first"); !installed(log) {
		t.Errorf("the first: %s", log)
	}
	b.packing(t)
	if log := b.asked(t, "second"); installed(log) || !unpacked(log) {
		t.Errorf("the second: %s", log)
	}
	if n := b.processes.n; n != 3 {
		t.Errorf("%d tasks, want two runs and one that packs", n)
	}
	if log := b.ofAPullRequest().asked(t, "third"); installed(log) || !unpacked(log) {
		t.Errorf("of a pull request: %s", log)
	}
	// What the store has lost is packed anew.
	var art port.Artifact
	objects, _ := filepath.Glob(filepath.Join(b.state, "store", "sha256", "*", "*"))
	for _, o := range objects {
		raw, err := os.ReadFile(o)
		if err == nil && bytes.HasPrefix(raw, []byte{0x28, 0xb5, 0x2f, 0xfd}) {
			art.Size = int64(len(raw))
			if err := os.Remove(o); err != nil {
				t.Fatal(err)
			}
		}
	}
	if art.Size == 0 {
		t.Fatal("no pack is in the store")
	}
	if log := b.asked(t, "fourth"); !installed(log) {
		t.Errorf("without the pack: %s", log)
	}
	b.packing(t)
	if log := b.asked(t, "fifth"); installed(log) || !unpacked(log) {
		t.Errorf("once it was packed anew: %s", log)
	}
}

// TestNoRunOfAPullRequestMakesAPack: what it leaves is for nobody else.
func TestNoRunOfAPullRequestMakesAPack(t *testing.T) {
	b := newPackBench(t)
	if log := b.ofAPullRequest().asked(t, "first"); !installed(log) {
		t.Errorf("%s", log)
	}
	if n := b.processes.n; n != 1 {
		t.Errorf("%d tasks, want the run alone", n)
	}
}

// TestAPackIsBelievedByItsContent: other bytes are no pack, and a forged note of one is none.
func TestAPackIsBelievedByItsContent(t *testing.T) {
	for name, spoil := range map[string]func(b *packBench) error{
		"other bytes in the store": func(b *packBench) error {
			objects, _ := filepath.Glob(filepath.Join(b.state, "store", "sha256", "*", "*"))
			for _, o := range objects {
				raw, err := os.ReadFile(o)
				if err != nil || !bytes.HasPrefix(raw, []byte{0x28, 0xb5, 0x2f, 0xfd}) {
					continue
				}
				raw[len(raw)/2] ^= 1
				if err := errors.Join(os.Chmod(o, 0o600), os.WriteFile(o, raw, 0o600)); err != nil {
					return err
				}
			}
			return nil
		},
		"a note that is not ours": func(b *packBench) error {
			notes, _ := filepath.Glob(filepath.Join(b.cfg.Packs.Dir, "*.json"))
			for _, n := range notes {
				if err := os.WriteFile(n, []byte(`{"linux/amd64":{"digest":"sha256:00"}}`), 0o600); err != nil {
					return err
				}
			}
			return os.RemoveAll(filepath.Join(b.cfg.Dir))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newPackBench(t)
			b.asked(t, "first")
			b.packing(t)
			b.asked(t, "second")
			if err := spoil(b); err != nil {
				t.Fatal(err)
			}
			if log := b.asked(t, "third"); !installed(log) {
				t.Errorf("%s", log)
			}
		})
	}
}

// TestAPackOfAnotherToolIsNone: a runner that is declared anew under its name has the runs of the
// former tool in its folder, and takes no environment that was packed there.
func TestAPackOfAnotherToolIsNone(t *testing.T) {
	b := newPackBench(t)
	b.asked(t, "first")
	b.packing(t)
	b.cfg.Packs.Dir = filepath.Join(b.state, "packs-of-another")
	b.Runner = runner.Remote(b.cfg)
	if log := b.asked(t, "second"); !installed(log) || unpacked(log) {
		t.Errorf("%s", log)
	}
	b.packing(t)
	if log := b.asked(t, "third"); installed(log) || !unpacked(log) {
		t.Errorf("once it was packed there: %s", log)
	}
}

// TestWhatIsNotBegunToBePackedIsBegunLater: a tool that is away for a moment, or the end of this
// process, keeps no environment from being packed for good.
func TestWhatIsNotBegunToBePackedIsBegunLater(t *testing.T) {
	b := newPackBench(t)
	b.processes.refuse = func(task port.Task) error {
		if strings.HasPrefix(task.Name, "vishwa-environment-") {
			return fault.New(fault.Transient, "it does not answer")
		}
		return nil
	}
	b.asked(t, "first")
	if n := len(b.tasks("vishwa-environment-")); n != 0 {
		t.Fatalf("%d tasks pack", n)
	}
	b.processes.mu.Lock()
	b.processes.refuse = nil
	b.processes.mu.Unlock()
	b.asked(t, "second")
	b.packing(t)
	if log := b.asked(t, "third"); installed(log) || !unpacked(log) {
		t.Errorf("%s", log)
	}
}
