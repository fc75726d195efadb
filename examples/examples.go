// Package examples carries the running example, so that vishwa demo needs no checkout.
package examples

import "embed"

// Files holds each example under its name.
//
//go:embed all:student-intelligence
var Files embed.FS
