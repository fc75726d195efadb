// The laws of a site's own entries: they hide nothing that others wrote below them.

package app

import (
	"fmt"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/controller"
)

func TestOwnEntriesAreToldFromOthers(t *testing.T) {
	var l ledgers
	l.wrote("", "own0")
	l.wrote("own0", "own1")
	l.wrote("theirs2", "own3")  // on top of what another wrote on top of own1
	l.wrote("theirs2", "own3b") // the push of own3 was refused, and it was made anew
	l.wrote("own3b", "own4")
	for tip, want := range map[string]string{
		"own0": controller.NoLedger, "own1": controller.NoLedger, "theirs2": "", "own3": "theirs2", "own4": "theirs2", "": "",
	} {
		if got := l.before(tip); got != want {
			t.Errorf("below %q others left %q, want %q", tip, got, want)
		}
	}
	before := "own4"
	for n := range 3 * mostWrote {
		next := fmt.Sprint("more", n)
		l.wrote(before, next)
		before = next
	}
	if got := l.before(before); got != "theirs2" || len(l.under) > mostWrote {
		t.Errorf("after many entries, others left %q, and %d are known", got, len(l.under))
	}
}
