// The controller's state folder.

package main

import (
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Two controllers with one memory would each take the other's work for done.
func TestAStateFolderIsOneControllers(t *testing.T) {
	dir := t.TempDir()
	first, err := alone(dir)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := alone(dir); err == nil {
		f.Close()
		t.Error("a second controller took the folder")
	} else if fault.Of(err) != fault.Conflict || !strings.Contains(fault.HintOf(err), "state: DIR") {
		t.Errorf("a second controller is told %v; %s", err, fault.HintOf(err))
	}
	first.Close()
	second, err := alone(dir)
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	second.Close()
}
