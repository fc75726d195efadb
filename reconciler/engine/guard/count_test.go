// What is said of guards where nobody is named who may approve.

package guard

import (
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// TestThatNobodyMayApproveIsSaidOnce: before a change and after it, it is one thing to do.
func TestThatNobodyMayApproveIsSaidOnce(t *testing.T) {
	now := Guard{Place: "production", Why: goes, Need: 1, Roles: []string{"approver"}, Unknown: schemas.UnknownTwo, Trust: &trust.Trust{}, Where: "trust.yaml:4"}
	was := now
	was.Revision, was.Where = "0123456789abcdef", "trust.yaml:3"
	strangers := []port.Hand{{SHA: "1", Author: "eve@example.com", Committer: "eve@example.com"}}
	both := Count([]Guard{now, was}, nil, strangers)
	if both[0].Message != both[1].Message || both[0].Hint != both[1].Hint || !strings.Contains(both[0].Message, "names nobody in that role") {
		t.Errorf("%s\n%s", both[0].Message, both[1].Message)
	}
	more, elsewhere, lost := was, was, Lost("production", fault.New(fault.Missing, "the clone is shallow"))
	more.Need, elsewhere.Place = 2, "staging"
	for _, other := range []Guard{more, elsewhere, lost} {
		if got := Count([]Guard{now, other}, nil, strangers); got[0].Message == got[1].Message || got[1].Met {
			t.Errorf("%s\n%s", got[0].Message, got[1].Message)
		}
	}
}
