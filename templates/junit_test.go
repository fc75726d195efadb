// JUnit results are well-formed, count right, and fail for what stands in the way.

package templates

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func junit(t interface{ Fatal(...any) }, r Report) (string, junitSuites) {
	var b strings.Builder
	if err := JUnit(&b, r); err != nil {
		t.Fatal(err)
	}
	var got junitSuites
	if err := xml.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err, b.String())
	}
	return b.String(), got
}

func TestTestResultsFailForWhatStandsInTheWay(t *testing.T) {
	all := reports(t)
	for name, want := range map[string]struct{ tests, failures, skipped int }{
		"nothing":    {6, 0, 0},
		"denied":     {6, 2, 4},
		"regression": {6, 1, 1},
		"failed":     {6, 1, 0},
		"broken":     {2, 2, 0},
		"conflict":   {2, 2, 0},
		"error":      {1, 1, 0},
		"abandoned":  {1, 0, 1},
		"many":       {300, 0, 0},
	} {
		_, got := junit(t, all[name])
		if got.Tests != want.tests || got.Failures != want.failures || got.Skipped != want.skipped {
			t.Errorf("%s: %d tests, %d failures, %d skipped, want %+v", name, got.Tests, got.Failures, got.Skipped, want)
		}
	}
	for _, name := range []string{"denied", "failed", "broken", "hostile"} {
		text, _ := junit(t, all[name])
		golden(t, "junit-"+name+".xml", []byte(text))
	}
}

func TestTestResultsAreWellFormed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, got := junit(t, anyReport(t, 3))
		d, tests := xml.NewDecoder(strings.NewReader(text)), 0
		for {
			token, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if e, is := token.(xml.StartElement); is && e.Name.Local == "testcase" {
				tests++
			}
		}
		sum := 0
		for _, s := range got.Suites {
			sum += s.Tests
			if s.Tests != len(s.Cases) || s.Name == "" {
				t.Fatalf("suite %q says %d tests and has %d", s.Name, s.Tests, len(s.Cases))
			}
		}
		if sum != got.Tests || tests != got.Tests {
			t.Fatalf("%d tests are said, %d are there", got.Tests, tests)
		}
	})
}
