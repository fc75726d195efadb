// A worker's ticket is its launcher's, whatever the image that it is in says.

package dispatch

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func TestTheTicketOfTheFileComesBeforeAVariable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ticket")
	if err := os.WriteFile(file, []byte("the launcher's"), 0o400); err != nil {
		t.Fatal(err)
	}
	locked := filepath.Join(file, "below") // a path that cannot be read is not one without a ticket
	for name, c := range map[string]struct {
		file  string
		env   map[string]string
		want  string
		fails bool
	}{
		"the file":            {file, nil, "the launcher's", false},
		"both":                {file, map[string]string{port.TicketVariable: "the image's"}, "the launcher's", false},
		"the variable":        {filepath.Join(t.TempDir(), "none"), map[string]string{port.TicketVariable: "given"}, "given", false},
		"neither":             {filepath.Join(t.TempDir(), "none"), nil, "", true},
		"what cannot be read": {locked, map[string]string{port.TicketVariable: "the image's"}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			left := c.env
			got, err := ownTicket(c.file, func(k string) (string, bool) { v, ok := left[k]; return v, ok }, func(k string) error { delete(left, k); return nil })
			if string(got) != c.want || (err != nil) != c.fails {
				t.Errorf("%q, %v", got, err)
			}
			if name == "neither" && fault.Of(err) != fault.Missing {
				t.Errorf("%v, want Missing", err)
			}
			if len(left) > 0 {
				t.Errorf("the run would see %v", left)
			}
		})
	}
}
