// The laws of showing trackers beside passes: a pass waits for none, what lands meanwhile is shown as
// well, and who lets go waits for what is under way.

package app

import (
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func TestAControllerAsksTheTrackersOfItsFile(t *testing.T) {
	project := &schemas.Project{Trackers: schemas.Trackers{MLflow: &schemas.MLflowTracker{URL: "https://mlflow.example.com"}}}
	for _, c := range []struct {
		may  *[]string
		want bool
	}{{nil, true}, {&[]string{}, false}, {&[]string{"https://other.example.com"}, false}, {&[]string{"https://mlflow.example.com"}, true}} {
		_, err := trackers(project, Options{Trackers: c.may}, "m", nil)[0].Record(t.Context(), port.Projection{}, true) // nothing is asked for nothing
		if c.want != (err == nil) || err != nil && fault.Of(err) != fault.Denied {
			t.Errorf("%v: %v", c.may, err)
		}
	}
}

func TestTrackersAreShownBesideThePasses(t *testing.T) {
	s := newTrackings()
	began, goOn := make(chan int, 8), make(chan bool)
	n := 0
	do := func() bool { n++; began <- n; return <-goOn }
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
	goOn <- true // it would be tried again in half a minute
	<-closed
	if n != 2 {
		t.Errorf("it was done %d times", n)
	}
	s.begin("main", func() bool { return true }) // a last one is done once
	s.close()
}
