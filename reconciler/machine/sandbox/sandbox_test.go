// What a run sees, what it leaves, and how it ends.

package sandbox_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/adapter/store"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
)

// TestOnlyAllowedVariablesPass: whatever the caller has, a run has no variable that
// is neither allowed, nor declared, nor set, and none of Vishwa's own.
func TestOnlyAllowedVariablesPass(t *testing.T) {
	name := rapid.OneOf(rapid.SampledFrom([]string{"PATH", "HOME", "LANG", "VISHWA_KEY_PASSWORD", "vishwa_x", "AWS_SECRET_ACCESS_KEY"}), rapid.StringMatching(`[A-Z_]{1,8}`))
	plain := []string{"PATH", "LANG", "LC_", "TZ", "TMPDIR", "LANGUAGE"}
	rapid.Check(t, func(t *rapid.T) {
		caller := rapid.MapOf(name, rapid.StringMatching(`[a-z]{0,4}`)).Draw(t, "caller")
		pass := rapid.SliceOf(name).Draw(t, "pass")
		set := rapid.MapOf(name, rapid.StringMatching(`[A-Z]{0,4}`)).Draw(t, "set")
		got := sandbox.Environ(func(n string) (string, bool) { v, ok := caller[n]; return v, ok }, pass, set)
		if !slices.IsSorted(got) {
			t.Fatalf("%q is not sorted", got)
		}
		for _, kv := range got {
			n, v, _ := strings.Cut(kv, "=")
			if s, ok := set[n]; ok {
				if v != s {
					t.Fatalf("%s is %q, not as set", n, v)
				}
				continue
			}
			allowed := slices.ContainsFunc(plain, func(p string) bool { return strings.HasPrefix(n, p) }) || strings.HasSuffix(strings.ToUpper(n), "_PROXY")
			if sandbox.Own(n) || !allowed && !slices.Contains(pass, n) || v != caller[n] {
				t.Fatalf("%s must not pass", kv)
			}
		}
	})
}

func TestVarNamesAreVariableNames(t *testing.T) {
	for name, want := range map[string]string{"train": "TRAIN", "raw-students.csv": "RAW_STUDENTS_CSV", "é": "_", "a1": "A1"} {
		if got := sandbox.VarName(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		if got := sandbox.VarName(rapid.String().Draw(t, "name")); strings.Trim(got, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
			t.Fatal(got)
		}
	})
}

// TestProgramsAreFoundOnTheRunsPath: not on this process's, and not in a relative folder.
func TestProgramsAreFoundOnTheRunsPath(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"tool": 0o755, "text": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	tool := filepath.Join(dir, "tool")
	for _, c := range []struct{ program, path, dir, want string }{
		{"tool", "/nowhere:" + dir, "", tool},
		{"./tool", "", dir, tool},
		{tool, "", "", tool},
		{"text", dir, "", ""},
		{"sh", dir, "", ""},
		{"tool", ".", dir, ""},
		{"tool", "", dir, ""},
	} {
		if got := sandbox.LookPath(c.program, c.path, c.dir); got != c.want {
			t.Errorf("%+v: got %q", c, got)
		}
	}
}

// TestALockHasOneHolder: others wait until it is let go of, or until they give up.
func TestALockHasOneHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "lock")
	first, err := sandbox.Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := sandbox.Lock(ctx, path); fault.Of(err) != fault.Cancelled {
		t.Errorf("a second holder: %v", err)
	}
	if held, err := sandbox.Held(path); !held || err != nil {
		t.Errorf("held is %v, %v", held, err)
	}
	copied, err := unix.Dup(int(first.Fd())) // as a process has that is just beginning
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(copied)
	sandbox.Unlock(first)
	if held, err := sandbox.Held(path); held || err != nil {
		t.Errorf("held is %v, %v", held, err)
	}
	second, err := sandbox.Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	second.Close()
}

// TestAGroupEndsWithItsLeaderStopped: also when another process's name for it is all that is known.
func TestAGroupEndsWithItsLeaderStopped(t *testing.T) {
	for name, stop := range map[string]func(g *sandbox.Group, id string) error{
		"Stop":  func(g *sandbox.Group, _ string) error { return g.Stop(50 * time.Millisecond) },
		"Sweep": func(_ *sandbox.Group, id string) error { return sandbox.Sweep(id, 50*time.Millisecond) },
	} {
		t.Run(name, func(t *testing.T) {
			id := digest.Of([]byte(t.TempDir())).Hex()
			out, in, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("sh", "-c", `trap "" TERM; (trap "" TERM; while :; do sleep 1; done) & echo up; while :; do sleep 1; done`)
			cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
			cmd.Stdout = in
			g, err := sandbox.Start(cmd, id, nil)
			in.Close()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := out.Read(make([]byte, 3)); err != nil {
				t.Fatal(err)
			}
			if err := stop(g, id); err != nil {
				t.Fatal(err)
			}
			if err := g.Stop(0); err != nil { // twice is once
				t.Fatal(err)
			}
			if state, err := g.End(); err != nil || state.Success() {
				t.Errorf("ended %v, %v", state, err)
			}
			// The pipe ends when the last process that could write to it is gone.
			_ = out.SetReadDeadline(time.Now().Add(5 * time.Second))
			if n, err := out.Read(make([]byte, 1)); n != 0 || os.IsTimeout(err) {
				t.Errorf("somebody is left: %v", err)
			}
		})
	}
}

// TestALayoutIsFreshAndApart: a home of its own, no folder taken over, no two names in one variable.
func TestALayoutIsFreshAndApart(t *testing.T) {
	s, err := store.Dir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "run")
	l, err := sandbox.NewLayout(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sandbox.NewLayout(dir); fault.Of(err) != fault.Conflict {
		t.Errorf("over an old one: %v", err)
	}
	for _, err := range []error{l.Code(t.Context(), s, nil), l.InputBytes("outputs", []byte("{}")), l.Output("a-b", "x/y.csv"), l.Params(nil)} {
		if err != nil {
			t.Error(err)
		}
	}
	for name, err := range map[string]error{"twice": l.Output("a_b", "z.csv"), "out": l.Output("c", "../c"), "root": l.Output("d", "."), "absolute": l.Output("e", "/e")} {
		if fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	lookup := func(n string) (string, bool) { return "caller's", n == "HOME" || n == "PATH" || n == "SECRET" }
	env := strings.Join(l.Environ(lookup, nil, sandbox.Environment{Bin: "/e/bin"}), "\n")
	for _, want := range []string{"HOME=" + dir + "/home\n", "PATH=/e/bin:caller's\n", "VIRTUAL_ENV=/e\n", "VISHWA_INPUT_OUTPUTS=" + dir + "/inputs/OUTPUTS/data\n", "VISHWA_OUTPUT_A_B=" + dir + "/outputs/x/y.csv\n", "VISHWA_PARAMS=" + dir} {
		if !strings.Contains(env, want) {
			t.Errorf("no %q in\n%s", want, env)
		}
	}
	if strings.Contains(env, "SECRET") {
		t.Error("an undeclared variable passes")
	}
	if env := l.Environ(lookup, []string{"HOME"}, sandbox.Environment{}); !slices.Contains(env, "HOME=caller's") {
		t.Errorf("a declared HOME is not the caller's: %q", env)
	}
}
