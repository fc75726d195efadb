// The law of approvers: what is signed says who approved in fields, and in the same words.

package ledger

import (
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

func approved() Entry {
	return Entry{Action: Deploy, Seq: 1, Prev: digest.Of([]byte("a")), Actor: "controller:c", Key: digest.Of([]byte("k"))}
}

func TestApproversAreFieldsAndTheSameText(t *testing.T) {
	e := approved()
	e.ApprovedBy([]Approver{{"asha", trust.Forge}, {"ben", trust.Signature}})
	b, err := Statement(e)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(b)
	if err != nil || len(got.Approvers) != 2 || got.Approvers[0] != (Approver{"asha", trust.Forge}) ||
		got.Approved[0] != "principal:asha (as the forge asserts)" || got.Approved[1] != "principal:ben" {
		t.Errorf("%+v, %v", got, err)
	}
	e.ApprovedBy(nil)
	if e.Approved != nil || e.Approvers != nil {
		t.Errorf("nobody: %+v", e)
	}
}

func TestApproversOfOtherWordsAreRefused(t *testing.T) {
	for name, change := range map[string]func(*Entry){
		"the text names another":    func(e *Entry) { e.Approved[0] = "principal:ben" },
		"the text names one more":   func(e *Entry) { e.Approved = append(e.Approved, "principal:ben") },
		"the text names nobody":     func(e *Entry) { e.Approved = nil },
		"a signature by the text":   func(e *Entry) { e.Approved[0] = "principal:asha" },
		"a class that nobody knows": func(e *Entry) { e.ApprovedBy([]Approver{{"asha", "Wish"}}) },
	} {
		e := approved()
		e.ApprovedBy([]Approver{{"asha", trust.Forge}})
		change(&e)
		if _, err := Statement(e); fault.Of(err) != fault.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEntriesOfBeforeHaveTheTextAlone: they read as they were, to the byte.
func TestEntriesOfBeforeHaveTheTextAlone(t *testing.T) {
	e := approved()
	e.Approved = []string{"principal:asha (as the forge asserts)"}
	b, err := Statement(e)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(b)
	if err != nil || got.Approvers != nil || len(got.Approved) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}
