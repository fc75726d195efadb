// Killed at every named moment: afterwards nothing is lost, nothing is half written
// and nothing was done twice.

package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vishwaops/vishwa/reconciler/failpoint"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/registrytest"
)

// dieAtPoint kills this process where CRASH_AT says, once a script.
func dieAtPoint() {
	at, dir := os.Getenv("CRASH_AT"), os.Getenv("CRASH_DIR")
	if at == "" {
		return
	}
	failpoint.Hook = func(p failpoint.Point) {
		if string(p) != at {
			return
		}
		f, err := os.OpenFile(filepath.Join(dir, "crashed"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return // it died once already
		}
		f.Close()
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func TestKilledAtAnyPointNothingIsLostOrDoneTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(p failpoint.Point, story string) {
		text, err := os.ReadFile(filepath.Join("testdata", "crash", story+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		name := story + "_" + strings.ReplaceAll(string(p), " ", "_") + ".txtar"
		if err := os.WriteFile(filepath.Join(dir, name), []byte("env CRASH_AT='"+string(p)+"'\n"+string(text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range failpoint.Points() {
		switch p {
		case failpoint.Provisioned:
			write(p, "apply")
		case failpoint.Moved:
			write(p, "rollout")
		case failpoint.Installed:
			write(p, "package")
		default:
			write(p, "forge")
		}
	}
	write(failpoint.Recorded, "rollout") // each of its steps is an entry
	keys := quickKeys(t)
	registry := strings.TrimPrefix(peers.NewBetween(t, registrytest.Memory()).URL, "http://")
	pushPython(t, registry+"/python:1")
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(env *testscript.Env) error {
			env.Setenv("CRASH_DIR", env.WorkDir)
			env.Setenv("OCI", registry)
			env.Setenv("PLATFORM", "linux/"+runtime.GOARCH)
			if err := settle(t, env, keys); err != nil {
				return err
			}
			return begin(t, env)
		},
		Cmds: forgeCommands(),
	})
}

// survive runs a program that may be killed on its way, and then once more.
func survive(ts *testscript.TestScript, _ bool, args []string) {
	mark := filepath.Join(ts.Getenv("WORK"), "crashed")
	_, before := os.Stat(mark)
	err := ts.Exec(args[0], args[1:]...)
	if _, after := os.Stat(mark); err != nil && before != nil && after == nil {
		ts.Logf("killed; once more")
		err = ts.Exec(args[0], args[1:]...)
	}
	ts.Check(err)
}
