// Package turn says whose turn it is to be looked at. Strangers may open a pull request without being able to write to the
// repository: what they declare is looked at, in time and room that is theirs alone.
package turn

import (
	"context"
	"errors"
)

var (
	// ErrStranger is a site's answer where a pull request turns out to be a stranger's: it
	// did nothing, and is called again when a stranger's turn has come.
	ErrStranger = errors.New("a stranger's pull request waits for its turn")
	// ErrKnown is a site's answer where one is a stranger's no longer.
	ErrKnown = errors.New("the pull request is a stranger's no longer")
	// ErrOverdue is the cause that ends a look at a stranger's pull request that takes too long.
	ErrOverdue = errors.New("the look was ended")
)

type admissionKey struct{}

// Admitted says in ctx in which turn a pull request is looked at: a stranger's or a usual one.
func Admitted(ctx context.Context, stranger bool) context.Context {
	return context.WithValue(ctx, admissionKey{}, stranger)
}

// Admission tells in which turn a pull request is looked at. Outside of a controller
// there are no turns: whoever runs Vishwa in a job of their own waits for nobody else.
func Admission(ctx context.Context) (stranger, turns bool) {
	stranger, turns = ctx.Value(admissionKey{}).(bool)
	return stranger, turns
}
