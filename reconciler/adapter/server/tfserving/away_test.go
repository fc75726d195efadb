// A server that crashes, is away, or is shared.

package tfserving

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

// A server that begins anew reads what it served; a controller that does knows what it served.
func TestACrashEndsNothing(t *testing.T) {
	s := newStage(t)
	r := s.release("one", "1")
	l := s.apply(r)
	s.double.Crash()
	porttest.Until(t, 5*time.Second, "it serves again", func() bool { return s.observe("one").Health == port.Ready }, func() any { return s.observe("one") })
	s.begin()
	if again := s.apply(r); !again.Since.Equal(l.Since) || !slices.Equal(s.double.Loaded("one"), []int64{1}) {
		t.Errorf("%+v", again)
	}
	_ = os.RemoveAll(filepath.Join(s.state, "state")) // as another replica has it
	s.begin()
	if again := s.apply(r); !again.Since.Equal(l.Since) || !slices.Equal(s.double.Loaded("one"), []int64{1}) {
		t.Errorf("of another replica: %+v", again)
	}
	_ = os.RemoveAll(filepath.Join(s.state, "state"))
	s.begin()
	s.apply(port.Release{Name: "one"})
	if left, _ := filepath.Glob(filepath.Join(s.folder, "one")); len(left) > 0 || strings.Contains(s.read("models.config"), "one") {
		t.Errorf("left are %q and %s", left, s.read("models.config"))
	}
}

// TestAnApplyThatEndedIsGoneOnWith: the server was away when the version was to be loaded.
func TestAnApplyThatEndedIsGoneOnWith(t *testing.T) {
	s := newStage(t)
	s.apply(s.release("one", "1"))
	s.double.Deaf(true)
	r := s.release("one", "2")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	go func() {
		<-time.After(100 * time.Millisecond)
		s.double.Away(true)
	}()
	if _, err := s.server.Apply(ctx, r); err == nil {
		t.Fatal("what nobody loads is served")
	}
	s.double.Away(false)
	s.double.Deaf(false)
	if l := s.observe("one"); l.Health != port.Ready || !strings.Contains(s.ask(l), `"1"`) {
		t.Fatalf("%+v", l)
	}
	if l := s.apply(r); !strings.Contains(s.ask(l), `"2"`) {
		t.Fatalf("%+v", l)
	}
}

func TestAServerThatIsAwayEndsNothing(t *testing.T) {
	s := newStage(t)
	r := s.release("one", "1")
	s.apply(r)
	s.double.Away(true)
	if l := s.observe("one"); l.Health != port.Failing || l.Key != r.Key || !strings.Contains(l.Message, "ask the server how it is") {
		t.Errorf("observed %+v", l)
	}
	if _, err := s.server.Apply(t.Context(), s.release("one", "2")); fault.Of(err) != fault.Transient || fault.HintOf(err) == "" {
		t.Errorf("a release without a server: %v, %s", err, fault.Of(err))
	}
	s.double.Away(false)
	if l := s.observe("one"); l.Health != port.Ready || l.Key != r.Key {
		t.Errorf("observed %+v", l)
	}
	s.double.Deaf(true)
	late := s.release("one", "3")
	late.Timeout = 200 * time.Millisecond
	if _, err := s.server.Apply(t.Context(), late); fault.Of(err) != fault.Transient || !strings.Contains(fault.HintOf(err), "--model_config_file_poll_wait_seconds") {
		t.Errorf("a server that does not read its config: %v, hint %q", err, fault.HintOf(err))
	}
	s.double.Deaf(false)
	if l := s.observe("one"); l.Health != port.Ready || l.Key != r.Key {
		t.Errorf("observed %+v", l)
	}
}

// TestWhatIsNotOursIsLeftAlone, whatever it is called; and taken over where that is said.
func TestWhatIsNotOursIsLeftAlone(t *testing.T) {
	const theirs = "# of the team\nmodel_config_list {\n  config { name: 'one' base_path: \"FOLDER/one\" model_platform: 'tensorflow'\n    version_labels { key: 'stable' value: 3 } version_labels { key: 'old' value: 3 } }\n  config { name: 'else' base_path: 'FOLDER/else' }\n}\n"
	s := newStage(t)
	s.put("one/3/saved_model.pb", "theirs")
	s.put("else/1/saved_model.pb", "theirs")
	s.put("models.config", strings.ReplaceAll(theirs, "FOLDER", s.folder))
	was := s.read("models.config")
	porttest.Until(t, 5*time.Second, "it is loaded", func() bool { return slices.Equal(s.double.Loaded("one"), []int64{3}) }, nil)

	r := s.release("one", "4")
	for range 2 {
		if _, err := s.server.Apply(t.Context(), r); fault.Of(err) != fault.Conflict || !strings.Contains(fault.HintOf(err), "adopt") {
			t.Fatalf("%v, hint %q", err, fault.HintOf(err))
		}
	}
	if s.read("models.config") != was || s.observe("one") != (port.Live{}) {
		t.Errorf("it was changed:\n%s", s.read("models.config"))
	}
	s.apply(port.Release{Name: "one"})
	if s.read("models.config") != was {
		t.Error("what is not ours was retired")
	}

	broken := serving(s).Broken("one", "5")
	broken.TFServing.Adopt = true
	if _, err := s.server.Apply(t.Context(), broken); fault.Of(err) != fault.Invalid {
		t.Fatalf("what cannot be loaded takes over: %v", err)
	}
	if s.read("models.config") != was || s.observe("one") != (port.Live{}) || !slices.Equal(s.double.Loaded("one"), []int64{3}) {
		t.Errorf("it is not as it was: %+v, %v\n%s", s.observe("one"), s.double.Loaded("one"), s.read("models.config"))
	}
	r.TFServing.Adopt = true
	l := s.apply(r)
	if !strings.Contains(s.ask(l), `"4"`) || s.read("one/3/saved_model.pb") != "theirs" || slices.Contains(s.double.Loaded("one"), 3) {
		t.Errorf("loaded are %v", s.double.Loaded("one"))
	}
	s.apply(port.Release{Name: "one"})
	if s.read("one/3/saved_model.pb") != "theirs" || !strings.Contains(s.read("models.config"), "config { name: 'else'") || !strings.HasPrefix(s.read("models.config"), "# of the team") {
		t.Errorf("what is theirs is gone:\n%s", s.read("models.config"))
	}
}

// Another Vishwa's is another's.
func TestTwoVishwasShareAServer(t *testing.T) {
	s := newStage(t)
	s.apply(s.release("one", "1"))
	key, err := seal.KeyOf(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	other := s.open("other", key)
	if _, err := other.Apply(t.Context(), s.release("one", "2")); fault.Of(err) != fault.Conflict {
		t.Errorf("it takes what is another's: %v", err)
	}
	r := s.release("one", "2")
	r.TFServing.Adopt = true
	if _, err := other.Apply(t.Context(), r); fault.Of(err) != fault.Conflict || !strings.Contains(fault.HintOf(err), "one/.vishwa") || !slices.Equal(s.double.Loaded("one"), []int64{1}) {
		t.Errorf("it takes over what is another's: %v, hint %q", err, fault.HintOf(err))
	}
	if _, err := other.Apply(t.Context(), port.Release{Name: "one"}); err != nil || s.observe("one").Health != port.Ready {
		t.Errorf("it retires what is another's: %v", err)
	}
	if _, err := other.Apply(t.Context(), s.release("two", "1")); err != nil || s.observe("one").Health != port.Ready {
		t.Errorf("they do not share it: %v", err)
	}
	// Nor is it taken back from whoever made it theirs where it was removed by hand.
	if err := os.RemoveAll(filepath.Join(s.folder, "one")); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Apply(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	was := s.read("models.config")
	if _, err := s.server.Apply(t.Context(), s.release("one", "3")); fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "another Vishwa serves model one") || s.read("models.config") != was {
		t.Errorf("it takes back what is another's by now: %v\n%s", err, s.read("models.config"))
	}
}

// hangs takes requests and answers none.
type hangs struct{ asked *int }

func (h hangs) RoundTrip(r *http.Request) (*http.Response, error) {
	*h.asked++
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// TestAServerThatHangsIsWaitedForOnceInALook: however many deployments it has, and in the next look once more.
func TestAServerThatHangsIsWaitedForOnceInALook(t *testing.T) {
	s := newStage(t)
	names := []string{"one", "two", "three"}
	for _, name := range names {
		s.apply(s.release(name, "1"))
	}
	ours, asked := s.server.(*server), 0
	answering := ours.client.Transport
	ours.client.Transport = hangs{&asked}
	synctest.Test(t, func(t *testing.T) {
		for look := range 2 {
			began := time.Now()
			view := ours.Survey()
			for _, name := range names {
				l, err := view.Observe(t.Context(), name)
				if err != nil || l.Health != port.Failing || !strings.Contains(l.Message, "it did not answer within 10s") {
					t.Errorf("%s: observed %+v, %v", name, l, err)
				}
			}
			if took := time.Since(began); took != answers || asked != look+1 {
				t.Errorf("look %d took %s, and asked %d times by then", look+1, took, asked)
			}
		}
	})
	ours.client.Transport = answering
	if l, err := ours.Survey().Observe(t.Context(), "one"); err != nil || l.Health != port.Ready {
		t.Errorf("once it answers: %+v, %v", l, err)
	}
}
