// What people rely on when they deploy to this machine.

package server

import (
	"context"
	"encoding/json"
	"fmt"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

func TestLocalKeepsTheServersPromises(t *testing.T) {
	for _, level := range wall.Levels {
		t.Run(string(level), func(t *testing.T) { keepsTheServersPromises(t, level) })
	}
}

func keepsTheServersPromises(t *testing.T, level wall.Level) {
	porttest.Server(t, func(t *testing.T) porttest.Serving {
		s := newStageAt(t, level)
		return porttest.Serving{
			Server: s.server,
			Good:   func(name, version string) port.Release { return s.release(name, version) },
			Broken: func(name, version string) port.Release { return s.release(name, version, "exit") },
			Hung: func(name, version string) port.Release {
				r := s.release(name, version, "never")
				r.Timeout = time.Hour
				return r
			},
		}
	})
}

// load asks url until stopped, over kept and over new connections, with bodies,
// and counts what went wrong.
func load(url string) (stop func() (asked int, lost []string)) {
	var mu sync.Mutex
	var asked int
	var lost []string
	end := make(chan struct{})
	var all sync.WaitGroup
	for i := range 8 {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: i%2 == 0}, Timeout: 30 * time.Second}
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-end:
					return
				default:
				}
				question := fmt.Sprintf("question %d of %d", n, i)
				wrong := ""
				a, err := client.Post(url+"/echo", "text/plain", strings.NewReader(question))
				if err != nil {
					wrong = err.Error()
				} else {
					body, err := io.ReadAll(a.Body)
					a.Body.Close()
					if err != nil || a.StatusCode != 200 || string(body) != question || a.Header.Get(HeaderModel) == "" {
						wrong = fmt.Sprintf("%s %v %q", a.Status, err, body)
					}
				}
				mu.Lock()
				asked++
				if wrong != "" {
					lost = append(lost, wrong)
				}
				mu.Unlock()
			}
		})
	}
	return func() (int, []string) {
		close(end)
		all.Wait()
		return asked, lost
	}
}

func TestNoRequestIsLostInSwitching(t *testing.T) {
	s := newStage(t)
	l := s.apply(s.release("one", "0"))
	stop := load(l.URL)
	var took time.Duration
	for i := 1; i <= 5; i++ {
		began := time.Now()
		s.apply(s.release("one", fmt.Sprint(i)))
		took += time.Since(began)
		if got := s.get(l, "/version"); got != fmt.Sprint(i) {
			t.Errorf("after switch %d version %s answers", i, got)
		}
		// A release that fails costs no request either.
		if _, err := s.server.Apply(context.Background(), s.release("one", fmt.Sprint("bad", i), "exit")); err == nil {
			t.Error("a broken release was applied")
		}
	}
	asked, lost := stop()
	t.Logf("%d requests during 5 switches and 5 failed ones, %d lost; a switch takes %s, of which probation %s", asked, len(lost), took/5, quick.Probation)
	if len(lost) > 0 || asked < 100 {
		t.Fatalf("%d of %d requests lost, the first: %s", len(lost), asked, lost[0])
	}
	s.until("the old releases are gone", func() bool { return only(s) })
}

// lives tells whether pid runs; a zombie has ended.
func lives(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// only tells whether just one release folder is left.
func only(s *stage) bool { return len(folder(s.dir).releases("one")) == 1 }

func TestASlowRequestIsFinishedByTheOldRelease(t *testing.T) {
	s := newStage(t)
	l := s.apply(s.release("one", "old"))
	slow := make(chan string)
	go func() {
		a, err := http.Get(l.URL + "/slow?for=1500ms")
		if err != nil {
			slow <- err.Error()
			return
		}
		defer a.Body.Close()
		b, _ := io.ReadAll(a.Body)
		slow <- string(b)
	}()
	time.Sleep(100 * time.Millisecond) // so that it is under way
	say, hangUp := shout(t, strings.TrimPrefix(l.URL, "http://"))
	defer hangUp()
	s.apply(s.release("one", "new"))
	if got := s.get(l, "/version"); got != "new" {
		t.Fatalf("%s answers after the switch", got)
	}
	if got := say("still there"); got != "STILL THERE" {
		t.Fatalf("an upgraded connection was cut by the switch: %s", got)
	}
	if got := <-slow; got != "old" {
		t.Fatalf("the request under way got %q", got)
	}
}

func TestAnswersStream(t *testing.T) {
	s := newStage(t)
	l := s.apply(s.release("one", "1"))
	a, err := http.Get(l.URL + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	began := time.Now()
	if _, err := a.Body.Read(make([]byte, 16)); err != nil || time.Since(began) > 300*time.Millisecond {
		t.Fatalf("the first line came after %s (%v)", time.Since(began), err)
	}
}

func TestAnAnswerNamesItsModel(t *testing.T) {
	s := newStage(t)
	r := s.release("one", "1")
	l := s.apply(r)
	a, err := http.Get(l.URL + "/version")
	if err != nil {
		t.Fatal(err)
	}
	a.Body.Close()
	if a.Header.Get(HeaderModel) != string(r.Model.Digest) || a.Header.Get(HeaderRelease) != string(r.Key) {
		t.Fatalf("headers: %v", a.Header)
	}
}

func TestAServedProcessSeesWhatIsDeclaredAndNothingElse(t *testing.T) {
	t.Setenv("VISHWA_KEY_PASSWORD", "tell-nobody")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "tell-nobody")
	t.Setenv("DECLARED", "yes")
	s := newStage(t)
	r := s.release("one", "1")
	r.Local.Pass = []string{"DECLARED", "VISHWA_KEY_PASSWORD"}
	r.Inputs = map[string][]byte{"serving": []byte(`{"bucket":"b"}`)}
	r.Params = map[string]any{"threshold": 0.5}
	l := s.apply(r)
	var w map[string]string
	if err := json.Unmarshal([]byte(s.get(l, "/world")), &w); err != nil {
		t.Fatal(err)
	}
	for k, v := range w {
		if strings.Contains(v, "tell-nobody") {
			t.Errorf("%s leaks", k)
		}
	}
	if w["DECLARED"] != "yes" || w["VISHWA_PORT"] == "" || w["PATH"] == "" {
		t.Errorf("variables: %v", w)
	}
	if w["model/model.json"] != "-r--r--r-- weights of 1" || filepath.Base(w["VISHWA_MODEL_DIR"]) != "model" {
		t.Errorf("model: %q at %s", w["model/model.json"], w["VISHWA_MODEL_DIR"])
	}
	if !strings.HasSuffix(w["inputs/SERVING/data"], `{"bucket":"b"}`) || strings.Contains(w["inputs/SERVING/data"], "r--r--r--") {
		t.Errorf("input: %q", w["inputs/SERVING/data"])
	}
	if raw, _ := os.ReadFile(w["VISHWA_PARAMS"]); !strings.Contains(string(raw), `"threshold": 0.5`) {
		t.Errorf("params: %s", raw)
	}
	raw, err := os.ReadFile(folder(s.dir).record("one"))
	if err != nil || strings.Contains(string(raw), `"yes"`) {
		t.Errorf("a variable's value is written down: %v\n%s", err, raw)
	}
}

func TestATakenPortIsAConflictAndNothingChanges(t *testing.T) {
	s := newStage(t)
	l := s.apply(s.release("one", "1"))
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken := other.Addr().(*net.TCPAddr).Port
	r := s.release("one", "2")
	r.Local.Port = taken
	_, err = s.server.Apply(context.Background(), r)
	if fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), fmt.Sprint(taken)) || fault.HintOf(err) == "" {
		t.Fatalf("a taken port: %v (%s)", err, fault.HintOf(err))
	}
	if got := s.get(l, "/version"); got != "1" {
		t.Fatalf("%s answers", got)
	}
	other.Close()
	moved := s.apply(r)
	if moved.URL != fmt.Sprintf("http://127.0.0.1:%d", taken) || s.get(moved, "/version") != "2" {
		t.Fatalf("moved to %+v", moved)
	}
	s.until("the old port is free", func() bool { _, err := http.Get(l.URL); return err != nil })
}

func TestAppliesAtOnceComeOneAfterTheOther(t *testing.T) {
	s := newStage(t)
	keys := map[digest.Digest]bool{}
	var releases []port.Release
	for i := range 3 {
		releases = append(releases, s.release("one", fmt.Sprint(i)), s.release("two", fmt.Sprint(i)))
	}
	var all sync.WaitGroup
	for _, r := range releases {
		keys[r.Key] = true
		// Each from a Server of its own, as from a process of its own.
		server := Local(Config{Env: testEnv(), Store: s.store, Dir: s.dir, Seal: sealOf(s.dir), Pace: quick, Wall: wall.Policy{Level: wall.None}})
		all.Go(func() {
			if _, err := server.Apply(context.Background(), r); err != nil {
				t.Errorf("%s: %v", r.Name, err)
			}
		})
	}
	all.Wait()
	if pids := running("host", s.dir); len(pids) != 1 {
		t.Fatalf("%d hosts run", len(pids))
	}
	for _, name := range []string{"one", "two"} {
		l := s.observe(name)
		if !keys[l.Key] || l.Health != port.Ready {
			t.Fatalf("%s: %+v", name, l)
		}
		s.get(l, "/version")
		s.until("one release is left", func() bool { return len(folder(s.dir).releases(name)) == 1 })
	}
}

// What serves goes on until the new release has answered for as long as it declares.
func TestAReleaseAnswersForAsLongAsItDeclares(t *testing.T) {
	s := newStage(t)
	s.apply(s.release("one", "1"))
	slow := s.release("one", "2")
	slow.Local.MinReady = 6 * quick.Probation
	begun := time.Now()
	live := s.apply(slow)
	if took := time.Since(begun); took < slow.Local.MinReady {
		t.Errorf("it served alone after %s, and declares %s", took, slow.Local.MinReady)
	}
	if live.Key != slow.Key {
		t.Errorf("it serves %s", live.Key)
	}
}
