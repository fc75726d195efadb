// Package schemas holds the kinds that a team declares: their Go types, the JSON
// Schemas generated from those types, and Load, which turns YAML into checked
// declarations with file and line.
package schemas

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// APIVersion is the version that every declaration names.
const APIVersion = "vishwa.dev/v1alpha1"

// Declaration is one YAML document.
type Declaration struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   Metadata `json:"metadata"`
	// Spec is a pointer to the kind's type: *Project, *Dataset and so on.
	Spec any      `json:"spec"`
	Pos  Position `json:"-"`
	// Fields gives the position of a field by its dotted path, "spec.run" or
	// "spec.inputs.train"; a path that is not there has its parent's position.
	Fields func(path string) Position `json:"-"`
	// Doubts are what will not work when it is carried out, as far as its files tell.
	Doubts []Doubt `json:"-"`
}

// Ref names the declaration.
func (d Declaration) Ref() Ref { return Ref{Kind: Kind(kindName(d.Kind)), Name: d.Metadata.Name} }

// Traits are what its kind is.
func (d Declaration) Traits() Traits { return Declared(d.Kind) }

// Metadata names and describes a declaration. Labels and description are for people: they never change a key.
type Metadata struct {
	// Name is unique among the declarations of its kind: lower-case letters, digits and hyphens, at most 63.
	Name string `json:"name" jsonschema:"required,pattern=^[a-z0-9]([-a-z0-9]{0\\,61}[a-z0-9])?$"`
	// Description is for people.
	Description string `json:"description,omitempty"`
	// Labels are for people and for policies.
	Labels map[string]string `json:"labels,omitempty"`
}

// Value is a value that a cell of a table may have, as text; it may be written as a number
// or a boolean.
type Value string

// Position is a place in a file of the repository; line and column count from 1.
type Position struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

func (p Position) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	default:
		return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	}
}

// Problem is something wrong with a declaration: where, which field, what, and the way out.
type Problem struct {
	Pos     Position `json:"pos"`
	Field   string   `json:"field,omitempty"` // dotted path, such as spec.inputs.train
	Message string   `json:"message"`         // says what is wrong and ends with what to do
}

func (p Problem) Error() string {
	if p.Field == "" {
		return fmt.Sprintf("%s: %s", p.Pos, p.Message)
	}
	return fmt.Sprintf("%s: %s: %s", p.Pos, p.Field, p.Message)
}

// DurationPattern is what a duration looks like, as a regular expression that Go and JSON Schema share.
const DurationPattern = `^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h|d|w))+$`

// Duration is a length of time in YAML: "90s", "15m", "2h", "3d", "1w".
type Duration string

var longUnits = lazyregexp.New(`([0-9]+(?:\.[0-9]+)?)([dw])`)

// ParseDuration is time.ParseDuration that knows days, of 24 hours, and weeks too.
func ParseDuration(s string) (time.Duration, error) {
	hours := longUnits.ReplaceAllStringFunc(s, func(part string) string {
		n, err := strconv.ParseFloat(part[:len(part)-1], 64)
		if err != nil {
			return part // and time.ParseDuration says why
		}
		if n *= 24; strings.HasSuffix(part, "w") {
			n *= 7
		}
		return strconv.FormatFloat(n, 'f', -1, 64) + "h"
	})
	d, err := time.ParseDuration(hours)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration; write one such as 90s, 15m, 2h or 3d", s)
	}
	return d, nil
}

// Or is the duration, or d where none is declared or it cannot be read (Load reports that).
func (s Duration) Or(d time.Duration) time.Duration {
	if v, err := ParseDuration(string(s)); err == nil && v > 0 {
		return v
	}
	return d
}
