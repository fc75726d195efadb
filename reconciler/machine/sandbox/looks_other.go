//go:build !linux

// Elsewhere files are read: what is told of them without that differs by system.

package sandbox

var looks = contents
