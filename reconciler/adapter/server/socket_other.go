//go:build !linux

// A Unix socket's path may have about 104 bytes, a state folder any number. Where
// an open folder has no path of its own, a short link to it stands in.

package server

import (
	"fmt"
	"os"
	"path/filepath"
)

// short is another path of the file at path, valid until free is called.
func short(path string) (same string, free func(), err error) {
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return "", nil, fmt.Errorf("find state folder: %w", err)
	}
	own, err := os.MkdirTemp("", "vishwa-") // 0700: no other user can replace the link
	if err != nil {
		return "", nil, fmt.Errorf("make short path: %w", err)
	}
	link := filepath.Join(own, "d")
	if err := os.Symlink(dir, link); err != nil {
		os.RemoveAll(own)
		return "", nil, fmt.Errorf("make short path: %w", err)
	}
	return filepath.Join(link, filepath.Base(path)), func() { os.RemoveAll(own) }, nil
}
