// What an entry made. A ledger holds tens of thousands of entries of one or two outputs, of which a map would take five times the
// room or more: a map has room for eight at least.

package ledger

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/port"
)

// Outputs are what an entry made, each under a name of its own, in the order of their names. As JSON they are an object.
type Outputs []Output

// Output is one of them.
type Output struct {
	As string // its name among them; that of the artifact is a file's
	port.Artifact
}

// OutputsOf are those of a map.
func OutputsOf(all map[string]port.Artifact) Outputs {
	if len(all) == 0 {
		return nil
	}
	out := make(Outputs, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, Output{name, all[name]})
	}
	return out
}

// Find is the one of that name, where there is one.
func (o Outputs) Find(name string) (port.Artifact, bool) {
	for i := range o {
		if o[i].As == name {
			return o[i].Artifact, true
		}
	}
	return port.Artifact{}, false
}

// Named is Find, where none is as good as an empty one.
func (o Outputs) Named(name string) port.Artifact {
	a, _ := o.Find(name)
	return a
}

// MarshalJSON writes them as an object.
func (o Outputs) MarshalJSON() ([]byte, error) { return json.Marshal(o.byName()) }

func (o Outputs) byName() map[string]port.Artifact {
	all := make(map[string]port.Artifact, len(o))
	for _, a := range o {
		all[a.As] = a.Artifact
	}
	return all
}

// UnmarshalJSON reads an object.
func (o *Outputs) UnmarshalJSON(raw []byte) error {
	var all map[string]port.Artifact
	if err := json.Unmarshal(raw, &all); err != nil {
		return err
	}
	*o = OutputsOf(all)
	return nil
}
