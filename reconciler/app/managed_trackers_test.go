// The laws of showing trackers beside passes: a pass waits for none, what lands meanwhile is shown as
// well, and who lets go waits for what is under way.

package app

import "testing"

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
