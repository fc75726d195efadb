// What Git says is told from what the remote says of itself.

package gitremote

import (
	"strings"

	"testing"

	"github.com/vishwaops/vishwa/reconciler/machine/dial"
)

// TestProgressIsToldFromTalk: what the remote says of itself, without end, is no byte of
// the transfer; Git's own work is.
func TestProgressIsToldFromTalk(t *testing.T) {
	for name, c := range map[string]struct {
		said  string
		moved int
		kept  string
	}{
		"talk":              {"remote: Counting objects:  12% (3/25)\rremote: Compressing objects: 100% (3/3), done.\n", 0, ""},
		"a message":         {"remote: welcome\r\nfatal: no\n", 0, "remote: welcome\r\nfatal: no\n"},
		"bytes":             {"Receiving objects:   1% (1/99), 100 bytes | 100 bytes/s\rReceiving objects:   2% (2/99), 1.50 KiB | 1 KiB/s\r", 1536, ""},
		"the same again":    {"Receiving objects:   2% (2/99), 1.50 KiB | 1 KiB/s\rReceiving objects:   2% (2/99), 1.50 KiB | 1 KiB/s\r", 1536, ""},
		"in two parts":      {"Unpacking objects: 1% (1/2), 2 by\x00tes | 1 bytes/s\r", 2, ""},
		"objects alone":     {"Receiving objects:   1% (1/99)\rReceiving objects:   2% (2/99)\r", 0, ""},
		"work":              {"Resolving deltas:  10% (1/10)\r", 1000, ""},
		"talk of work":      {"remote: Resolving deltas:  10% (1/10)\r", 0, ""},
		"no end of line":    {"fatal: it broke", 0, "fatal: it broke"},
		"more than is kept": {strings.Repeat("x", 2*longest) + "\nfatal: no\n", 0, "fatal: no\n"},
	} {
		t.Run(name, func(t *testing.T) {
			h := &Hearing{pace: dial.Pace{Least: 1000}}
			moved := 0
			for part := range strings.SplitSeq(c.said, "\x00") {
				moved += h.hear([]byte(part))
			}
			if moved != c.moved {
				t.Errorf("%d bytes, want %d", moved, c.moved)
			}
			if got := h.Text(); got != c.kept {
				t.Errorf("kept %.80q, want %q", got, c.kept)
			}
		})
	}
}
