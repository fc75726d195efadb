// What names a run: all that it is made from, by digest.

package port

import (
	"encoding/json"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/schemas"
)

// Recipe is all that a node depends on; its digest is the node's key. What only
// people read, and limits of time and tries, are no part of it.
type Recipe struct {
	Schema  string                   `json:"schema"`
	Kind    string                   `json:"kind"`
	Command []string                 `json:"command,omitempty"`
	Code    map[string]digest.Digest `json:"code,omitempty"` // path in the repository -> content
	Env     digest.Digest            `json:"env,omitempty"`  // of the lock file
	Params  map[string]any           `json:"params,omitempty"`
	Inputs  map[string]digest.Digest `json:"inputs,omitempty"`
	Image   string                   `json:"image,omitempty"` // container image, by digest
	Nodes   int                      `json:"nodes,omitempty"` // where there is more than one
	// Personal are the columns that a log of predictions treats as personal.
	Personal []string `json:"personal,omitempty"`
	// Stop is the rule by which a trial may be ended early: what came of it under another rule, or none, is another thing.
	Stop *schemas.EarlyStop `json:"stop,omitempty"`
	Spec json.RawMessage    `json:"spec,omitempty"` // the rest of the declared spec, canonical JSON
}

// Key names the recipe by its JSON.
func (r Recipe) Key() (digest.Digest, error) { return r.KeyBy(new(digest.Namer)) }

// KeyBy is Key, by who names many. There are very many recipes, and by its members one is named in a third of the time.
func (r Recipe) KeyBy(n *digest.Namer) (digest.Digest, error) {
	var all [12]digest.Member
	members := all[:0]
	add := func(name string, v any, is bool) {
		if is {
			members = append(members, digest.Member{Name: name, Value: v})
		}
	}
	add("code", r.Code, len(r.Code) > 0)
	add("command", r.Command, len(r.Command) > 0)
	add("env", r.Env, r.Env != "")
	add("image", r.Image, r.Image != "")
	add("inputs", r.Inputs, len(r.Inputs) > 0)
	add("kind", r.Kind, true)
	add("nodes", r.Nodes, r.Nodes != 0)
	add("params", r.Params, len(r.Params) > 0)
	add("personal", r.Personal, len(r.Personal) > 0)
	add("schema", r.Schema, true)
	add("spec", r.Spec, len(r.Spec) > 0)
	add("stop", r.Stop, r.Stop != nil)
	return n.Object(members)
}
