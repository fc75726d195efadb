// The command line, driven by scripts: each file of testdata/script is a story of
// one law, told with the real program, real Git, real processes and real keys.

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vishwaops/vishwa/reconciler/adapter/server"
	"github.com/vishwaops/vishwa/reconciler/freeport"
)

func TestMain(m *testing.M) {
	if _, set := os.LookupEnv("GORACE"); !set { // as make sets it: else each of thousands of programs waits a second before it ends
		_ = os.Setenv("GORACE", "atexit_sleep_ms=0 no_huge_pages_for_shadow=0")
	}
	// A story waits for programs a fifth of its time: what a processor could do meanwhile, another one does.
	if err := flag.Set("test.parallel", strconv.Itoa(runtime.GOMAXPROCS(0)*3/2)); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"vishwa": func() {
		dieAtPoint()
		code := run(unlockQuick)
		tellCosts()
		os.Exit(code)
	}})
}

const password = "correct horse"

func TestScripts(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"git", "python3", "ssh-keygen"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("the scripts need %s on PATH: make tools says how to install it", program)
		}
	}
	_, terraform := exec.LookPath("terraform")
	if _, tofu := exec.LookPath("tofu"); terraform != nil && tofu != nil {
		t.Fatal("the scripts need terraform or tofu on PATH: make test builds tofu")
	}
	keys := quickKeys(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			golden, err := filepath.Abs("testdata/golden")
			env.Setenv("GOLDEN", golden)
			return errors.Join(err, settle(t, env, keys))
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("no condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"mounted": func(ts *testscript.TestScript, _ bool, args []string) { mounted(t, ts, args) },
			"exits":   exits, "json": isJSON, "project": project, "edit": edit, "commit": commit, "lines": lineCount, "until": until, "freeport": freePort,
		},
	})
}

// freePort sets variables to ports that nobody listens at, each another: freeport NAME...
func freePort(ts *testscript.TestScript, neg bool, names []string) {
	if neg || len(names) == 0 {
		ts.Fatalf("usage: freeport NAME...")
	}
	for _, name := range names {
		port, err := freeport.Find("127.0.0.1")
		ts.Check(err)
		ts.Setenv(name, strconv.Itoa(port))
	}
}

// settle gives a script its folders, its keys and its people.
func settle(t *testing.T, env *testscript.Env, keys string) error {
	if err := os.CopyFS(filepath.Join(env.WorkDir, "keys"), os.DirFS(keys)); err != nil {
		return err
	}
	set := map[string]string{
		"HOME": "home", "XDG_STATE_HOME": "state", "XDG_CACHE_HOME": "cache", "XDG_CONFIG_HOME": "config", "VISHWA_KEYS": "keys",
	}
	for name, below := range set {
		env.Setenv(name, filepath.Join(env.WorkDir, below))
	}
	for name, value := range map[string]string{
		"VISHWA_KEY_PASSWORD": password, "GIT_CONFIG_GLOBAL": os.DevNull, "GIT_CONFIG_NOSYSTEM": "1",
		"GIT_AUTHOR_NAME": "Alice", "GIT_AUTHOR_EMAIL": "alice@example.com",
		"GIT_COMMITTER_NAME": "Alice", "GIT_COMMITTER_EMAIL": "alice@example.com",
		"PYTHONDONTWRITEBYTECODE": "1", "GORACE": os.Getenv("GORACE"),
		"GOGC": "400", // most of a short program's garbage is that of its beginning; the test of memory has its own
	} {
		env.Setenv(name, value)
	}
	env.Defer(func() {
		stopServing(t, env.WorkDir)
		checkQuiet(t, env.WorkDir)
	})
	return errors.Join(os.Mkdir(filepath.Join(env.WorkDir, "home"), 0o755), choose(t, env))
}

// stopServing ends every serving host with a state folder in or below dir.
func stopServing(t *testing.T, dir string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, state := range []string{"vishwa", filepath.Join("*", "vishwa")} {
		found, err := filepath.Glob(filepath.Join(dir, state, "*", "serving"))
		if err != nil {
			t.Error(err)
		}
		for _, f := range found {
			if _, err := server.Down(ctx, f, filepath.Join(filepath.Dir(f), "seal", "key")); err != nil {
				t.Errorf("stop serving: %v", err)
			}
		}
	}
}

// checkQuiet insists that no process of a script is left. Only Linux tells.
func checkQuiet(t *testing.T, dir string) {
	var left []string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if left = running(dir); len(left) == 0 {
			return
		}
	}
	t.Errorf("processes are left:\n%s", strings.Join(left, "\n"))
}

// running are the processes that are at work in dir or were told of something
// below it. Another script's folder may begin with the same letters.
func running(dir string) (found []string) {
	below := dir + "/"
	all, _ := filepath.Glob("/proc/[0-9]*") // none elsewhere
	for _, p := range all {
		said, _ := os.ReadFile(filepath.Join(p, "cmdline"))
		at, _ := os.Readlink(filepath.Join(p, "cwd"))
		if bytes.Contains(said, []byte(below)) || strings.HasPrefix(at+"/", below) {
			found = append(found, filepath.Base(p)+" "+string(bytes.ReplaceAll(said, []byte{0}, []byte{' '})))
		}
	}
	return found
}

// exits runs a program and insists on its exit code: exits 3 vishwa apply --yes.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	got := 0
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
	if want != 0 && args[1] == "vishwa" {
		checkWayOut(ts)
	}
}

// checkWayOut insists that an error ends with what to do, and shows no secret.
func checkWayOut(ts *testscript.TestScript) {
	said := strings.TrimRight(ts.ReadFile("stderr"), "\n")
	if strings.Contains(said, password) {
		ts.Fatalf("the password is shown")
	}
	at := strings.LastIndex(said, "vishwa: ")
	if at < 0 {
		ts.Fatalf("the error does not say who speaks:\n%s", said)
	}
	last := said[strings.LastIndex(said, "\n")+1:]
	if !strings.HasPrefix(last, "  ") || len(strings.TrimSpace(last)) < 10 {
		ts.Fatalf("the error does not end with what to do:\n%s", said)
	}
}

// isJSON insists that standard output is JSON: one value, or with -lines one a line.
func isJSON(ts *testscript.TestScript, neg bool, args []string) {
	in := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	count := 0
	for {
		var v any
		err := in.Decode(&v)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			ts.Fatalf("no JSON: %v", err)
		}
		count++
	}
	if count == 0 || count > 1 && len(args) == 0 {
		ts.Fatalf("%d JSON values", count)
	}
}

// project makes a committed scaffold in DIR that trusts the script's keys, and
// goes there.
func project(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: project DIR")
	}
	vishwa := settingUp(ts)
	ts.Check(ts.Exec(vishwa, "init", args[0]))
	ts.Check(ts.Chdir(args[0]))
	ts.Check(ts.Exec(vishwa, "keys", "trust"))
	commit(ts, false, []string{"Begin"})
}

// edit replaces text in a file: edit FILE OLD NEW. Old must be there.
func edit(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: edit FILE OLD NEW")
	}
	path := ts.MkAbs(args[0])
	raw, err := os.ReadFile(path)
	ts.Check(err)
	old, now := []byte(strings.ReplaceAll(args[1], `\n`, "\n")), []byte(strings.ReplaceAll(args[2], `\n`, "\n"))
	if !bytes.Contains(raw, old) {
		ts.Fatalf("%s does not contain %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(path, bytes.Replace(raw, old, now, 1), 0o644))
}

func commit(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("git", "add", "-A"))
	ts.Check(ts.Exec("git", "commit", "-q", "-m", args[0]))
}

// lineCount insists on the number of lines of a file: lines FILE N.
func lineCount(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	if got := strings.Count(ts.ReadFile(args[0]), "\n"); got != want {
		ts.Fatalf("%s has %d lines, want %d", args[0], got, want)
	}
}

// until waits for a file to be there.
func until(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
	}
	ts.Fatalf("%s does not come", args[0])
}

// mounted makes DIR a file system of SIZE until the script ends: mounted DIR SIZE.
func mounted(t *testing.T, ts *testscript.TestScript, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: mounted DIR SIZE")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(ts.Exec("mount", "-t", "tmpfs", "-o", "size="+args[1], "tmpfs", dir))
	ts.Defer(func() {
		stopServing(t, dir)
		ts.Check(exec.Command("umount", "-l", dir).Run())
	})
}
