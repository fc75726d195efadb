// Paths of DVC's configuration: ~ is a home directory, and what is relative is below the
// folder of the configuration file.

package data

import (
	"os/user"
	"path/filepath"
	"strings"
)

// InHome is a path that begins with ~ or ~NAME as DVC reads it: below that person's home
// directory. Another, and one of a person who is not here, is as it was.
func InHome(p string, lookup func(string) (string, bool)) string {
	if !strings.HasPrefix(p, "~") {
		return p
	}
	name, rest, _ := strings.Cut(p[1:], "/")
	home, ok := "", false
	if name == "" {
		home, ok = lookup("HOME")
	}
	if !ok {
		of, err := user.Current()
		if name != "" {
			of, err = user.Lookup(name)
		}
		if err != nil || of.HomeDir == "" {
			return p
		}
		home = of.HomeDir
	}
	return filepath.Join(home, rest)
}

// configured is a path of the configuration, whose file is in base; "" stays.
func configured(p, base string, lookup func(string) (string, bool)) string {
	p = InHome(p, lookup)
	if p == "" || filepath.IsAbs(p) || base == "" {
		return p
	}
	return filepath.Join(base, filepath.FromSlash(p))
}
