package ledger

import (
	"reflect"
	"strings"
	"testing"
)

// TestAnEntryIsNamedInAllThatItTells: why, what rules found and how it failed; the entry that was given, and what is declared, stay as they are.
func TestAnEntryIsNamedInAllThatItTells(t *testing.T) {
	const at = "/srv/ctl/x"
	entry := func(text string) Entry {
		return Entry{Reason: text, Findings: []Finding{{Rule: "a/b", Message: text, Hint: text}}, Failure: &Failure{Cause: "exit", Message: text, Tail: text, Kept: at}, Machine: at}
	}
	e := entry(at)
	if got, want := e.Named(func(text string) string { return strings.ReplaceAll(text, "/srv/ctl", "~") }), entry("~/x"); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if !reflect.DeepEqual(e, entry(at)) {
		t.Errorf("the entry was changed: %+v", e)
	}
}
