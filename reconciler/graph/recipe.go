// What of a spec is part of a key: all but what the recipe holds elsewhere and
// what only bounds a run.
package graph

import (
	"encoding/json"
	"fmt"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

// apart lists the fields of a spec that a key does not take from the spec: those
// the recipe holds by digest, and limits and schedules, which change nothing that is made.
var apart = []string{"run", "code", "params", "inputs", "candidates", "timeout", "retries", "readyTimeout", "schedule", "network", "planPass"}

// remainder is spec as canonical JSON without the fields of apart, at the top and
// in a deployment's target.
func remainder(spec any) (json.RawMessage, error) {
	raw, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("encode spec: %w", err)
	}
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, fmt.Errorf("encode spec: %w", err)
	}
	strip(fields)
	if source, ok := fields["source"].(map[string]any); ok {
		delete(source, "refresh") // when it is looked at; what it holds is the pin
	}
	if target, ok := fields["target"].(map[string]any); ok {
		for _, t := range target {
			if m, ok := t.(map[string]any); ok {
				strip(m)
			}
		}
	}
	return digest.Canonical(fields)
}

func strip(fields map[string]any) {
	for _, name := range apart {
		delete(fields, name)
	}
	if env, ok := fields["env"].(map[string]any); ok {
		delete(env, "requirements")
		if len(env) == 0 {
			delete(fields, "env")
		}
	}
}
