// What the cache lacks of an output: said once, also where a fetch has said it before.

package data

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/data/transfer"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/plural"
)

// NotCachedError says that the cache lacks objects of an output, which stays as it was. Its
// kind is Missing.
type NotCachedError struct {
	Path string
	OIDs []dvc.OID
}

func (e *NotCachedError) Error() string {
	names := make([]string, len(e.OIDs))
	for i, oid := range e.OIDs {
		names[i] = string(oid)
	}
	are := "are"
	if len(names) == 1 {
		are = "is"
	}
	return fmt.Sprintf("%s of it %s not in the cache: %s", plural.Of(len(names), "object"), are, strings.Join(names, ", "))
}

func notCached(path string, oids []dvc.OID) error {
	return fault.WithHint(fault.New(fault.Missing, "%w", &NotCachedError{path, oids}), "fetch them: vishwa data pull")
}

// Untold parts what a checkout failed of: outputs that stay as they were for want of what
// told names already, and all the rest.
func Untold(checkout, told error) (stay []string, rest error) {
	missing, alone := map[dvc.OID]bool{}, []string(nil)
	for err := range parts(told) {
		switch e := err.(type) {
		case *transfer.MissingError:
			for _, oid := range e.OIDs {
				missing[oid] = true
			}
		case *Versioned:
			alone = append(alone, e.Paths...)
		}
	}
	var errs []error
	for err := range joined(checkout) {
		var lacks *NotCachedError
		if errors.As(err, &lacks) && (slices.Contains(alone, lacks.Path) || !slices.ContainsFunc(lacks.OIDs, func(oid dvc.OID) bool { return !missing[oid] })) {
			stay = append(stay, lacks.Path)
			continue
		}
		errs = append(errs, err)
	}
	return stay, errors.Join(errs...)
}

// joined are the errors that errors.Join put together.
func joined(err error) iter.Seq[error] {
	return func(yield func(error) bool) {
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range many.Unwrap() {
				if !yield(e) {
					return
				}
			}
		} else if err != nil {
			yield(err)
		}
	}
}

// parts are err and all that it was made of.
func parts(err error) iter.Seq[error] {
	return func(yield func(error) bool) {
		todo := []error{err}
		for len(todo) > 0 {
			at := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if at == nil {
				continue
			}
			if !yield(at) {
				return
			}
			if many, ok := at.(interface{ Unwrap() []error }); ok {
				todo = append(todo, many.Unwrap()...)
			} else {
				todo = append(todo, errors.Unwrap(at))
			}
		}
	}
}
