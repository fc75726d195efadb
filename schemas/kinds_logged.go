// Data that a deployment's log of predictions gives: what was asked, with what came of it.

package schemas

import "time"

// LoggedData is the log of a deployment as data: one row a prediction that was answered, with its features by their own names.
type LoggedData struct {
	// Deployment is the one whose log is read.
	Deployment Ref `json:"deployment" jsonschema:"required" part:"key"`
	// Until is the end of what is read: a date or a time of RFC 3339; without it, the last midnight (UTC).
	Until string `json:"until,omitempty" part:"key"`
	// Window is how long before its end what is read begins; without it, all of the log is read.
	Window Duration `json:"window,omitempty" part:"key"`
	// Labels joins what came of the predictions; rows without a label are then left out.
	Labels *Labels `json:"labels,omitempty" part:"key"`
}

// Labels are outcomes of predictions, by id. Of several of one id the last before the deadline counts.
type Labels struct {
	// From is the dataset that holds them.
	From Ref `json:"from" jsonschema:"required" part:"key"`
	// Key is its column with the id of the prediction.
	Key string `json:"key,omitempty" jsonschema:"default=id" part:"key"`
	// Label is its column with what came of it; without it, the only other one.
	Label string `json:"label,omitempty" part:"key"`
	// At is its column with the time at which that became known.
	At string `json:"at,omitempty" part:"key"`
	// Within bounds how long after its prediction a label counts.
	Within Duration `json:"within,omitempty" part:"key"`
	// MinCoverage is the share of the predictions that must have a label, or none is used.
	MinCoverage float64 `json:"minCoverage,omitempty" jsonschema:"minimum=0,maximum=1" part:"key"`
}

// End is the time that Until says, and whether it says one.
func (l LoggedData) End() (time.Time, bool) { return moment(l.Until) }

// check reports what a schema cannot say of it.
func (l *LoggedData) check(c *checker, d *document, field string) {
	if l == nil {
		return
	}
	if to := c.ref(d, field+".deployment", l.Deployment, func(t Traits) bool { return t.Serves }); to != nil {
		if of, ok := to.decl.Spec.(Logged); ok && of.Logs() == nil {
			d.problem(field+".deployment", "%s logs no predictions; give it log: {}", l.Deployment)
		}
	}
	if _, ok := l.End(); l.Until != "" && !ok {
		d.problem(field+".until", "%s is neither a date nor a time; write one such as 2026-11-28 or 2026-11-28T12:00:00Z", short(l.Until))
	}
	c.duration(d, field+".window", l.Window)
	if l.Labels == nil {
		return
	}
	c.duration(d, field+".labels.within", l.Labels.Within)
	if l.Labels.From == d.decl.Ref() {
		d.problem(field+".labels.from", "is this dataset itself; name the one that holds the outcomes")
		return
	}
	c.ref(d, field+".labels.from", l.Labels.From, func(t Traits) bool { return t.Pinned })
}
