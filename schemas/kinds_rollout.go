// When, and in which steps, a new release of a deployment takes the place of the one that serves.

package schemas

import (
	"fmt"
	"time"

	"github.com/vishwaops/vishwa/reconciler/calendar"
)

// Rollout says when a new release takes the place of the one that serves. What served before and comes back, after a crash or by a rollback, waits for nothing.
type Rollout struct {
	// Freeze lists the times in which nothing new is released.
	Freeze []Freeze `json:"freeze,omitempty" jsonschema:"minItems=1,maxItems=20" part:"placement"`
	// After is the deployment that must serve the same model first.
	After *After `json:"after,omitempty" part:"placement"`
}

// Freeze is a time in which nothing new is released, once or again and again.
type Freeze struct {
	// From is when it begins: a date, such as 2026-12-20 or 2026-12-20T18:00, or a cron expression, such as "0 18 * * FRI".
	From string `json:"from" jsonschema:"required,maxLength=200" part:"placement"`
	// To is when it ends, written as From is: a date alone counts whole, and of a cron expression it is the next time after From.
	To string `json:"to" jsonschema:"required,maxLength=200" part:"placement"`
	// Zone is the IANA name of the time zone whose clocks are meant, such as Europe/Berlin; without it, UTC.
	Zone string `json:"zone,omitempty" jsonschema:"maxLength=64" part:"placement"`
	// Reason is for everybody who meets it.
	Reason string `json:"reason,omitempty" jsonschema:"maxLength=200" part:"text"`
}

// After is a deployment that comes first.
type After struct {
	// Deployment is the one that must serve the same model, as it is declared.
	Deployment Ref `json:"deployment" jsonschema:"required" part:"placement"`
	// Soak is for how long it must have served it without being found down; without it, it need only serve it.
	Soak Duration `json:"soak,omitempty" part:"placement"`
}

// Window is the time that f names.
func (f Freeze) Window() (calendar.Window, error) {
	w, _, err := calendar.Parse(f.From, f.To, f.Zone)
	return w, err
}

func (r *Rollout) check(c *checker, d *document, model Ref) {
	if r == nil {
		return
	}
	if len(r.Freeze) == 0 && r.After == nil && !d.has("spec.rollout.freeze") {
		d.problem("spec.rollout", "says nothing; give freeze or after, or remove it")
	}
	for i, f := range r.Freeze {
		at := fmt.Sprintf("spec.rollout.freeze.%d", i)
		if !d.has(at+".from") || !d.has(at+".to") {
			continue // the schema has reported it
		}
		if _, of, err := calendar.Parse(f.From, f.To, f.Zone); err != nil {
			d.problem(at+"."+string(of), "%v", err)
		}
	}
	if r.After == nil {
		return
	}
	const at = "spec.rollout.after"
	c.duration(d, at+".soak", r.After.Soak)
	first := c.ref(d, at+".deployment", r.After.Deployment, func(t Traits) bool { return t.Serves })
	if first == nil {
		return
	}
	if s, ok := first.decl.Spec.(Serves); ok && s.Serves().Model != model && model != (Ref{}) && s.Serves().Model != (Ref{}) {
		d.problem(at+".deployment", "%s serves %s, and this one serves %s; name one that serves the same model", r.After.Deployment, s.Serves().Model, model)
	}
	if loop := c.waitsForItself(d.decl.Ref(), r.After.Deployment); loop != "" {
		d.problem(at+".deployment", "%s", loop)
	}
}

// waitsForItself says how ref, which comes after another, would come after itself; "" where it does not.
func (c *checker) waitsForItself(ref, after Ref) string {
	if after == ref {
		return fmt.Sprintf("%s cannot come after itself; name the deployment that comes first", ref)
	}
	seen := map[Ref]bool{}
	for next := after; !seen[next]; {
		seen[next] = true
		to := c.refs[next]
		if to == nil {
			return ""
		}
		spec, ok := to.decl.Spec.(RolledOut)
		if !ok || spec.Rolls() == nil || spec.Rolls().After == nil {
			return ""
		}
		if next = spec.Rolls().After.Deployment; next == ref {
			return fmt.Sprintf("%s waits for %s in its turn, so that neither is ever released; remove one of the two", after, ref)
		}
	}
	return ""
}

// RolledOut is what takes the place of what serves when, and as, it says.
type RolledOut interface {
	// Rolls is nil where a new release takes its place as soon as it is ready.
	Rolls() *Rollout
	Serves
}

// Rolls is how the deployment is rolled out.
func (s *Deployment) Rolls() *Rollout { return s.Rollout }

// For is how long a must have been served.
func (a *After) For() time.Duration { return a.Soak.Or(0) }
