// Package peers has what tests stand among: an S3 in this process, a real MinIO, somebody between a client and its server, and
// machines that lack a program.
package peers

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Hide is path, a list of folders as PATH is, without the programs of these names: a
// folder that holds one is replaced by a folder below dir that links to all the others.
func Hide(dir, path string, names ...string) (string, error) {
	var out []string
	for i, folder := range filepath.SplitList(path) {
		if !slices.ContainsFunc(names, func(name string) bool {
			_, err := os.Stat(filepath.Join(folder, name))
			return err == nil
		}) {
			out = append(out, folder)
			continue
		}
		rest := filepath.Join(dir, fmt.Sprintf("path%d", i))
		if err := os.MkdirAll(rest, 0o755); err != nil {
			return "", err
		}
		all, err := os.ReadDir(folder)
		if err != nil {
			return "", err
		}
		for _, e := range all {
			if slices.Contains(names, e.Name()) {
				continue
			}
			if err := os.Symlink(filepath.Join(folder, e.Name()), filepath.Join(rest, e.Name())); err != nil {
				return "", err
			}
		}
		out = append(out, rest)
	}
	return strings.Join(out, string(os.PathListSeparator)), nil
}
