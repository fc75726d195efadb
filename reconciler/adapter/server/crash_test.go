// Applies that are killed, pipes that must end, ports that were taken meanwhile.

package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/freeport"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// errand is what an apply in a process of its own needs to know.
type errand struct {
	Dir     string
	Store   memory
	Release port.Release
}

// applyElsewhere is the body of that process.
func applyElsewhere(file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var e errand
	if err := json.Unmarshal(raw, &e); err != nil {
		return err
	}
	_, err = Local(Config{Env: testEnv(), Store: e.Store, Dir: e.Dir, Seal: sealOf(e.Dir), Pace: quick, Wall: wall.Policy{Level: wall.None}}).Apply(context.Background(), e.Release)
	return err
}

func (s *stage) errand(r port.Release) string {
	raw, err := json.Marshal(errand{s.dir, s.store, r})
	if err != nil {
		s.t.Fatal(err)
	}
	file := s.t.TempDir() + "/errand.json"
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return file
}

func TestAPipeEndsWithApply(t *testing.T) {
	s := newStage(t)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "sh", "-c", `"$0" apply "$1" 2>&1 | cat`, testEnv().Self, s.errand(s.release("one", "1"))).CombinedOutput()
	if err != nil || ctx.Err() != nil || len(out) > 0 {
		t.Fatalf("apply | cat: %v\n%s", err, out)
	}
	if l := s.observe("one"); l.Health != port.Ready {
		t.Fatalf("after apply has ended: %+v", l)
	}
}

func TestAKilledApplyLeavesTheOldRelease(t *testing.T) {
	s := newStage(t)
	l := s.apply(s.release("one", "1"))
	hung := s.release("one", "2", "never", "marker=killed-apply")
	hung.Timeout = time.Hour
	apply := exec.Command(testEnv().Self, "apply", s.errand(hung))
	if err := apply.Start(); err != nil {
		t.Fatal(err)
	}
	s.until("the new process runs", func() bool { return len(running("marker=killed-apply")) == 1 })
	apply.Process.Kill()
	apply.Wait()
	s.until("the new process is gone", func() bool { return len(running("marker=killed-apply")) == 0 })
	if got := s.get(l, "/version"); got != "1" {
		t.Fatalf("%s answers", got)
	}
	if now := s.apply(s.release("one", "3")); s.get(now, "/version") != "3" {
		t.Fatalf("the next apply: %+v", now)
	}
}

func TestAPortTakenWhileDownIsToldAndComesBack(t *testing.T) {
	s := newStage(t)
	r := s.release("one", "1")
	l := s.apply(r)
	s.killHost()
	other, err := net.Listen("tcp", strings.TrimPrefix(l.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.server.Apply(context.Background(), r)
	if fault.Of(err) != fault.Conflict || fault.HintOf(err) == "" {
		t.Fatalf("with its port taken: %v", err)
	}
	if now := s.observe("one"); now.Health != port.Failing || now.Message == "" {
		t.Fatalf("observed: %+v", now)
	}
	other.Close()
	if now := s.apply(r); now.URL != l.URL || s.get(now, "/version") != "1" {
		t.Fatalf("back: %+v", now)
	}
}

func TestAStaleSocketIsNoHost(t *testing.T) {
	s := newStage(t)
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder(s.dir).path(socket), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if l := s.observe("one"); l != (port.Live{}) {
		t.Fatalf("observed: %+v", l)
	}
	s.apply(s.release("one", "1"))
	st, err := os.Stat(folder(s.dir).path(socket))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("the socket is %v (%v)", st.Mode(), err)
	}
}

func TestADeclaredPortIsKept(t *testing.T) {
	s := newStage(t)
	number, err := freeport.Find("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	r := s.release("one", "1")
	r.Local.Port = number
	want := fmt.Sprintf("http://127.0.0.1:%d", number)
	if l := s.apply(r); l.URL != want {
		t.Fatalf("declared %s, served at %s", want, l.URL)
	}
	if l := s.apply(s.release("one", "2")); l.URL != want { // undeclared again: no reason to move
		t.Fatalf("moved to %s", l.URL)
	}
}

func TestAnUnhealthyProcessIsReplacedByTheSameApply(t *testing.T) {
	s := newStage(t)
	r := s.release("one", "1")
	l := s.apply(r)
	if a, err := http.Get(l.URL + "/sicken"); err == nil {
		a.Body.Close()
	}
	if now := s.observe("one"); now.Health != port.Failing || !strings.Contains(now.Message, "503") {
		t.Fatalf("observed: %+v", now)
	}
	if now := s.apply(r); now.Health != port.Ready {
		t.Fatalf("healed: %+v", now)
	}
}

func TestAMissingProgramIsInvalid(t *testing.T) {
	s := newStage(t)
	r := s.release("one", "1")
	r.Local.Command = []string{"no-such-program-here"}
	_, err := s.server.Apply(context.Background(), r)
	if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "no-such-program-here") || !strings.Contains(fault.HintOf(err), "PATH") {
		t.Fatalf("%v (%s)", err, fault.HintOf(err))
	}
	for _, name := range []string{"../up", "", "A"} {
		r.Name = name
		if _, err := s.server.Apply(context.Background(), r); fault.Of(err) != fault.Invalid {
			t.Errorf("name %q: %v", name, err)
		}
		if _, err := s.server.Observe(context.Background(), name); fault.Of(err) != fault.Invalid {
			t.Errorf("name %q observed: %v", name, err)
		}
	}
}

func TestNoHostNoProgram(t *testing.T) {
	env := testEnv()
	env.Self = "/bin/false"
	s := newStage(t)
	_, err := Local(Config{Env: env, Store: s.store, Dir: s.dir, Seal: sealOf(s.dir), Pace: quick, Wall: wall.Policy{Level: wall.None}}).Apply(context.Background(), s.release("one", "1"))
	if err == nil || fault.HintOf(err) == "" || !strings.Contains(err.Error(), "ended at once") {
		t.Fatalf("with a host that cannot start: %v", err)
	}
}

func TestALogStaysBounded(t *testing.T) {
	l := &logfile{path: t.TempDir() + "/log", limit: 1000}
	defer l.Close()
	line := bytes.Repeat([]byte("x"), 99)
	for range 100 {
		l.Write(append(line, '\n'))
	}
	for _, f := range []string{l.path, l.path + ".1"} {
		if st, err := os.Stat(f); err != nil || st.Size() > 1000 || st.Size() == 0 {
			t.Errorf("%s: %v %v", f, st, err)
		}
	}
}

func TestAHostThatLeftBeforeItWasAskedIsStartedAgain(t *testing.T) {
	s := newStage(t)
	dir, env := t.TempDir(), testEnv()
	program := dir + "/vishwa"
	text := fmt.Sprintf("#!/bin/sh\nif [ \"$1\" = host ] && [ ! -e %[1]s/left ]; then touch %[1]s/left; exit 0; fi\nexec %[2]s \"$@\"\n", dir, env.Self)
	if err := os.WriteFile(program, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	env.Self = program
	if _, err := Local(Config{Env: env, Store: s.store, Dir: s.dir, Seal: sealOf(s.dir), Pace: quick, Wall: wall.Policy{Level: wall.None}}).Apply(t.Context(), s.release("one", "1")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir + "/left"); err != nil {
		t.Error("the program was not started: ", err)
	}
}
