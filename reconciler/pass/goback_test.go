// Whoever may only write has nothing go back where approvals are asked for.

package pass

import (
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/engine/guard"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

func TestWhereApprovalsAreAskedForApproversAloneHaveADeploymentGoBack(t *testing.T) {
	people := "apiVersion: vishwa.dev/v1alpha1\nkind: Trust\ncontrollers: {}\nprincipals:\n" +
		"  asha: {emails: [asha@example.com], forge: {github: asha}, roles: [approver]}\n" +
		"  ben: {emails: [ben@example.com], forge: {github: ben}, roles: [reader]}\n" +
		"  old: {emails: [old@example.com], forge: {github: old}, roles: [approver], validUntil: \"2020-01-01\"}\n"
	guarded := "staging: {approvals: 2, reviews: true}"
	for name, c := range map[string]struct{ staging, login, says string }{
		"an approver":                       {guarded, "Asha", ""},
		"another role":                      {guarded, "ben", "ben is not in the role approver"},
		"somebody unnamed":                  {guarded, "mallory", "does not name mallory"},
		"an approver who was":               {guarded, "old", "does not count"},
		"where the forge's word is none":    {"staging: {approvals: 1}", "asha", "no approval there"},
		"a writer, where nobody is asked":   {"staging: {}", "mallory", ""},
		"no trust file that names somebody": {"staging: {approvals: 1, reviews: true} ", "asha", "no trust file"},
	} {
		t.Run(name, func(t *testing.T) {
			work := tree(with("trust.yaml", people), replaced("staging: {}", c.staging))
			if c.says == "no trust file" {
				work = tree(replaced("staging: {}", c.staging))
			}
			h, _ := newHouse(work)
			rev, in, err := h.Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			err = h.MaySay(t.Context(), in, rev, ref("deployment/s"), guard.Speaker{Forge: "github", Login: c.login})
			on := h.MaySay(t.Context(), in, rev, ref("deployment/s"), guard.Speaker{Forge: "github", Login: c.login, Asks: guard.GoOn})
			if fault.Of(on) != fault.Of(err) || on != nil && !strings.Contains(fault.HintOf(on), "vishwa resume deployment/s") {
				t.Errorf("going on: %v: %s", on, fault.HintOf(on))
			}
			if c.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if fault.Of(err) != fault.Denied || !strings.Contains(err.Error(), c.says) || !strings.Contains(fault.HintOf(err), "vishwa rollback deployment/s --reason") {
				t.Errorf("%v: %s", err, fault.HintOf(err))
			}
		})
	}
	// It counts also for what was released before anybody was asked.
	h, w := newHouse(tree(with("trust.yaml", people)))
	apply(t, h)
	h.commit(w, two, tree(with("trust.yaml", people), replaced("staging: {}", guarded)))
	rev, in, err := h.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := h.MaySay(t.Context(), in, rev, ref("deployment/s"), guard.Speaker{Forge: "github", Login: "mallory"}); fault.Of(err) != fault.Denied {
		t.Errorf("of what is served, under a guard that is new: %v", err)
	}
}
