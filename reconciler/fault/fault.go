// Package fault classes errors by what happens next, not by where they came
// from. The kind is given where it is known, in the adapter, and read in two
// places: the loop's back-off and the exit code.
package fault

import (
	"context"
	"errors"
	"fmt"
)

// Kind says what happens next.
type Kind uint8

const (
	Internal  Kind = iota // a bug or a broken machine: report it
	Invalid               // the input is wrong: a person changes it
	Missing               // it is not there
	Denied                // not allowed, or a signature does not hold
	Refused               // a policy says no
	Conflict              // the world has moved on: look again
	Held                  // waits for a person: an approval, a yes, a retry
	Corrupt               // bytes are not what they are named
	Transient             // may pass: try again later
	Cancelled             // was stopped by whoever started it
	Newer                 // a newer vishwa wrote it: this one cannot judge it
)

var names = [...]string{"internal", "invalid", "missing", "denied", "refused", "conflict", "held", "corrupt", "transient", "cancelled", "newer"}

// Kinds are all of them.
func Kinds() []Kind {
	out := make([]Kind, len(names))
	for i := range out {
		out[i] = Kind(i)
	}
	return out
}

func (k Kind) String() string {
	if int(k) < len(names) {
		return names[k]
	}
	return "internal"
}

// Error is an error with its kind and the way out.
type Error struct {
	Kind Kind
	Hint string // what to do about it, an imperative sentence; may be empty
	err  error
}

func (e *Error) Error() string { return e.err.Error() }

// Unwrap is what the error was made of, be it one or several.
func (e *Error) Unwrap() error {
	if many, ok := e.err.(interface{ Unwrap() []error }); ok {
		return errors.Join(many.Unwrap()...)
	}
	return errors.Unwrap(e.err)
}

// New makes an error of a kind; format may wrap with %w.
func New(kind Kind, format string, args ...any) error {
	return &Error{Kind: kind, err: fmt.Errorf(format, args...)}
}

// WithHint adds the way out to err, keeping its kind and its text.
func WithHint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: Of(err), Hint: fmt.Sprintf(format, args...), err: fmt.Errorf("%w", err)}
}

// Advise is WithHint where err has no way out yet: what was said nearer to the cause stays.
func Advise(err error, format string, args ...any) error {
	if err == nil || HintOf(err) != "" {
		return err
	}
	return WithHint(err, format, args...)
}

// Of is the kind nearest to the surface of err. A cancelled or expired context
// is Cancelled; an error without a kind is Internal.
func Of(err error) Kind {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Cancelled
	default:
		return Internal
	}
}

// HintOf is the way out nearest to the surface of err, or "".
func HintOf(err error) string {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = errors.Unwrap(e)
	}
	return ""
}
