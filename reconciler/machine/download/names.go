// Names that listings give are the choice of whoever fills the place. What could
// not be laid out below a folder, here or on another machine, is refused by name.

package download

import (
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

const (
	longestName = 255  // bytes of one part, as file systems have it
	longestPath = 4000 // bytes; Linux takes 4,096 with the folder's own
)

// checkNames refuses files that cannot stand side by side below one folder.
// files are sorted by path.
func CheckNames(files []port.SourceFile) error {
	folders := map[string]string{} // as a file system without case sees them
	seen := make(map[string]string, len(files))
	for _, f := range files {
		if why := unfit(f.Path); why != "" {
			return refused(f.Path, why)
		}
		key := folded(f.Path)
		if other, ok := seen[key]; ok {
			return refused(f.Path, "differs from "+Quoted(other)+" only in case or spelling")
		}
		seen[key] = f.Path
		for i := range len(key) {
			if key[i] == '/' {
				folders[key[:i]] = f.Path
			}
		}
	}
	for _, f := range files {
		if below, ok := folders[folded(f.Path)]; ok {
			return refused(f.Path, "is also a folder, of "+Quoted(below))
		}
	}
	return nil
}

func refused(name, why string) error {
	return fault.WithHint(fault.New(fault.Invalid, "the name %s %s", Quoted(name), why), "rename it where it is kept")
}

// quoted is a name on one line and of bearable length.
func Quoted(name string) string {
	const most = 100
	if len(name) <= most {
		return strconv.Quote(name)
	}
	return strconv.Quote(strings.ToValidUTF8(name[:most], "")) + "…"
}

// unfit says why a name cannot be laid out, or "".
func unfit(name string) string {
	switch {
	case strings.ContainsRune(name, 0):
		return "holds a NUL"
	case strings.Contains(name, `\`):
		return "holds a back-slash"
	case len(name) > longestPath:
		return "is too long"
	case !fs.ValidPath(name) || name == ".":
		return "is not a plain relative path"
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case len(part) > longestName:
			return "is too long"
		case isGit(part):
			return "leads into .git"
		case isDevice(part):
			return "is a device on Windows"
		case strings.EqualFold(part, staging):
			return "is kept for what is being read"
		}
	}
	return ""
}

// isGit tells whether some file system takes part for .git: those without case,
// Windows, which drops dots and spaces at the end and has short names, and Apple's,
// which passes over characters that cannot be seen.
func isGit(part string) bool {
	seen := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, part)
	seen, _, _ = strings.Cut(seen, ":") // a stream of the folder's
	seen = strings.TrimRight(seen, ". ")
	return seen == ".git" || seen == "git~1"
}

var devices = []string{"con", "prn", "aux", "nul", "conin$", "conout$"}

func isDevice(part string) bool {
	stem, _, _ := strings.Cut(strings.ToLower(part), ".")
	stem, _, _ = strings.Cut(stem, ":")
	stem = strings.TrimRight(stem, " ")
	if slices.Contains(devices, stem) {
		return true
	}
	number, ok := strings.CutPrefix(stem, "com")
	if !ok {
		number, ok = strings.CutPrefix(stem, "lpt")
	}
	return ok && slices.Contains([]string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³"}, number)
}

// folded is a name as a file system without case, and with one spelling of
// accents, sees it.
func folded(name string) string {
	return norm.NFC.String(strings.ToLower(strings.ToUpper(norm.NFC.String(name))))
}
