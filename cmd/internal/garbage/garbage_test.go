package garbage

import "testing"

// A heap grows up to the room that a command has, and beyond it by the percentage alone.
func TestGarbageIsLookedForBeyondTheRoom(t *testing.T) {
	for name, c := range map[string]struct{ live, room, percent, want uint64 }{
		"nothing yet":        {0, 48 << 20, 40, 1100},
		"little":             {8 << 20, 48 << 20, 40, 500},
		"near the room":      {40 << 20, 48 << 20, 40, 40},
		"beyond it":          {100 << 20, 48 << 20, 40, 40},
		"no room, little":    {1 << 20, 0, 40, 40},
		"no room, very much": {1 << 30, 0, 40, 40},
	} {
		if got := growth(c.live, c.room, c.percent); got != c.want {
			t.Errorf("%s: %d %%, want %d", name, got, c.want)
		}
	}
}
