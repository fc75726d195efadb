// Terms: read whole or reported, and held against the place and time of an entry.

package trust

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func TestTermsAreJudgedByTheLedger(t *testing.T) {
	asha, ci := signer(t), signer(t)
	load := func(term string) *Trust {
		tr, problems := Load([]byte(top+fmt.Sprintf("principals:\n  asha: {ssh: [%q], %s}\ncontrollers:\n  ci: {ssh: %q, %s}\n", public(asha), term, public(ci), term)), "trust.yaml")
		if tr == nil {
			t.Fatal(problems)
		}
		return tr
	}
	day := func(s string) time.Time {
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for name, c := range map[string]struct {
		term string
		seq  int64
		at   string
		want string // "": it counts
	}{
		"no term":                 {"", 9, "2026-03-03T12:00:00Z", ""},
		"before":                  {"validFrom: 2026-03-04", 9, "2026-03-03T23:59:59Z", "counts from"},
		"from that day on":        {"validFrom: 2026-03-03", 9, "2026-03-03T00:00:00Z", ""},
		"until the day is over":   {"validUntil: 2026-03-03", 9, "2026-03-03T23:59:59Z", ""},
		"after":                   {`validUntil: "2026-03-03"`, 9, "2026-03-04T00:00:00Z", "counted until"},
		"until a moment":          {"validUntil: 2026-03-03T12:00:00Z", 9, "2026-03-03T12:00:00Z", "counted until"},
		"revoked, and before it":  {"revoked: {after: 9, reason: stolen}", 9, "2030-01-01T00:00:00Z", ""},
		"revoked, and after it":   {"revoked: {after: 9, reason: stolen}", 10, "2020-01-01T00:00:00Z", "revoked after entry 9 (stolen)"},
		"revoked from the begin":  {"revoked: {after: 0, reason: stolen}", 1, "2020-01-01T00:00:00Z", "revoked after entry 0"},
		"revoked within its term": {"validFrom: 2020-01-01, revoked: {after: 3, reason: left}", 4, "2026-03-03T12:00:00Z", "left"},
	} {
		t.Run(name, func(t *testing.T) {
			tr := load(c.term)
			for who, err := range map[string]error{"controller": tr.ControllerStands("ci", c.seq, day(c.at)), "principal": tr.PrincipalStands("asha", c.seq, day(c.at))} {
				if (err == nil) != (c.want == "") || err != nil && (fault.Of(err) != fault.Denied || !strings.Contains(err.Error(), c.want) || fault.HintOf(err) == "") {
					t.Errorf("%s: %v", who, err)
				}
			}
		})
	}
	var none *Trust
	if none.ControllerStands("ci", 1, time.Time{}) != nil || none.PrincipalStands("asha", 1, time.Time{}) != nil {
		t.Error("without a trust file somebody is refused by it")
	}
}

func TestTermsThatSayNothingAreReported(t *testing.T) {
	for term, want := range map[string]string{
		"validFrom: soon": "principals.asha.validFrom: is not a time",
		"validUntil: 7":   "is not a time",
		"validFrom: 2026-02-01, validUntil: 2026-01-01": "before it begins",
		"validUntil: 2026-01-01, validFrom: 2026-02-01": "before it begins",
		"revoked: true":                                     "is not a mapping",
		"revoked: {after: 3}":                               "revoked.reason: is missing",
		"revoked: {reason: x}":                              "revoked.after: is missing",
		"revoked: {after: -1, reason: x}":                   "is not a number of an entry",
		"revoked: {after: x, reason: x}":                    "is not a number of an entry",
		"revoked: {after: 1, reason: x, on: 2}":             "revoked.on: is not a field",
		"revoked: {after: 99999999999999999999, reason: x}": "is not a number of an entry",
	} {
		tr, problems := Load([]byte(top+"principals:\n  asha: {"+term+"}\n"), "trust.yaml")
		text := fmt.Sprint(problems)
		if tr != nil || !strings.Contains(text, want) {
			t.Errorf("%s: %s; want %q", term, text, want)
		}
	}
}
