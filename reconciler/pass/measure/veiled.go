// Personal columns: the log leaves them out, or has hashes in their place, so that they are no column of another schema, and no drift.

package measure

import (
	"github.com/vishwaops/vishwa/reconciler/engine/sample"
	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/schemas"
)

// veiled is why a personal column of a log cannot be held against data that has its values; "": it can.
func (s *session) veiled(name string, now *sample.Side) string {
	if s.baseline != nil || s.logged(s.spec.Reference) || s.spec.Current.From != (schemas.Ref{}) && !s.logged(s.spec.Current.From) {
		return ""
	}
	for i := range s.in.Graph.Nodes {
		n := &s.in.Graph.Nodes[i]
		log, ok := n.Decl.Spec.(schemas.Logged)
		if !ok || n.Ref != s.spec.Deployment || log.Logs() == nil || !predictions.Personal(n.Recipe.Personal, name) {
			continue
		}
		switch {
		case log.Logs().Personal == "hash":
			return "it is personal, and the log has hashes of its values; a baseline of the log has them too"
		case int64(now.Nulls(name)) == now.Rows:
			return "it is personal, and the log leaves it out"
		}
	}
	return ""
}

// logged tells whether a dataset is itself of a log of predictions.
func (s *session) logged(ref schemas.Ref) bool {
	for _, d := range s.in.Decls {
		if data, ok := d.Spec.(schemas.Data); ok && d.Ref() == ref.Whole() && data.Data().Source.Predictions != nil {
			return true
		}
	}
	return false
}
