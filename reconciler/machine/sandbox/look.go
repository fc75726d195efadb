// LookPath finds programs by the PATH of a run instead of the caller's own, which
// is the only one that os/exec knows.

package sandbox

import (
	"os"
	"path/filepath"
	"strings"
)

// LookPath finds program in the folders of path, a PATH list; a program with a
// slash is found from dir instead. An empty answer is: not there, or not
// executable. Relative folders of path are passed over: what they mean depends on
// where one stands.
func LookPath(program, path, dir string) string {
	if strings.Contains(program, "/") {
		if !filepath.IsAbs(program) {
			program = filepath.Join(dir, program)
		}
		return executable(program)
	}
	for _, folder := range filepath.SplitList(path) {
		if !filepath.IsAbs(folder) {
			continue
		}
		if p := executable(filepath.Join(folder, program)); p != "" {
			return p
		}
	}
	return ""
}

func executable(p string) string {
	if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
		return p
	}
	return ""
}
