// Engines of another machine, over SSH and over TLS: an engine in this process, behind a server of either.

package docker

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dockerengine/dockertest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

// ways lead to an engine's socket from another machine.
var ways = map[string]func(t testing.TB, socket string) (*dockertest.Way, map[string]string){
	"ssh": func(t testing.TB, socket string) (*dockertest.Way, map[string]string) {
		w := dockertest.SSH(t, socket)
		home := t.TempDir()
		if err := os.Rename(w.Folder, filepath.Join(home, ".ssh")); err != nil {
			t.Fatal(err)
		}
		w.Folder = filepath.Join(home, ".ssh")
		return w, map[string]string{"HOME": home}
	},
	"tls": func(t testing.TB, socket string) (*dockertest.Way, map[string]string) {
		w := dockertest.TLS(t, socket)
		return w, map[string]string{"DOCKER_CERT_PATH": w.Folder}
	},
}

// elsewhere is a stage on an engine in this process, which is reached as another machine's.
func elsewhere(t *testing.T, way string) (*stage, *dockertest.Engine, *dockertest.Way) {
	t.Helper()
	e := dockertest.New(t)
	w, vars := ways[way](t, e.Socket)
	s := newStage(t, w.Host, dockertest.Image, doubled)
	s.vars = vars
	s.server = s.open()
	return s, e, w
}

func TestContainersOfAnotherMachineKeepTheServersPromises(t *testing.T) {
	for way := range ways {
		t.Run(way, func(t *testing.T) {
			porttest.Server(t, func(t *testing.T) porttest.Serving {
				s, _, _ := elsewhere(t, way)
				return served(s)
			})
		})
	}
}

func TestAnEngineElsewhereIsSentWhatWasVerified(t *testing.T) {
	for way := range ways {
		t.Run(way, func(t *testing.T) {
			s, e, w := elsewhere(t, way)
			r := s.release("one", "1")
			r.Inputs = map[string][]byte{"serving": []byte("{}")}
			l := s.apply(r)
			if got := s.ask(l, "/version"); got != "1" {
				t.Errorf("%s answers", got)
			}
			b := the(t, e, "one")
			shown := e.Shown(b)
			for _, path := range []string{"code/src/serve.py", "model/model.json", "inputs/SERVING/data", "params.json"} {
				h := b.Files[path]
				if h == nil {
					t.Errorf("%s is not there", path)
				} else if h.Uid != 0 || h.Gid != 0 || h.Mode&0o222 != 0 {
					t.Errorf("%s can be changed by what serves: %d:%d %o", path, h.Uid, h.Gid, h.Mode)
				}
			}
			for name, h := range b.Files {
				if strings.HasSuffix(name, "/") && (h.Uid != 0 || h.Mode != 0o555) {
					t.Errorf("%s can be written to: %d %o", name, h.Uid, h.Mode)
				}
			}
			if strings.Contains(shown, s.dir) || strings.Contains(shown, `"bind"`) {
				t.Errorf("it is given folders of its machine: %s", shown)
			}
			if user, _ := b.Config["User"].(string); user != "65532:65532" {
				t.Errorf("user %q", user)
			}
			labels, _ := b.Config["Labels"].(dockertest.Object)
			if owner, _ := labels[labelOwner].(string); strings.Count(owner, "-") != 2 { // its folder and its installation
				t.Errorf("it is %q's", owner)
			}
			if way == "ssh" && !slices.ContainsFunc(w.Reached(), func(addr string) bool { return strings.HasPrefix(addr, "127.0.0.1:") }) {
				t.Errorf("requests went by another way than SSH: %q", w.Reached())
			}
			// A network that is away for a moment costs nothing but that.
			w.Cut()
			s.until("it answers again", func() bool { return s.observe("one").Health == port.Ready && s.observe("one").Message == "" })
			if got := s.ask(l, "/version"); got != "1" || len(e.Names()) != 1 {
				t.Errorf("%s answers, of %q", got, e.Names())
			}
		})
	}
}

// What is sent is what was declared, or the container does not begin.
func TestAChangedFileIsNotSent(t *testing.T) {
	dir := t.TempDir()
	file := digest.File{Path: "model/model.json", Digest: digest.Of([]byte("weights of 1")), Size: 12}
	if err := os.MkdirAll(filepath.Join(dir, "model"), 0o700); err != nil {
		t.Fatal(err)
	}
	for text, good := range map[string]bool{"weights of 1": true, "weights of 2": false, "weights of 10": false, "": false} {
		if err := os.WriteFile(filepath.Join(dir, "model", "model.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := pack(&out, dir, digest.Manifest{file}, "code"); (err == nil) != good || !good && fault.Of(err) != fault.Corrupt {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, "model", "model.json")), os.Symlink("/etc/hostname", filepath.Join(dir, "model", "model.json"))); err != nil {
		t.Fatal(err)
	}
	if err := pack(&bytes.Buffer{}, dir, digest.Manifest{file}, "code"); fault.Of(err) != fault.Corrupt || err == nil {
		t.Errorf("a link: %v", err)
	}
}

// What an engine did not take does not begin, whatever it says.
func TestAPartOfAReleaseDoesNotBegin(t *testing.T) {
	for way := range ways {
		t.Run(way, func(t *testing.T) {
			s, e, _ := elsewhere(t, way)
			e.Mu.Lock()
			e.Careless = true
			e.Mu.Unlock()
			r := s.release("one", "1")
			r.Inputs = map[string][]byte{"serving": bytes.Repeat([]byte("a"), 64<<20)} // more than is on its way at once
			if _, err := s.server.Apply(t.Context(), r); fault.Of(err) != fault.Transient || err == nil {
				t.Errorf("applied: %v", err)
			}
			if left := e.Names(); len(left) > 0 {
				t.Errorf("left are %q", left)
			}
		})
	}
}

// Requests go where the port was asked to be, and not where an engine says that it is: at that address, it could have what listens for the
// controller alone.
func TestAnEngineDoesNotSayWhereRequestsGo(t *testing.T) {
	for way := range ways {
		for name, claims := range map[string]func(own dockertest.Object, port string) dockertest.Object{
			"another address": func(_ dockertest.Object, port string) dockertest.Object {
				return dockertest.Object{"8080/tcp": []dockertest.Object{{"HostIp": "127.0.0.2", "HostPort": port}}}
			},
			"one more": func(own dockertest.Object, port string) dockertest.Object {
				own["8080/tcp"] = append(own["8080/tcp"].([]dockertest.Object), dockertest.Object{"HostIp": "127.0.0.2", "HostPort": port})
				return own
			},
			"any address": func(_ dockertest.Object, port string) dockertest.Object {
				return dockertest.Object{"8080/tcp": []dockertest.Object{{"HostIp": "0.0.0.0", "HostPort": port}}}
			},
			"no address": func(_ dockertest.Object, port string) dockertest.Object {
				return dockertest.Object{"8080/tcp": []dockertest.Object{{"HostIp": "", "HostPort": port}}}
			},
			"another port": func(_ dockertest.Object, port string) dockertest.Object {
				return dockertest.Object{"22/tcp": []dockertest.Object{{"HostIp": "127.0.0.2", "HostPort": port}}}
			},
			"no port": func(dockertest.Object, string) dockertest.Object {
				return dockertest.Object{"8080/tcp": []dockertest.Object{{"HostIp": "127.0.0.1", "HostPort": "80@127.0.0.2"}}}
			},
		} {
			t.Run(way+" "+name, func(t *testing.T) {
				own, err := net.Listen("tcp", "127.0.0.2:0") // as what the controller's machine has for itself
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { own.Close() })
				var asked atomic.Int64
				go func() {
					for {
						c, err := own.Accept()
						if err != nil {
							return
						}
						asked.Add(1)
						c.Close()
					}
				}()
				_, port, _ := net.SplitHostPort(own.Addr().String())
				s, e, _ := elsewhere(t, way)
				e.Mu.Lock()
				e.Claims = func(published dockertest.Object) dockertest.Object { return claims(published, port) }
				e.Mu.Unlock()
				r := s.release("one", "1")
				if _, err := s.server.Apply(t.Context(), r); err == nil || !strings.Contains(err.Error(), "publish") {
					t.Errorf("applied: %v", err)
				}
				if n := asked.Load(); n != 0 {
					t.Errorf("%d connections went where the engine said", n)
				}
				if left := e.Names(); len(left) > 0 {
					t.Errorf("left are %q", left)
				}
			})
		}
	}
}

// A machine that is not known, or that does not know us, is told of, and given nothing.
func TestAStrangeMachineIsGivenNothing(t *testing.T) {
	other := func(t *testing.T, way string) *dockertest.Way {
		w, _ := ways[way](t, dockertest.New(t).Socket)
		return w
	}
	move := func(t *testing.T, from, to string) {
		raw, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, raw, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		way  string
		do   func(t *testing.T, w *dockertest.Way)
		kind fault.Kind
		says string
		hint string
	}{
		"no known machine": {"ssh", func(t *testing.T, w *dockertest.Way) { os.Remove(filepath.Join(w.Folder, "known_hosts")) }, fault.Denied, "nobody knows whether it is that machine", "connect once by hand"},
		"another key": {"ssh", func(t *testing.T, w *dockertest.Way) {
			theirs := filepath.Join(other(t, "ssh").Folder, "known_hosts")
			raw, _ := os.ReadFile(theirs)
			mine, _ := os.ReadFile(filepath.Join(w.Folder, "known_hosts"))
			address, _, _ := strings.Cut(string(mine), " ")
			_, key, _ := strings.Cut(string(raw), " ")
			os.WriteFile(filepath.Join(w.Folder, "known_hosts"), []byte(address+" "+key), 0o600)
		}, fault.Denied, "has another key than known_hosts says", "somebody may be in between"},
		"no key":        {"ssh", func(t *testing.T, w *dockertest.Way) { os.Remove(filepath.Join(w.Folder, "id_ed25519")) }, fault.Missing, "there is no key for SSH", "ssh-keygen"},
		"not let in":    {"ssh", func(t *testing.T, w *dockertest.Way) { w.Bar() }, fault.Denied, "does not let tester in", "authorized_keys"},
		"no sshd there": {"ssh", func(t *testing.T, w *dockertest.Way) { w.Close() }, fault.Transient, "over SSH", "see that the machine runs"},
		"another authority": {"tls", func(t *testing.T, w *dockertest.Way) {
			move(t, filepath.Join(other(t, "tls").Folder, "ca.pem"), filepath.Join(w.Folder, "ca.pem"))
		}, fault.Transient, "certificate", ""},
		"another user": {"tls", func(t *testing.T, w *dockertest.Way) {
			theirs := other(t, "tls").Folder
			move(t, filepath.Join(theirs, "cert.pem"), filepath.Join(w.Folder, "cert.pem"))
			move(t, filepath.Join(theirs, "key.pem"), filepath.Join(w.Folder, "key.pem"))
		}, fault.Transient, "certificate", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, e, w := elsewhere(t, c.way)
			c.do(t, w)
			_, err := s.server.Apply(t.Context(), s.release("one", "1"))
			if err == nil || fault.Of(err) != c.kind || !strings.Contains(err.Error(), c.says) || !strings.Contains(fault.HintOf(err), c.hint) {
				t.Errorf("%v (%v), hint %q", err, fault.Of(err), fault.HintOf(err))
			}
			if len(e.Names()) > 0 {
				t.Errorf("%q were made", e.Names())
			}
		})
	}
}
