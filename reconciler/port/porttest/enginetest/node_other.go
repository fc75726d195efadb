// Elsewhere than on Linux there is no engine, and what uses this package still compiles.

//go:build !linux

package enginetest

import "errors"

var errLinux = errors.New("an engine of the tests' own runs on Linux alone")

func first() {}

func enter() error { return errLinux }

func (n *node) begin() error { return errLinux }
