// A flag that takes a length of time as declarations do: with days and weeks.

package main

import (
	"time"

	"github.com/vishwaops/vishwa/schemas"
)

type span time.Duration

func (s *span) String() string { return time.Duration(*s).String() }
func (s *span) Type() string   { return "DURATION" }

func (s *span) Set(text string) error {
	d, err := schemas.ParseDuration(text)
	*s = span(d)
	return err
}
