// What somebody with the same user changes on disk, or asks at the socket, is neither
// served nor believed; the next apply brings back what was declared.

package server

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// full is a release with one of everything that is laid out.
func (s *stage) full() port.Release {
	r := s.release("one", "1")
	r.Inputs = map[string][]byte{"serving-infra": []byte(`{"bucket":"b"}`)}
	r.Params = map[string]any{"threshold": 0.5}
	return r
}

func TestWhatWasChangedOnDiskIsNotStarted(t *testing.T) {
	put := func(file, text string) error {
		_ = os.Chmod(filepath.Dir(file), 0o700)
		_ = os.Chmod(file, 0o600)
		return orNil(os.WriteFile(file, []byte(text), 0o400), os.Chmod(file, 0o400))
	}
	cases := map[string]struct {
		do   func(dir string) error
		says string
	}{
		"code": {func(d string) error { return put(d+"/code/src/serve.py", "print('evil')") }, "code/src/serve.py was changed"},
		"code of the same size": {func(d string) error {
			return put(d+"/code/src/serve.py", "print('SERVE')")
		}, "code/src/serve.py"},
		"a file beside the code": {func(d string) error { return put(d+"/code/src/sitecustomize.py", "evil()") }, "code/src/sitecustomize.py is not declared"},
		"a hidden file":          {func(d string) error { return put(d+"/code/.pth", "evil()") }, "code/.pth is not declared"},
		"bytecode": {func(d string) error {
			return orNil(os.Chmod(d+"/code/src", 0o700), os.Mkdir(d+"/code/src/__pycache__", 0o755), os.WriteFile(d+"/code/src/__pycache__/serve.cpython-311.pyc", nil, 0o444))
		}, "code/src/__pycache__ is not declared"},
		"an empty folder":         {func(d string) error { return orNil(os.Chmod(d+"/code", 0o700), os.Mkdir(d+"/code/json", 0o755)) }, "code/json is not declared"},
		"a file beside the model": {func(d string) error { return put(d+"/model/config.py", "evil()") }, "model/config.py is not declared"},
		"an input":                {func(d string) error { return put(d+"/inputs/SERVING_INFRA/data", "{}") }, "inputs/SERVING_INFRA/data was changed"},
		"another input":           {func(d string) error { return put(d+"/inputs/data", "{}") }, "inputs/data is not declared"},
		"parameters":              {func(d string) error { return put(d+"/params.json", `{"threshold":0}`) }, "params.json was changed"},
		"a file of its own":       {func(d string) error { return put(d+"/run.sh", "evil") }, "run.sh is not declared"},
		"a file that is gone":     {func(d string) error { return orNil(os.Chmod(d+"/code/src", 0o700), os.Remove(d+"/code/src/serve.py")) }, "code/src/serve.py is missing"},
		"a link in its place": {func(d string) error {
			return orNil(os.Chmod(d+"/code/src", 0o700), os.Rename(d+"/code/src/serve.py", d+"/home/serve.py"), os.Symlink("../../home/serve.py", d+"/code/src/serve.py"))
		}, "code/src/serve.py is not a regular file"},
		"a link in a folder's place": {func(d string) error {
			return orNil(os.Chmod(d+"/code", 0o700), os.Chmod(d+"/code/src", 0o700), os.Rename(d+"/code/src", d+"/home/src"), os.Symlink("../home/src", d+"/code/src"))
		}, "code/src is not declared"},
		"a file's mode":         {func(d string) error { return os.Chmod(d+"/code/src/serve.py", 0o644) }, "code/src/serve.py has mode 0644"},
		"a file to be executed": {func(d string) error { return os.Chmod(d+"/code/src/serve.py", 0o555) }, "has mode 0555"},
		"a folder's mode":       {func(d string) error { return os.Chmod(d+"/code/src", 0o755) }, "code/src has mode 0755"},
		"all of it":             {os.RemoveAll, "open release"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			r := s.full()
			l := s.apply(r)
			dir := folder(s.dir).release("one", s.recorded("one").Folder)
			if name == "all of it" {
				makeWritable(dir)
			}
			if err := c.do(dir); err != nil {
				t.Fatal(err)
			}
			if a, err := http.Get(l.URL + "/crash"); err == nil {
				a.Body.Close()
			}
			s.until("it is failing and says what differs", func() bool {
				now := s.observe("one")
				return now.Health == port.Failing && strings.Contains(now.Message, c.says)
			})
			if now := s.apply(r); now.Health != port.Ready {
				t.Fatalf("applied again: %+v", now)
			}
			if got := s.get(l, "/version"); got != "1" {
				t.Fatalf("%s answers", got)
			}
		})
	}
}

func makeWritable(dir string) {
	_ = filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(p, 0o700)
		}
		return nil
	})
}

func orNil(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// A home that is kept would be code that is kept.
func TestEachStartHasAFreshHome(t *testing.T) {
	s := newStage(t)
	l := s.apply(s.full())
	dir := folder(s.dir).release("one", s.recorded("one").Folder)
	planted := []string{filepath.Join(dir, "home", "usercustomize.py"), filepath.Join(dir, "outputs", "kept")}
	for _, p := range planted {
		if err := os.WriteFile(p, []byte("evil()"), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	http.Get(l.URL + "/crash")
	s.until("its end is seen", func() bool { return s.observe("one").Restarts > 0 })
	if got := s.get(l, "/version"); got != "1" {
		t.Fatalf("%s answers", got)
	}
	for _, p := range planted {
		if _, err := os.Stat(p); !os.IsNotExist(err) {
			t.Errorf("%s is there after a restart: %v", filepath.Base(p), err)
		}
	}
}

func TestARecordOfSomebodyElseIsNotBelieved(t *testing.T) {
	wild, err := seal.KeyOf(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	body := func(s *stage) []byte {
		o := s.recorded("one")
		o.Command, o.Key = []string{"/bin/evil"}, digest.Of([]byte("evil"))
		raw, _ := json.Marshal(o)
		return raw
	}
	cases := map[string]struct {
		record func(s *stage) []byte
		says   string
	}{
		"of a version that sealed none": {body, "no seal"},
		"by a key of their own":         {func(s *stage) []byte { return wild.Wrap(purpose("one"), body(s)) }, "tampered"},
		"moved from another name": {func(s *stage) []byte {
			raw, _ := os.ReadFile(folder(s.dir).record("two"))
			return raw
		}, "tampered"},
		"changed": {func(s *stage) []byte {
			raw, _ := os.ReadFile(folder(s.dir).record("one"))
			return []byte(strings.Replace(string(raw), `"ready": "/v2/health/ready"`, `"ready": "/evil"`, 1))
		}, "tampered"},
		"cut": {func(s *stage) []byte { return nil }, "no seal"},
	}
	for name, c := range cases {
		for _, dead := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", its host dead", false: ", its host alive"}[dead], func(t *testing.T) {
				t.Parallel()
				s := newStage(t)
				r := s.full()
				l := s.apply(r)
				s.apply(s.release("two", "2"))
				raw := c.record(s)
				if dead {
					s.killHost()
				}
				if err := os.WriteFile(folder(s.dir).record("one"), raw, 0o600); err != nil {
					t.Fatal(err)
				}
				now := s.observe("one")
				if now.Health == port.Ready || !strings.Contains(now.Message, c.says) || now.Key == digest.Of([]byte("evil")) {
					t.Fatalf("observed %+v", now)
				}
				s.apply(s.release("two", "2")) // a host is there, whatever was done
				if dead {
					if s.observe("one").Health == port.Ready {
						t.Fatal("it was brought back without being declared")
					}
					if said, _ := os.ReadFile(folder(s.dir).path("host.log")); !strings.Contains(string(said), "not brought back") || !strings.Contains(string(said), c.says) {
						t.Errorf("the host's log does not say so:\n%s", said)
					}
				}
				if now := s.apply(r); now.Health != port.Ready || now.Key != r.Key || s.observe("one").Health != port.Ready {
					t.Fatalf("applied again: %+v", now)
				}
				if got := s.recorded("one"); got.Key != r.Key {
					t.Fatalf("recorded: %+v", got)
				}
				if got := s.get(l, "/version"); got != "1" && !dead {
					t.Fatalf("%s answers", got)
				}
			})
		}
	}
}

// The socket is of the same user as what is served; the token is not.
func TestTheSocketAnswersWhoKnowsTheTokenAlone(t *testing.T) {
	s := newStage(t)
	l := s.apply(s.release("one", "1"))
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialFolder(ctx, s.dir)
	}}}
	defer client.CloseIdleConnections()
	key, err := seal.Load(sealOf(s.dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"GET", "PUT", "DELETE", "POST"} {
		for _, path := range []string{protocol, protocol + "one", started + "one", before, "/"} {
			for name, token := range map[string]string{"none": "", "wrong": strings.Repeat("0", 64), "of another purpose": key.Token("x")} {
				r, _ := http.NewRequest(method, "http://host"+path, strings.NewReader("{}"))
				if token != "" {
					r.Header.Set(controlHeader, token)
				}
				a, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				io.Copy(io.Discard, a.Body)
				a.Body.Close()
				if a.StatusCode != http.StatusForbidden {
					t.Errorf("%s %s with token %s: %s", method, path, name, a.Status)
				}
			}
		}
	}
	if got := s.get(l, "/version"); got != "1" {
		t.Fatalf("%s answers", got)
	}
	// Who has lost the key is told what to do, and does not take it for gone.
	if err := os.Remove(sealOf(s.dir)); err != nil {
		t.Fatal(err)
	}
	_, err = s.server.Apply(context.Background(), s.release("one", "2"))
	if fault.Of(err) != fault.Denied || !strings.Contains(fault.HintOf(err), "end the host") {
		t.Fatalf("without the key: %v (%s)", err, fault.HintOf(err))
	}
	s.killHost()
	if now := s.apply(s.release("one", "2")); s.get(now, "/version") != "2" {
		t.Fatalf("with a new key: %+v", now)
	}
}

// A host of the version before asked nobody who they were; it makes way.
func TestAHostOfTheVersionBeforeMakesWay(t *testing.T) {
	s := newStage(t)
	l := s.apply(s.release("one", "1"))
	s.killHost()
	if err := os.WriteFile(folder(s.dir).record("one"), []byte(`{"name":"one"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	raw, err := listenFolder(s.dir, testEnv().Log)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	old := &http.Server{Handler: mux}
	gone := make(chan struct{})
	mux.HandleFunc("DELETE "+before+"{$}", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "{}")
		go func() { old.Shutdown(context.Background()); close(gone) }()
	})
	go old.Serve(raw)
	if now := s.observe("one"); now.Health != port.Down || !strings.Contains(now.Message, "another version") {
		t.Fatalf("observed %+v", now)
	}
	if now := s.apply(s.release("one", "2")); now.URL != l.URL || s.get(now, "/version") != "2" {
		t.Fatalf("applied: %+v", now)
	}
	<-gone
}

// Revive needs neither store nor declaration, and takes no other release for this one.
func TestReviveBringsBackWhatIsRecorded(t *testing.T) {
	s := newStage(t)
	reviver := s.server.(port.Reviver)
	if _, err := reviver.Revive(t.Context(), "one", digest.Of(nil)); fault.Of(err) != fault.Missing {
		t.Fatalf("nothing is there: %v", err)
	}
	r, other := s.release("one", "1"), s.release("two", "2")
	l, m := s.apply(r), s.apply(other)
	s.killHost()
	clear(s.store)
	if _, err := reviver.Revive(t.Context(), "one", other.Key); fault.Of(err) != fault.Missing {
		t.Fatalf("another release: %v", err)
	}
	if s.hostPID() != 0 {
		t.Fatal("a host was begun for nothing")
	}
	live, err := reviver.Revive(t.Context(), "one", r.Key)
	if err != nil || live.Health != port.Ready || live.URL != l.URL {
		t.Fatalf("revived: %+v %v", live, err)
	}
	if s.get(l, "/version") != "1" || s.get(m, "/version") != "2" { // the host brings back all of its
		t.Fatal("they do not answer")
	}
}
