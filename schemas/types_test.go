package schemas

import (
	"testing"
	"time"
)

func TestDurationsTakeDaysAndWeeks(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "1.5h": 90 * time.Minute, "3d": 72 * time.Hour, "0.5d": 12 * time.Hour, "1w": 168 * time.Hour, "1w2d3h": 219 * time.Hour, "-1d": -24 * time.Hour,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%s is %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "1", "1 d", "1D", "1dd", "9999999999w", "1w-2d"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q is %s", text, got)
		}
	}
}
