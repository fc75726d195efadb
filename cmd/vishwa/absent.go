// What the ledger knows and this machine does not have: an auditor's clone reads what is
// shared, and is told of the rest where it is, and that nothing is wrong with it.

package main

import (
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// absent says of err, met on reading what entry e made, that this machine does not have it.
// What it made itself, and lost, is told as it is.
func (s *station) absent(e *ledger.Entry, what string, err error) error {
	if fault.Of(err) != fault.Missing || e.Machine != "" && e.Machine == s.Machine {
		return err
	}
	if where, way := s.Beside(e.Machine); where != "" {
		return fault.WithHint(fault.New(fault.Missing, "%s of %s was made in entry %d in %s, and is not in the store that this folder reads", what, e.Ref, e.Seq, where), "%s", way)
	}
	return fault.WithHint(fault.New(fault.Missing, "%s of %s was made in entry %d by %s, and is not in the store that this machine reads: it is absent here, and nothing says that it was changed", what, e.Ref, e.Seq, e.Actor),
		"look on the machine that made it, or share the store from there: set spec.store in vishwa.yaml, such as store: {dvc: {}}")
}
