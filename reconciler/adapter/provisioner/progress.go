// Listening to plan -json and apply -json
// (https://developer.hashicorp.com/terraform/internals/machine-readable-ui):
// one message a line; what began, what was completed, what went wrong.

package provisioner

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/port"
)

// progress is an io.Writer of messages. Lines may be of any length.
type progress struct {
	mu          sync.Mutex
	rest        []byte
	begun       []port.ResourceAction
	completed   []port.ResourceAction
	diagnostics []diagnostic
	tested      *summary // of tests; nil until they have ended
}

// summary is how tests went, as the program counts them.
type summary struct{ Passed, Failed, Errored, Skipped int }

func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rest = append(p.rest, b...)
	for {
		line, rest, whole := bytes.Cut(p.rest, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		p.hear(line)
		p.rest = rest
	}
}

// hear takes one line; what is no message is passed over.
func (p *progress) hear(line []byte) {
	var m struct {
		Type string `json:"type"`
		Hook struct {
			Resource struct {
				Addr string `json:"addr"`
			} `json:"resource"`
			Action string `json:"action"`
		} `json:"hook"`
		Diagnostic *diagnostic `json:"diagnostic"`
		Run        string      `json:"@testrun"`
		Summary    *summary    `json:"test_summary"`
	}
	if json.Unmarshal(line, &m) != nil {
		return
	}
	one := port.ResourceAction{Address: m.Hook.Resource.Addr, Action: m.Hook.Action}
	switch {
	case m.Type == "apply_start":
		p.begun = append(p.begun, one)
	case m.Type == "apply_complete":
		p.completed = append(p.completed, one)
	case m.Diagnostic != nil:
		m.Diagnostic.run = m.Run
		p.diagnostics = append(p.diagnostics, *m.Diagnostic)
	case m.Summary != nil:
		p.tested = m.Summary
	}
}

// started tells whether anything in the world was touched.
func (p *progress) started() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.begun) > 0
}

// found is all that went wrong; before the JSON view is set up, errors are text.
func (p *progress) found(err error) []diagnostic {
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.ContainsFunc(p.diagnostics, func(d diagnostic) bool { return d.Severity == "error" }) {
		return p.diagnostics
	}
	return append(slices.Clone(p.diagnostics), fromText(err.Error())...)
}

// done picks from the planned actions what was done, after a failure. exists are
// the addresses in the state: a resource whose creation failed on the way is there.
func (p *progress) done(planned []port.ResourceAction, exists map[string]bool) []port.ResourceAction {
	p.mu.Lock()
	defer p.mu.Unlock()
	has := func(list []port.ResourceAction, address, action string) bool {
		return slices.Contains(list, port.ResourceAction{Address: address, Action: action})
	}
	var all []port.ResourceAction
	for _, a := range planned {
		address, _, _ := strings.Cut(a.Address, " (deposed ")
		deleted := has(p.completed, address, "delete")
		created := has(p.completed, address, "create")
		if a.Action == "create" || deleted { // otherwise what exists may be the one to be replaced
			created = created || has(p.begun, address, "create") && exists[address]
		}
		switch {
		case a.Action == "replace" && created && deleted:
			all = append(all, a)
		case a.Action == "replace" && created, a.Action == "create" && created:
			all = append(all, port.ResourceAction{Address: a.Address, Action: "create"})
		case a.Action == "replace" && deleted, a.Action == "delete" && deleted:
			all = append(all, port.ResourceAction{Address: a.Address, Action: "delete"})
		case has(p.completed, address, a.Action):
			all = append(all, a)
		}
	}
	return all
}

// text gathers output that is read as a whole.
type text struct{ strings.Builder }
