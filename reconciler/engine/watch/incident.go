// Incidents: what begins with the first window that shows a finding, and is over with one that is
// well. They are a function of what the ledger says, so that a controller that starts anew knows
// them, and who was told.

package watch

import (
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/schemas"
)

// mostIncidents of a monitor are kept.
const mostIncidents = 16

// Incidents are those of a monitor after a window with this verdict. A window that tells too
// little begins none and ends none.
func Incidents(monitor schemas.Ref, before []ledger.Incident, now ledger.Watched, at time.Time) (out []ledger.Incident) {
	at = at.UTC().Truncate(time.Second)
	for _, i := range before {
		if i.Over.IsZero() && now.Verdict == ledger.Well {
			i.Over = at
		}
		if !Settled(i) {
			out = append(out, i)
		}
	}
	opens := now.Verdict == ledger.Drifted || now.Verdict == ledger.Faulty
	if opens && !slices.ContainsFunc(out, func(i ledger.Incident) bool { return i.Finding == now.Verdict && i.Over.IsZero() }) {
		out = append(out, ledger.Incident{ID: incidentID(monitor, now, at), Finding: now.Verdict, Since: at})
	}
	return out[max(0, len(out)-mostIncidents):]
}

// Settled tells whether there is nothing left to tell of an incident.
func Settled(i ledger.Incident) bool {
	if i.Over.IsZero() {
		return false
	}
	for _, name := range i.Told {
		if !slices.Contains(i.Ended, name) {
			return false
		}
	}
	return true
}

// Untold tells what a receiver is to be told of an incident. Who was never told that it began is
// not told that it is over.
func Untold(i ledger.Incident, receiver string) bool {
	told := slices.Contains(i.Told, receiver)
	if i.Over.IsZero() {
		return !told
	}
	return told && !slices.Contains(i.Ended, receiver)
}

// Told notes that receivers were told of the incident with this id, as it was then.
func Told(all []ledger.Incident, id string, over bool, receivers []string) []ledger.Incident {
	out := slices.Clone(all)
	for n := range out {
		if out[n].ID != id {
			continue
		}
		at := &out[n].Told
		if over {
			at = &out[n].Ended
		}
		*at = slices.Clone(*at)
		for _, name := range receivers {
			if !slices.Contains(*at, name) {
				*at = append(*at, name)
			}
		}
	}
	return out
}

// Over ends all incidents: nobody measures any more.
func Over(all []ledger.Incident, at time.Time) (out []ledger.Incident) {
	for _, i := range all {
		if i.Over.IsZero() {
			i.Over = at.UTC().Truncate(time.Second)
		}
		out = append(out, i)
	}
	return out
}

// PlainColumns are the columns that have drifted, as far as their names are plain: what data calls
// them may be meant to speak to whoever reads it.
func PlainColumns(w ledger.Watched) (out []string) {
	for _, name := range w.Drift {
		if plainName.MatchString(name) {
			out = append(out, name)
		}
	}
	return out
}

func incidentID(monitor schemas.Ref, now ledger.Watched, at time.Time) string {
	d, err := digest.JSON([]string{monitor.String(), string(now.Verdict), string(now.Evidence), at.Format(time.RFC3339)})
	if err != nil {
		panic(err) // it is texts alone
	}
	return d.Hex()[:16]
}
