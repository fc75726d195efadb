package predictions

import (
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

func TestAnIntegerIsOneIDHoweverItIsWritten(t *testing.T) {
	for cell, want := range map[string]string{
		"1": "1", "1.0": "1", "1.000": "1", "1.": "1", "1e+00": "1", "1E+2": "100", "1.5e+01": "15", "-3.0": "-3", "0.0": "0", "-0.0": "0",
		"1e+05": "100000", "1.23456789e+08": "123456789", "9007199254740991.0": "9007199254740991",
		// and these are what they are
		"": "", "1.5": "1.5", "007": "007", "007.0": "007.0", "1e5": "1e5", "1.0e5": "1.0e5", "123e4": "123e4", "+1.0": "+1.0", ".0": ".0", "1.0.0": "1.0.0", "192.168.0.1": "192.168.0.1",
		"9007199254740992.0": "9007199254740992.0", "9007199254740993": "9007199254740993", "1e+400": "1e+400", "0x1.0p+4": "0x1.0p+4", "1_0.0": "1_0.0", " 1.0": " 1.0",
		"+491711234": "+491711234", "a.0": "a.0", "-": "-", "-.": "-.", "inf.": "inf.", "1,0": "1,0", "٣.0": "٣.0", "order-1.0": "order-1.0",
	} {
		if got := ID([]byte(cell)); got != want {
			t.Errorf("%q is the id %q, want %q", cell, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(-exact+1, exact-1).Draw(t, "n")
		want := strconv.FormatInt(n, 10)
		for _, written := range []string{want, want + ".0", strconv.FormatFloat(float64(n), 'e', -1, 64), strconv.FormatFloat(float64(n), 'f', 2, 64)} {
			if got := ID([]byte(written)); got != want {
				t.Fatalf("%s is the id %s, want %s", written, got, want)
			}
		}
	})
}
