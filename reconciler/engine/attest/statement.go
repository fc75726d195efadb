// Package attest builds and checks the statements that Vishwa signs of a model:
// the model signature of the OpenSSF Model Signing specification v1.0, and SLSA
// provenance v1. It is pure: signing is a port, files are manifests.
package attest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

// StatementType is the in-toto Statement v1, the frame of everything that is signed.
// PayloadType is what a DSSE envelope calls it.
const (
	StatementType = "https://in-toto.io/Statement/v1"
	PayloadType   = "application/vnd.in-toto+json"
)

// subject is what a statement is about; digest maps an algorithm to lower-case hex.
type subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

type statement[P any] struct {
	Type          string    `json:"_type"`
	Subject       []subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     P         `json:"predicate"`
}

func encode[P any](subjects []subject, predicateType string, p P) ([]byte, error) {
	return digest.Canonical(statement[P]{StatementType, subjects, predicateType, p})
}

// decode reads a statement that means one thing to every reader: no key twice, no
// field that is unknown here, none in another spelling (encoding/json would take
// "Predicate" for "predicate"), nothing after its end.
func decode[P any](raw []byte, predicateType string) (s statement[P], err error) {
	kind, err := frame(raw)
	if err != nil {
		return s, fmt.Errorf("it %w", err)
	}
	if kind != predicateType {
		return s, fmt.Errorf("its predicate is %q, want %q", kind, predicateType)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, fmt.Errorf("read statement: %w", err)
	}
	return s, same(raw, s)
}

// same tells whether raw says exactly what v says.
func same(raw []byte, v any) error {
	want, err := digest.Canonical(v)
	if err != nil {
		return err
	}
	got, err := jsoncanonicalizer.Transform(raw)
	if err != nil {
		return fmt.Errorf("read statement: %w", err)
	}
	if !bytes.Equal(got, want) {
		return errors.New("it says more, or says it otherwise, than a statement of its type may")
	}
	return nil
}

// maxDepth bounds nesting; nothing that Vishwa signs comes near.
const maxDepth = 64

// unique tells whether no object of raw, which is well-formed JSON, has a key
// twice. Readers differ in which of two they take, and so in what was signed.
func unique(raw []byte) error {
	if !utf8.Valid(raw) {
		return errors.New("is not UTF-8")
	}
	// Only braces, brackets, strings and commas matter.
	type object struct {
		keys map[string]bool // nil: an array
		key  bool            // the next string is a key
	}
	var open []object
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '{', '[':
			if len(open) == maxDepth {
				return fmt.Errorf("is nested deeper than %d", maxDepth)
			}
			o := object{}
			if raw[i] == '{' {
				o = object{map[string]bool{}, true}
			}
			open = append(open, o)
		case '}', ']':
			open = open[:len(open)-1]
		case ',':
			top := &open[len(open)-1]
			top.key = top.keys != nil
		case '"':
			end := stringEnd(raw, i)
			if len(open) > 0 && open[len(open)-1].key {
				top := &open[len(open)-1]
				name, err := text(raw[i:end])
				if err != nil {
					return err
				}
				if top.keys[name] {
					return fmt.Errorf("has the key %q twice", name)
				}
				top.keys[name], top.key = true, false
			}
			i = end - 1
		}
	}
	return nil
}

// stringEnd is the index after the string that begins at i.
func stringEnd(raw []byte, i int) int {
	for i++; raw[i] != '"'; i++ {
		if raw[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func text(quoted []byte) (string, error) {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1]), nil
	}
	var s string
	if err := json.Unmarshal(quoted, &s); err != nil {
		return "", fmt.Errorf("is not JSON: %w", err)
	}
	return s, nil
}

// CheckFrame tells whether raw is an in-toto Statement v1 with a subject and a
// predicate type, whatever its predicate, in which no key stands twice.
func CheckFrame(raw []byte) error {
	_, err := frame(raw)
	return err
}

func frame(raw []byte) (predicateType string, err error) {
	var head struct {
		Type          string            `json:"_type"`
		PredicateType string            `json:"predicateType"`
		Subject       []json.RawMessage `json:"subject"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return "", fmt.Errorf("is not an in-toto statement: %w", err)
	}
	if err := unique(raw); err != nil {
		return "", err
	}
	switch {
	case head.Type != StatementType:
		return "", fmt.Errorf("is of type %q, want %q", head.Type, StatementType)
	case head.PredicateType == "":
		return "", errors.New("has no predicate type")
	case len(head.Subject) == 0:
		return "", errors.New("has no subject")
	}
	return head.PredicateType, nil
}
