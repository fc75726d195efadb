//go:build linux

// Every escape there is, tried by a pull request's run against the controller that runs
// it, as a user without rights, on both rungs.

package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/machine/wall/walltest"
)

//go:embed testdata/escape/controller.txtar
var escapeStory []byte

// attempt is a training that tries what its candidate is named after, as the process
// that the wall began, and then trains as it should.
const attempt = `
import json, os, pathlib, sys
all, params = json.loads(pathlib.Path("src/attempts.json").read_text()), json.loads(pathlib.Path(os.environ["VISHWA_PARAMS"]).read_text())
name = params["attempt"]
print("attempt", name, flush=True)
program = all["programs"][name] + "\nos.chdir(%r)\nexec(compile(open('src/honest.py').read(), 'src/honest.py', 'exec'))\n" % os.getcwd()
os.execve(sys.executable, [sys.executable, "-I", "-c", program], dict(os.environ, ATTACK=json.dumps(all["machine"])))
`

func TestNothingEscapesAController(t *testing.T) {
	walltest.AsUser(t)
	if os.Getuid() == 0 {
		return
	}
	keys := filepath.Join(t.TempDir(), "keys") // ssh-keygen, and so quickKeys, works for no user that the machine does not know
	if err := signer.Generate(keys, []byte(password)); err != nil {
		t.Fatal(err)
	}
	for _, level := range []wall.Level{wall.Namespaces, wall.Landlock} {
		t.Run(string(level), func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "controller.txtar")
			if err := os.WriteFile(file, escapeStory, 0o600); err != nil {
				t.Fatal(err)
			}
			cmds := forgeCommands()
			cmds["attack"], cmds["held"] = attack, held
			testscript.Run(t, testscript.Params{
				Files: []string{file},
				Setup: func(env *testscript.Env) error {
					env.Setenv("LEVEL", string(level))
					if err := settle(t, env, keys); err != nil {
						return err
					}
					return begin(t, env)
				},
				Cmds: cmds,
			})
		})
	}
}

// attack writes a training that tries everything.
func attack(ts *testscript.TestScript, _ bool, _ []string) {
	work, state := ts.Getenv("WORK"), filepath.Join(ts.Getenv("WORK"), "controller.yaml.state")
	controller := walltest.Marked(filepath.Join(work, "controller.yaml"))
	if len(controller) != 1 {
		ts.Fatalf("%d controllers run", len(controller))
	}
	_, port, err := net.SplitHostPort(strings.TrimPrefix(ts.Getenv("CONTROLLER"), "http://"))
	ts.Check(err)
	tcp, err := strconv.Atoi(port)
	ts.Check(err)
	l, err := net.Listen("unix", filepath.Join(work, "s"))
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	programs, candidates := map[string]string{}, ""
	for _, e := range walltest.Escapes() {
		if plainAttempt(e) {
			programs[e.Name] = e.Program
			candidates += fmt.Sprintf("    %s: {params: {degree: 2, attempt: %s}}\n", strings.ToLower(e.Name), e.Name)
		}
	}
	secret := filepath.Join(state, "secret")
	ts.Check(os.WriteFile(secret, []byte("CANARY"), 0o600))
	ts.Setenv("MARK", fmt.Sprint("7", controller[0]))
	raw, err := json.Marshal(map[string]any{"programs": programs, "machine": map[string]any{
		"secret": secret, "store": filepath.Join(state, "store"), "environment": filepath.Join(work, "shared"), "socket": filepath.Join(work, "s"), "datagrams": filepath.Join(work, "s"),
		"abstract": "", "tcp": tcp, "udp": 9, "victim": controller[0], "mark": ts.Getenv("MARK"),
	}})
	ts.Check(err)
	src := ts.MkAbs("src")
	ts.Check(os.Rename(filepath.Join(src, "train.py"), filepath.Join(src, "honest.py")))
	ts.Check(os.WriteFile(filepath.Join(src, "train.py"), []byte(attempt), 0o644))
	ts.Check(os.WriteFile(filepath.Join(src, "attempts.json"), raw, 0o644))
	edit(ts, false, []string{"vishwa/model.yaml", "  code: [src/train.py]", "  code: [src/train.py, src/honest.py, src/attempts.json]"})
	edit(ts, false, []string{"vishwa/model.yaml", "    line: {params: {degree: 1}}\n", candidates})
	edit(ts, false, []string{"vishwa/model.yaml", "    curve: {params: {degree: 2}}\n", ""})
}

// held insists that every attempt was tried to its end, and that nothing came of any, as
// the runs' logs tell, which lie in the store, and what they tried it on.
func held(ts *testscript.TestScript, _ bool, _ []string) {
	work, tried := ts.Getenv("WORK"), map[string]bool{}
	for p, d := range walk(ts, filepath.Join(work, "state")) {
		if !d.Type().IsRegular() {
			continue
		}
		raw, err := os.ReadFile(p)
		ts.Check(err)
		name, is := strings.CutPrefix(string(raw[:min(len(raw), 100)]), "attempt ")
		if !is {
			continue
		}
		name, _, _ = strings.Cut(name, "\n")
		if bytes.Contains(raw, []byte("ESCAPED")) || bytes.Contains(raw, []byte("CANARY")) {
			ts.Fatalf("%s:\n%s", name, raw)
		}
		// A slow machine renews its lease too late, and tries again: then some logs end before the attempt does.
		tried[name] = tried[name] || bytes.Contains(raw, []byte("TRIED"))
	}
	want := 0
	for _, e := range walltest.Escapes() {
		if plainAttempt(e) {
			want++
		}
	}
	for name, whole := range tried {
		if !whole {
			ts.Fatalf("%s did not come to its end", name)
		}
	}
	if len(tried) != want {
		ts.Fatalf("%d of %d attempts left a log", len(tried), want)
	}
	if mark := walltest.Marked(ts.Getenv("MARK")); len(mark) > 0 {
		ts.Fatalf("processes are left: %v", mark)
	}
	shared := filepath.Join(work, "shared", "module.py")
	info, err := os.Stat(shared)
	ts.Check(err)
	if info.Mode() != 0o644 || info.ModTime().Year() < 2000 || ts.ReadFile(shared) != ts.ReadFile("data/homes.csv") {
		ts.Fatalf("%s was changed: %s", shared, info.Mode())
	}
}

// plainAttempt says whether e is tried here: what goes over a limit fails its own run
// alone, and what is served is no run.
func plainAttempt(e walltest.Escape) bool { return !e.Ends && e.Name != "ReachesTheNetworkAsAServer" }

// walk is all below dir.
func walk(ts *testscript.TestScript, dir string) map[string]os.DirEntry {
	found := map[string]os.DirEntry{}
	ts.Check(filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		found[p] = d
		return err
	}))
	return found
}
