// A released model is what was signed, by Vishwa's word and by others' programs.

package signer

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/store"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/attest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/port"
)

var born = attest.Provenance{
	Controller: "main", Version: "v0.1.0", Key: digest.Of([]byte("key")),
	Repository: "https://example.com/team/models.git", Revision: strings.Repeat("ab", 20),
	Ref: "training/enrollment", Candidate: "xgboost", Params: map[string]any{"max_depth": 4, "eta": 0.1},
	Code:   map[string]digest.Digest{"src/train.py": digest.Of([]byte("code"))},
	Inputs: map[string]digest.Digest{"train": digest.Of([]byte("train")), "test": digest.Of([]byte("test"))},
	Lock:   digest.Of([]byte("lock")), Host: "linux/amd64", Python: "3.11.7",
	Started: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC), Finished: time.Date(2026, 11, 22, 9, 1, 0, 5, time.UTC),
	Metrics: map[string]float64{"test.roc_auc": 0.87}, Log: digest.Of([]byte("log")),
}

// release writes a signed model, and gives its folder.
func release(t testing.TB, files map[string]string) (dir string, model port.Artifact) {
	t.Helper()
	src := filepath.Join(t.TempDir(), "enrollment")
	for p, text := range files {
		p = filepath.Join(src, p)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := store.Dir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if model, err = artifact.PutTree(t.Context(), kept, src); err != nil {
		t.Fatal(err)
	}
	k, _ := open(t)
	signature, provenance, err := SignModel(t.Context(), k, model, born)
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(t.TempDir(), "the model's folder")
	if err := WriteModel(t.Context(), kept, Released{model, signature, provenance}, dir); err != nil {
		t.Fatal(err)
	}
	return dir, model
}

// Names whose order differs by component and by code point, and a few odd ones.
var files = map[string]string{
	"model.json": `{"learner":{}}`, "sub/t.txt": "t", "sub.txt": "s", "empty": "", "naïve 日本.bin": "\x00\xff", "a:1:2": "colons",
}

func verifyDir(t testing.TB, dir string) (Report, error) {
	t.Helper()
	signature, provenance, err := ReadModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, v := open(t)
	return VerifyModel(t.Context(), v, dir, signature, provenance)
}

func TestAReleasedModelIsVerified(t *testing.T) {
	dir, model := release(t, files)
	r, err := verifyDir(t, dir)
	if err != nil || !r.OK() || len(r.Checks) != 5 {
		t.Fatalf("%+v, %v", r, err)
	}
	if r.Digest != model.Digest || r.Files != len(files) || r.Name != "enrollment" || r.Provenance.Candidate != "xgboost" {
		t.Errorf("%+v", r)
	}
}

// damage is each way in which a model stops being the one that was signed.
var damage = map[string]struct {
	do   func(dir string) error
	says string
}{
	"one flipped byte": {func(dir string) error { return rewrite(filepath.Join(dir, "model.json")) }, "model.json: was changed"},
	"an extra file": {func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "extra.py"), []byte("x"), 0o644)
	}, "extra.py: is not part of the signed model"},
	"an extra file where git keeps its own": {func(dir string) error {
		return errors.Join(os.Mkdir(filepath.Join(dir, ".github"), 0o755), os.WriteFile(filepath.Join(dir, ".github/x"), nil, 0o644))
	}, ".github/x: is not part of the signed model"},
	"a missing file": {func(dir string) error { return os.Remove(filepath.Join(dir, "sub.txt")) }, "sub.txt: is missing"},
	"a renamed file": {func(dir string) error {
		return os.Rename(filepath.Join(dir, "sub.txt"), filepath.Join(dir, "sub2.txt"))
	}, "sub.txt: is missing; sub2.txt: is not part of the signed model"},
}

func rewrite(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 1
	return errors.Join(os.Chmod(path, 0o644), os.WriteFile(path, b, 0o644))
}

func TestADamagedModelIsDenied(t *testing.T) {
	for name, d := range damage {
		t.Run(name, func(t *testing.T) {
			dir, _ := release(t, files)
			if err := d.do(dir); err != nil {
				t.Fatal(err)
			}
			r, err := verifyDir(t, dir)
			if fault.Of(err) != fault.Denied || !strings.Contains(err.Error(), d.says) || r.OK() || fault.HintOf(err) == "" {
				t.Errorf("got %v of kind %v, want Denied that says %q; %+v", err, fault.Of(err), d.says, r)
			}
		})
	}
	dir, _ := release(t, files)
	if err := os.Symlink("model.json", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := verifyDir(t, dir); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "link is a symbolic link") {
		t.Errorf("symbolic link: %v", err)
	}
}

// TestABundleIsForItsModelAndItsRole: what is validly signed, but for another
// model, by another role or in another's name, does not pass.
func TestABundleIsForItsModelAndItsRole(t *testing.T) {
	dir, _ := release(t, files)
	other, _ := release(t, map[string]string{"model.json": "another"})
	signature, provenance, _ := ReadModel(dir)
	signature2, provenance2, _ := ReadModel(other)
	k, v := open(t)
	resign := func(bundle []byte, role port.Role) []byte {
		statement, _, err := v.Verify(t.Context(), bundle)
		if err != nil {
			t.Fatal(err)
		}
		out, err := k.Sign(t.Context(), role, statement)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	ours, _ := keys(t)
	list := trusted(t, ours)
	for i := range list {
		list[i].Name = "renamed"
	}
	renamed, err := NewVerifier(list)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		v                     port.Verifier
		signature, provenance []byte
		fails                 string
	}{
		"another model's signature":   {v, signature2, provenance, "files"},
		"another model's provenance":  {v, signature, provenance2, "provenance"},
		"exchanged":                   {v, provenance, signature, "files"},
		"signed to deploy":            {v, resign(signature, port.Deploy), provenance, "model signature"},
		"provenance signed to refuse": {v, signature, resign(provenance, port.Refuse), "provenance signature"},
		"no signature":                {v, nil, provenance, "model signature"},
		"no provenance":               {v, signature, []byte("{}"), "provenance signature"},
		"built in another's name":     {renamed, signature, provenance, "builder"},
	} {
		r, err := VerifyModel(t.Context(), c.v, dir, c.signature, c.provenance)
		var failed []string
		for _, check := range r.Checks {
			if !check.OK {
				failed = append(failed, check.Name)
			}
		}
		if fault.Of(err) != fault.Denied || len(failed) == 0 || failed[0] != c.fails {
			t.Errorf("%s: failed checks %q, %v; want %q", name, failed, err, c.fails)
		}
	}
}

// TestAModelThatOthersWouldNotCoverIsNotSigned: names that verifiers leave out.
func TestAModelThatOthersWouldNotCoverIsNotSigned(t *testing.T) {
	k, _ := open(t)
	for _, p := range []string{".github/workflow.yaml", ".gitignore", attest.SignatureFile} {
		m := digest.Manifest{{Path: p, Digest: digest.Of(nil)}}
		_, _, err := SignModel(t.Context(), k, port.Artifact{Name: "m", Digest: m.Digest(), Files: m}, born)
		if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), p) || fault.HintOf(err) == "" {
			t.Errorf("%s: %v", p, err)
		}
	}
	if _, _, err := SignModel(t.Context(), k, port.Artifact{Name: "m", Digest: digest.Of(nil)}, born); fault.Of(err) != fault.Invalid {
		t.Errorf("a file: %v", err)
	}
}

// tool finds a real program in VISHWA_TOOLS, or where make tools puts it.
func tool(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("VISHWA_TOOLS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", ".tools", "bin")
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		const way = "%s is not installed: run make tools, or name the folder that has it in VISHWA_TOOLS"
		if os.Getenv("CI") != "" {
			t.Fatalf(way, name)
		}
		t.Skipf(way, name)
	}
	return path
}

// TestOthersProgramsAgree: exactly the printed commands, run by the real cosign and
// the real model_signing, pass for a good model; for a damaged one some fail.
func TestOthersProgramsAgree(t *testing.T) {
	for _, program := range []string{"cosign", "model_signing"} {
		t.Run(program, func(t *testing.T) {
			path := tool(t, program)
			ours, theirs := keys(t)
			run := func(t *testing.T, keys, dir string, r Report) (fine, failed []string) {
				o := Offered{dir, filepath.Join(keys, "build.pub"), filepath.Join(keys, TrustedRootFile)}
				for _, c := range Commands(o, r) {
					if !strings.HasPrefix(c, program+" ") {
						continue
					}
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					sh := exec.CommandContext(ctx, "sh", "-c", c)
					sh.Env = []string{"PATH=" + filepath.Dir(path) + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
					out, err := sh.CombinedOutput()
					cancel()
					if err != nil {
						failed = append(failed, c+"\n"+string(out))
					} else {
						fine = append(fine, c)
					}
				}
				return fine, failed
			}
			dir, _ := release(t, files)
			good, err := verifyDir(t, dir)
			if err != nil {
				t.Fatal(err)
			}
			if fine, failed := run(t, ours, dir, good); len(fine) == 0 || len(failed) > 0 {
				t.Fatalf("a good model: fine %q, failed %q", fine, failed)
			}
			if fine, _ := run(t, theirs, dir, good); len(fine) > 0 {
				t.Errorf("another's key passes: %q", fine)
			}
			for name, d := range damage {
				if program == "cosign" && name != "one flipped byte" {
					continue // cosign looks at files that it is given, model_signing at the folder
				}
				dir, _ := release(t, files)
				if err := d.do(dir); err != nil {
					t.Fatal(err)
				}
				if _, failed := run(t, ours, dir, good); len(failed) == 0 {
					t.Errorf("%s: passes", name)
				}
			}
		})
	}
}

func TestAReportIsReadable(t *testing.T) {
	dir, _ := release(t, map[string]string{"model.json": "{}"})
	r, _ := verifyDir(t, dir)
	b, err := json.Marshal(r)
	if err != nil || !strings.Contains(string(b), `"checks":[{"name":"model signature","ok":true,"detail":"signed by main, key build`) {
		t.Errorf("%s, %v", b, err)
	}
}
