// Findings as SARIF 2.1.0 (docs.oasis-open.org/sarif/sarif/v2.1.0), which editors and code
// forges show at the lines that they are about.

package templates

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/schemas"
)

const (
	sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	sarifHome   = "https://github.com/vishwaops/vishwa"
	// Undeclared is the rule that a declaration breaks which cannot be read or does not hold together.
	Undeclared = "declaration"
)

// SARIF is one log of one run.
type SARIF struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool    sarifTool     `json:"tool"`
	Results []sarifResult `json:"results"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name    string      `json:"name"`
	Version string      `json:"version"`
	Home    string      `json:"informationUri"`
	Rules   []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID   string    `json:"id"`
	Text sarifText `json:"shortDescription"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifResult struct {
	Rule      string          `json:"ruleId"`
	Index     int             `json:"ruleIndex"`
	Level     string          `json:"level"`
	Message   sarifText       `json:"message"`
	Locations []sarifLocation `json:"locations,omitempty"`
}

type sarifLocation struct {
	Physical sarifPhysical  `json:"physicalLocation"`
	Logical  []sarifLogical `json:"logicalLocations,omitempty"`
}

type sarifPhysical struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   *sarifRegion  `json:"region,omitempty"`
}

type sarifArtifact struct {
	URI string `json:"uri"`
}

type sarifRegion struct {
	Line   int `json:"startLine"`
	Column int `json:"startColumn,omitempty"`
}

type sarifLogical struct {
	Name string `json:"fullyQualifiedName"`
}

// ProblemsSARIF tells what is wrong with declarations, and what may be.
func ProblemsSARIF(version string, problems, warnings []schemas.Problem) SARIF {
	s := newSARIF(version)
	add := func(level string, all []schemas.Problem) {
		for _, p := range all {
			text := p.Message
			if p.Field != "" {
				text = p.Field + ": " + text
			}
			s.add(sarifFinding{rule: Undeclared, title: "A declaration that cannot be carried out", level: level, text: text, pos: p.Pos})
		}
	}
	add("error", problems)
	add("warning", warnings)
	return s
}

// FindingsSARIF tells what policies found of p, with the rules' titles by their id.
func FindingsSARIF(version string, p plan.Plan, titles map[string]string) SARIF {
	s := newSARIF(version)
	at := positions(p)
	for _, f := range p.Findings {
		level := map[ledger.Level]string{ledger.Denied: "error", ledger.Warn: "warning"}[f.Level]
		if level == "" {
			level = "note"
		}
		title := titles[f.Rule]
		if title == "" {
			title = f.Rule
		}
		s.add(sarifFinding{f.Rule, title, level, withHint(f.Message, f.Hint), at[f.Ref], f.Ref})
	}
	return s
}

func newSARIF(version string) SARIF {
	driver := sarifDriver{Name: "vishwa", Version: version, Home: sarifHome, Rules: []sarifRule{}}
	return SARIF{sarifSchema, "2.1.0", []sarifRun{{sarifTool{driver}, []sarifResult{}}}}
}

// reference is a path as a relative reference (RFC 3986): whatever is not a plain letter,
// digit or sign is escaped, a colon too, which would end a scheme.
func reference(path string) string {
	var b strings.Builder
	for i := range len(path) {
		if c := path[i]; c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~/", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// sarifFinding is a finding with the rule that it is of.
type sarifFinding struct {
	rule, title, level, text string
	pos                      schemas.Position
	ref                      schemas.Ref // zero: of nothing that is declared
}

func (s *SARIF) add(f sarifFinding) {
	run := &s.Runs[0]
	rules := &run.Tool.Driver.Rules
	i := slices.IndexFunc(*rules, func(r sarifRule) bool { return r.ID == f.rule })
	if i < 0 {
		i = len(*rules)
		*rules = append(*rules, sarifRule{f.rule, sarifText{harmless.Line(f.title)}})
	}
	r := sarifResult{Rule: f.rule, Index: i, Level: f.level, Message: sarifText{harmless.Text(strings.TrimSpace(f.text))}}
	if f.pos.File != "" {
		l := sarifLocation{Physical: sarifPhysical{Artifact: sarifArtifact{reference(f.pos.File)}}}
		if f.pos.Line > 0 {
			l.Physical.Region = &sarifRegion{f.pos.Line, max(f.pos.Column, 0)}
		}
		if f.ref != (schemas.Ref{}) {
			l.Logical = []sarifLogical{{f.ref.String()}}
		}
		r.Locations = []sarifLocation{l}
	}
	run.Results = append(run.Results, r)
}
