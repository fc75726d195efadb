// Reading a plan as `terraform show -json` prints it
// (https://developer.hashicorp.com/terraform/internals/json-format): names and
// actions go out, values stay in.

package provisioner

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	tfjson "github.com/hashicorp/terraform-json"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// planDoc is the part of the document that is read.
type planDoc struct {
	FormatVersion string                  `json:"format_version"`
	Resources     []resource              `json:"resource_changes"`
	Drifted       []resource              `json:"resource_drift"`
	Outputs       map[string]delta        `json:"output_changes"`
	Prior         struct{ Values values } `json:"prior_state"`
	Errored       bool                    `json:"errored"`
	Complete      *bool                   `json:"complete"` // absent in older versions and in tofu
}

type values struct {
	Outputs map[string]struct {
		Sensitive bool            `json:"sensitive"`
		Value     json.RawMessage `json:"value"`
	} `json:"outputs"`
}

type resource struct {
	Address  string `json:"address"`
	Previous string `json:"previous_address"` // where it was moved from
	Deposed  string `json:"deposed"`          // an object that a broken replacement left behind
	Change   delta  `json:"change"`
}

type delta struct {
	Actions   []string        `json:"actions"`
	Before    json.RawMessage `json:"before"`
	After     json.RawMessage `json:"after"`
	Unknown   json.RawMessage `json:"after_unknown"`
	Importing json.RawMessage `json:"importing"`
}

// readPlan decodes a plan and refuses one that is not whole.
func readPlan(raw []byte) (planDoc, error) {
	var doc planDoc
	if err := json.Unmarshal(raw, &doc); err != nil {
		return planDoc{}, errors.New("the plan is not JSON that can be read") // the decoder's message may quote a value
	}
	if doc.FormatVersion == "" {
		return planDoc{}, errors.New("the plan names no format version")
	}
	if doc.Errored || doc.Complete != nil && !*doc.Complete && doc.changes() {
		return planDoc{}, errors.New("the plan is not complete: remove targets and deferred actions")
	}
	return doc, nil
}

// action folds Terraform's list of actions to one word; none for nothing to do.
func (d delta) action() string {
	switch {
	case len(d.Actions) == 2: // in either order
		return "replace"
	case len(d.Actions) == 1 && d.Actions[0] != "no-op":
		return d.Actions[0]
	default:
		return ""
	}
}

// action of a resource: one that only moves or is taken over changes the state.
func (r resource) action() string {
	if a := r.Change.action(); a != "" {
		return a
	}
	if r.Previous != "" && r.Previous != r.Address || imported(r.Change.Importing) {
		return "update"
	}
	return ""
}

func imported(raw json.RawMessage) bool { return len(raw) > 0 && !bytes.Equal(raw, []byte("null")) }

func (doc planDoc) changes() bool {
	return slices.ContainsFunc(doc.Resources, func(r resource) bool { return r.action() != "" })
}

func (doc planDoc) empty() bool { return len(doc.actions()) == 0 }

// actions lists what would be done, by address. Where only outputs change they
// are listed, as updates of the state: no resource is touched.
func (doc planDoc) actions() []port.ResourceAction {
	var all []port.ResourceAction
	for _, r := range doc.Resources {
		if a := r.action(); a != "" {
			address := r.Address
			if r.Deposed != "" {
				address += " (deposed " + r.Deposed + ")"
			}
			all = append(all, port.ResourceAction{Address: address, Action: a})
		}
	}
	if len(all) == 0 {
		for name, d := range doc.Outputs {
			if d.action() != "" {
				all = append(all, port.ResourceAction{Address: outputPrefix + name, Action: "update"})
			}
		}
	}
	slices.SortFunc(all, func(a, b port.ResourceAction) int {
		return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(a.Action, b.Action))
	})
	return all
}

const outputPrefix = "output."

// drift lists what changed outside of Terraform.
func (doc planDoc) drift() []string {
	var all []string
	for _, r := range doc.Drifted {
		if r.Change.action() != "" {
			all = append(all, r.Address)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// outputs as they stand in the state.
func (doc planDoc) outputs() map[string]port.Output {
	all := map[string]port.Output{}
	for name, o := range doc.Prior.Values.Outputs {
		all[name] = port.Output{Value: o.Value, Sensitive: o.Sensitive}
	}
	return all
}

// attributes names the top-level attributes that differ or will be known later.
func (d delta) attributes() []string {
	var before, after, unknown map[string]json.RawMessage
	_ = json.Unmarshal(d.Before, &before) // null, or no object: no names
	_ = json.Unmarshal(d.After, &after)
	_ = json.Unmarshal(d.Unknown, &unknown)
	names := map[string]bool{}
	for name := range before {
		names[name] = !bytes.Equal(before[name], after[name])
	}
	for name := range after {
		names[name] = !bytes.Equal(before[name], after[name])
	}
	for name, raw := range unknown {
		// true, or a nested structure with a true somewhere
		names[name] = names[name] || bytes.Contains(raw, []byte("true"))
	}
	maps.DeleteFunc(names, func(_ string, differs bool) bool { return !differs })
	return slices.Sorted(maps.Keys(names))
}

// name is the change's digest. It covers what the planned values follow from: the
// module, the declared variables, where the state is and how far it has come; and
// what will happen: addresses, actions, names of attributes. No value that
// Terraform computed or read is in it, so none can be guessed from it.
func (w *work) name(doc planDoc, position string) (digest.Digest, error) {
	vars, err := digest.JSON(map[string]any{"vars": w.stack.Vars})
	if err != nil {
		return "", fault.New(fault.Invalid, "stack %s: spec.vars cannot be written as JSON", w.stack.Name)
	}
	type row struct {
		Address    string   `json:"address"`
		Actions    []string `json:"actions"`
		Attributes []string `json:"attributes"`
	}
	rows := []row{}
	for _, r := range doc.Resources {
		if r.action() != "" {
			rows = append(rows, row{r.Address + "/" + r.Deposed, r.Change.Actions, r.Change.attributes()})
		}
	}
	for name, d := range doc.Outputs {
		if d.action() != "" {
			rows = append(rows, row{Address: outputPrefix + name, Actions: d.Actions})
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.Address, b.Address) })
	name, err := digest.JSON(map[string]any{
		"schema": "terraform-change/v1", "destroy": w.stack.Remove, "module": w.module.Digest(), "vars": vars,
		"backend": w.backend.digest(), "state": position, "changes": rows,
	})
	if err != nil {
		return "", fault.New(fault.Internal, "name the change of stack %s: %w", w.stack.Name, err)
	}
	return name, nil
}

// collect gathers the addresses of a module and all below it.
func collect(m *tfjson.StateModule, into map[string]bool) {
	if m == nil {
		return
	}
	for _, r := range m.Resources {
		into[r.Address] = true
	}
	for _, child := range m.ChildModules {
		collect(child, into)
	}
}

// redactable is every string in a plan that a message might quote.
func redactable(raw []byte) ([]any, error) {
	var doc struct {
		Variables map[string]any `json:"variables"`
		Resources []struct {
			Change struct{ Before, After any } `json:"change"`
		} `json:"resource_changes"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("decode plan: %w", err)
	}
	all := []any{doc.Variables}
	for _, r := range doc.Resources {
		all = append(all, r.Change.Before, r.Change.After)
	}
	return all, nil
}
