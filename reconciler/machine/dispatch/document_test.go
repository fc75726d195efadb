// What is handed over is read by who speaks its version, and by nobody who would have to guess.

package dispatch

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/work"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func TestAnotherVersionIsSaidAndNotGuessed(t *testing.T) {
	job := port.Job{Command: []string{"true"}}
	name, err := JobDigest(job)
	if err != nil {
		t.Fatal(err)
	}
	const nonce = "of this launch"
	for what, c := range map[string]struct {
		of   func(version int) any
		read func(raw []byte) error
	}{
		"ticket":         {func(v int) any { return Ticket{Version: v} }, func(raw []byte) error { _, err := ReadTicket(raw); return err }},
		"job's document": {func(v int) any { return Document{Version: v, Job: name, Order: work.Order{Job: job}} }, func(raw []byte) error { _, err := ReadDocument(raw); return err }},
		"result":         {func(v int) any { return Manifest{Version: v, Job: name, Nonce: nonce} }, func(raw []byte) error { _, err := ReadManifest(raw, name, nonce); return err }},
	} {
		for version, good := range map[int]bool{Version: true, Version - 1: false, Version + 1: false} {
			raw, err := json.Marshal(c.of(version))
			if err != nil {
				t.Fatal(err)
			}
			err = c.read(raw)
			switch {
			case good && err != nil:
				t.Errorf("%s of this version: %v", what, err)
			case !good && (fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), what+" is of version") || !strings.Contains(fault.HintOf(err), "one version")):
				t.Errorf("%s of version %d: %v (%s)", what, version, err, fault.HintOf(err))
			}
		}
	}
}
