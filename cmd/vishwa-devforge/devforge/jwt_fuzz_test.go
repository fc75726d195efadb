// The token of an App is read before it is believed: whatever it is, it is only refused.

package devforge

import (
	"strings"
	"testing"
)

func FuzzParseJWT(f *testing.F) {
	f.Add("")
	f.Add("..")
	f.Add("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiI3IiwiZXhwIjoxfQ.AA")
	f.Add("eyJhbGciOiJub25lIn0.eyJpc3MiOjd9.")
	f.Fuzz(func(t *testing.T, s string) {
		_, _, _, err := parseJWT(s)
		if err == nil && strings.Count(s, ".") != 2 {
			t.Errorf("%q was read as a token", s)
		}
	})
}

func FuzzParseUpdates(f *testing.F) {
	f.Add(zeroSHA + " " + zeroSHA + " refs/heads/main\n")
	f.Add("x y z\n\n")
	f.Fuzz(func(t *testing.T, s string) {
		for _, u := range parseUpdates(s) {
			if len(u.old) != 40 || len(u.new) != 40 || u.ref == "" {
				t.Errorf("%q gave %+v", s, u)
			}
		}
	})
}
