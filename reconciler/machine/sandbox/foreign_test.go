//go:build linux

// A worker in an image that somebody hostile made: its interpreter is asked what it is before
// anything else of it is begun, and must see and reach no more than the run will.

package sandbox

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/machine/wall/walltest"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// hostileImage is an image's folders on this machine, with what the worker there must keep from it.
type hostileImage struct {
	Environments
	ticket, outside string // a file of the worker's, and a folder that is no run's
	asked           net.Listener
}

// newHostileImage has a python3 that tries what script says, and then says what says does, in
// which $SEEN is what it saw.
func newHostileImage(t *testing.T, level wall.Level, script, says string) *hostileImage {
	t.Helper()
	root := t.TempDir()
	x := &hostileImage{ticket: filepath.Join(root, "ticket", "ticket"), outside: filepath.Join(root, "outside")}
	for _, dir := range []string{"bin", "ticket", "outside", "envs"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if x.asked, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.asked.Close() })
	python := filepath.Join(root, "image", "bin", "python3")
	text := strings.NewReplacer("TICKET", x.ticket, "OUTSIDE", x.outside, "PORT", strings.TrimPrefix(x.asked.Addr().String(), "127.0.0.1:"), "SELF", python).Replace("#!/bin/bash\nSEEN=\n" + script + "\n" + says + "\n")
	if err := os.MkdirAll(filepath.Dir(python), 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{python: text, x.ticket: "hush"} {
		if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	vars := map[string]string{"PATH": filepath.Dir(python) + ":/usr/bin:/bin", "LD_PRELOAD": filepath.Join(root, "image", "evil.so"), "BASH_ENV": "/nowhere"}
	x.Environments = Environments{Dir: filepath.Join(root, "envs"), Foreign: true, Env: port.Env{Lookup: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }},
		Wall: wall.Policy{Level: level, Strict: true, Hidden: []string{filepath.Dir(x.ticket)}}}
	return x
}

const saysItself = `echo "{\"pip\": [], \"path\": \"SELF\", \"version\": \"3.11$SEEN\", \"tag\": \"t\"}"`

// TestAnImagesInterpreterIsAskedBehindTheWall: on both rungs, as root and as a user without rights.
func TestAnImagesInterpreterIsAskedBehindTheWall(t *testing.T) {
	walltest.AsUser(t)
	const tries = `
cat TICKET >/dev/null 2>&1 && SEEN+=" ticket"
touch OUTSIDE/mark 2>/dev/null && SEEN+=" outside"
touch SELF 2>/dev/null && SEEN+=" image"
(exec 3<>/dev/tcp/127.0.0.1/PORT) 2>/dev/null && SEEN+=" network"
[ -z "$LD_PRELOAD$BASH_ENV" ] || SEEN+=" variables"`
	for _, level := range []wall.Level{wall.Namespaces, wall.Landlock} {
		t.Run(string(level), func(t *testing.T) {
			x := newHostileImage(t, level, tries, saysItself)
			p, err := x.findPython(t.Context())
			if err != nil || p.Version != "3.11" {
				t.Errorf("it is %+v, %v", p, err)
			}
			left, err := os.ReadDir(x.outside)
			if err != nil || len(left) > 0 {
				t.Errorf("outside is %v, %v", left, err)
			}
			if left, _ := filepath.Glob(filepath.Join(x.Dir, "asked*")); len(left) > 0 {
				t.Errorf("left are %v", left)
			}
		})
	}
}

// TestWhatAnImagesInterpreterSaysShowsNothing: it is shown to the image's own installer, so that
// a file of the worker's, a link to one and a process's files are refused.
func TestWhatAnImagesInterpreterSaysShowsNothing(t *testing.T) {
	for name, path := range map[string]string{"the ticket": "TICKET", "a link to it": "LINK", "a process": "/proc/self/environ", "nothing": "/nowhere/python3", "no path": "python3", "a folder": "/usr"} {
		t.Run(name, func(t *testing.T) {
			x := newHostileImage(t, wall.Landlock, "", `echo '{"pip": [], "path": "`+path+`", "version": "3.11", "tag": "t"}'`)
			link := filepath.Join(x.outside, "python3")
			if err := os.Symlink(x.ticket, link); err != nil {
				t.Fatal(err)
			}
			python := filepath.Join(filepath.Dir(filepath.Dir(x.ticket)), "image", "bin", "python3")
			raw, err := os.ReadFile(python)
			if err == nil {
				err = os.WriteFile(python, []byte(strings.ReplaceAll(string(raw), "LINK", link)), 0o755)
			}
			if err != nil {
				t.Fatal(err)
			}
			if p, err := x.findPython(t.Context()); fault.Of(err) != fault.Invalid || err == nil || fault.HintOf(err) == "" {
				t.Errorf("it is %+v, %v", p, err)
			}
		})
	}
}

// TestAnImagesSettingsLetNothingBeReachedForPullRequests: neither its variables nor its files name
// an index, nor what the installer may read; those of reviewed code do.
func TestAnImagesSettingsLetNothingBeReachedForPullRequests(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "pip.conf")
	if err := os.WriteFile(conf, []byte("[global]\nindex-url = https://evil-file.example/simple\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{"PIP_INDEX_URL": "https://evil.example/simple", "PIP_CONFIG_FILE": conf, "NETRC": conf}
	for _, c := range []struct{ foreign, strict, counts bool }{{true, true, false}, {true, false, true}, {false, true, true}} {
		i := installation{Environments: Environments{Foreign: c.foreign, Env: port.Env{Lookup: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }},
			Wall: wall.Policy{Strict: c.strict, Index: []string{"mirror.example:443"}}}}
		hosts := i.hosts(nil)
		if got := slices.Contains(hosts, "evil.example:443") && slices.Contains(hosts, "evil-file.example:443"); got != c.counts || !slices.Contains(hosts, "mirror.example:443") {
			t.Errorf("of an image %t, of a pull request %t: it reaches %v", c.foreign, c.strict, hosts)
		}
		if read := i.settings(); (len(read) > 0) != c.counts {
			t.Errorf("of an image %t, of a pull request %t: it reads %v", c.foreign, c.strict, read)
		}
	}
}
