// What is counted reads as English.

package plural

import "testing"

func TestOne(t *testing.T) {
	for want, got := range map[string]string{
		"1 file": Of(1, "file"), "0 files": Of(0, "file"), "2 files": Of(int64(2), "file"), "1 entry": Of(1, "entry"), "3 entries": Of(3, "entry"),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
