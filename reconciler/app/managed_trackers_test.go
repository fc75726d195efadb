// The laws of showing trackers beside passes: a pass waits for none, what lands meanwhile is shown as
// well, and who lets go waits for what is under way.

package app

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/pass/track"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func TestAControllerAsksTheTrackersOfItsFile(t *testing.T) {
	project := &schemas.Project{Trackers: schemas.Trackers{MLflow: &schemas.MLflowTracker{URL: "https://mlflow.example.com"}}}
	key, err := seal.KeyOf(bytes.Repeat([]byte("k"), 32))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		may  *[]string
		want bool
	}{{nil, true}, {&[]string{}, false}, {&[]string{"https://other.example.com"}, false}, {&[]string{"https://mlflow.example.com"}, true}} {
		_, err := new(Repository).declaredTrackers(project, Options{Trackers: c.may}, key)[0].Record(t.Context(), port.Projection{}, true) // nothing is asked for nothing
		if c.want != (err == nil) || err != nil && fault.Of(err) != fault.Denied {
			t.Errorf("%v: %v", c.may, err)
		}
	}
}

// TestWhichRunsAreOursIsSealed: what another wrote into the state folder, or moved there, says nothing.
func TestWhichRunsAreOursIsSealed(t *testing.T) {
	key, err := seal.KeyOf(bytes.Repeat([]byte("k"), 32))
	if err != nil {
		t.Fatal(err)
	}
	w := madeRuns{filepath.Join(t.TempDir(), "trackers"), key}
	one, two, run := digest.Of([]byte("one")), digest.Of([]byte("two")), map[digest.Digest]string{digest.Of(nil): "1"}
	if err := w.Keep(one, run); err != nil || !maps.Equal(w.Runs(one), run) || len(w.Runs(two)) != 0 {
		t.Errorf("%v: %v, %v", err, w.Runs(one), w.Runs(two))
	}
	from, _ := w.file(one)
	to, _ := w.file(two)
	if err := os.Rename(from, to); err != nil || len(w.Runs(two)) != 0 || len(w.Runs(one)) != 0 {
		t.Errorf("it was moved: %v, %v", w.Runs(two), err)
	}
}

func TestTrackersAreShownBesideThePasses(t *testing.T) {
	s := newTrackings()
	began, goOn := make(chan int, 8), make(chan bool)
	n := 0
	var read *track.Reading
	do := func(r *track.Reading) bool {
		if n++; n > 1 && r != read {
			t.Error("what was read is not kept from one time to the next")
		}
		read = r
		began <- n
		return <-goOn
	}
	s.begin("main", do) // and comes back
	<-began
	for range 3 { // passes that end meanwhile
		s.begin("main", do)
	}
	goOn <- false
	if got := <-began; got != 2 {
		t.Errorf("what landed meanwhile is shown as number %d", got)
	}
	closed := make(chan bool)
	go func() { s.close(); s.close(); close(closed) }()
	<-s.closed
	s.begin("main", do) // while what is under way ends
	goOn <- true        // it would be tried again in half a minute
	<-closed
	s.begin("main", do)
	s.begin("other", do)
	s.all.Wait()
	if n != 2 {
		t.Errorf("it was done %d times: nobody waits for what is begun after the end", n)
	}
}

// TestALandingEndsTheWaitOfATracker: what failed is tried again when something lands, however long it would have waited, and as often as at first.
func TestALandingEndsTheWaitOfATracker(t *testing.T) {
	s := newTrackings()
	s.pause = time.Hour
	began := make(chan int, 2*trackTries)
	n := 0
	do := func(*track.Reading) bool { n++; began <- n; return n <= trackTries+2 }
	s.begin("main", do)
	for want := 1; want <= trackTries+2; want++ {
		if got := <-began; got != want {
			t.Fatalf("it was tried as number %d, want %d", got, want)
		}
		s.begin("main", do) // something landed, while it is tried or after
	}
	if got := <-began; got != trackTries+3 {
		t.Errorf("the last is number %d", got)
	}
	s.close()
}
