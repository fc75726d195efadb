// Which files hold declarations: vishwa.yaml, and what its include globs match.

package schemas

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// Root is the file that holds the Project.
const Root = "vishwa.yaml"

// defaultInclude is read where a Project includes nothing: whatever the case of the ending is, as a file that is called so is meant.
var defaultInclude = []string{"vishwa/**/*.[yY][aA][mM][lL]", "vishwa/**/*.[yY][mM][lL]"}

// finding is a problem of an include glob, or of a link that it meets.
type finding struct{ glob, message string }

// includer collects the files that globs match.
type includer struct {
	repo  *repository
	files map[string]bool
	found []finding
	links map[string]bool

	visits int // paths that were held against globs
}

var errVisits = errors.New("too many paths")

// included lists the files that globs match, sorted, without Root.
func included(repo *repository, globs []string, strict bool) ([]string, []finding) {
	in := includer{repo: repo, files: map[string]bool{}, links: map[string]bool{}}
	if len(globs) > maxGlobs {
		return nil, []finding{{globs[maxGlobs], fmt.Sprintf("lists more than %d globs; write wider ones, such as vishwa/**/*.yaml", maxGlobs)}}
	}
	for _, g := range globs {
		if m := misglob(g); m != "" {
			in.found = append(in.found, finding{g, m})
			continue
		}
		if n := in.glob(g); n == 0 && strict {
			in.found = append(in.found, finding{g, fmt.Sprintf("%s matches no file%s", short(g), otherwise(repo.nearestOf(g), "; correct or remove it"))})
		}
	}
	delete(in.files, Root)
	return slices.Sorted(maps.Keys(in.files)), in.found
}

func otherwise(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}

func (r *repository) nearestOf(glob string) string {
	if meta(glob) || local(glob) != "" {
		return ""
	}
	return r.nearest(glob)
}

func meta(s string) bool { return strings.ContainsAny(s, "*?[") }

func misglob(g string) string {
	if m := local(g); m != "" {
		return m
	}
	for _, part := range strings.Split(g, "/") {
		if _, err := path.Match(part, ""); err != nil {
			return short(g) + " is not a glob; close its [ ]"
		}
		if strings.Contains(part, "**") && part != "**" {
			return short(g) + ` has "**" next to other text; put it alone between slashes`
		}
	}
	return ""
}

// glob adds what g matches and tells how much that is.
func (in *includer) glob(g string) int {
	parts := strings.Split(g, "/")
	base := 0
	for base < len(parts)-1 && !meta(parts[base]) {
		base++
	}
	start := "."
	if base > 0 {
		start = path.Join(parts[:base]...)
	}
	e := in.repo.entryAt(start)
	if e.link != "" {
		in.link(g, e.link)
		return 1
	}
	if e.err != nil || !e.mode.IsDir() {
		return 0
	}
	n := 0
	err := fs.WalkDir(in.repo.fsys, start, func(p string, e fs.DirEntry, err error) error {
		if in.visits++; in.visits > maxVisits || len(in.files) > MaxFiles || len(in.found) >= MaxProblems {
			return errVisits
		}
		if err != nil {
			in.found = append(in.found, finding{g, fmt.Sprintf("%s cannot be read: %s; make it readable", p, cause(err))})
			return fs.SkipDir
		}
		n += in.visit(g, parts, p, e)
		if e.IsDir() && p != start && (!mayMatch(parts, strings.Split(p, "/")) || hidden(p)) {
			return fs.SkipDir
		}
		return nil
	})
	switch {
	case err == nil:
	case len(in.files) > MaxFiles:
		in.found = append(in.found, finding{g, fmt.Sprintf("%s matches, with what was matched before, more than %d files; put several declarations into a file, or narrow the glob", short(g), MaxFiles)})
	case in.visits > maxVisits:
		in.found = append(in.found, finding{g, fmt.Sprintf("%s makes more than %d paths to be looked at; begin the glob with the folder that holds the declarations", short(g), maxVisits)})
	}
	if err != nil {
		return 1 // that nothing matches is not known
	}
	return n
}

// hidden folders, such as .git and .venv, hold no declarations.
func hidden(p string) bool { return strings.HasPrefix(path.Base(p), ".") }

func (in *includer) visit(g string, parts []string, p string, e fs.DirEntry) int {
	at := strings.Split(p, "/")
	switch {
	case e.Type()&fs.ModeSymlink != 0:
		if matches(parts, at) || in.folder(p) && mayMatch(parts, at) {
			in.link(g, p)
			return 1
		}
	case !e.IsDir() && matches(parts, at):
		in.files[p] = true
		return 1
	}
	return 0
}

// folder tells whether a symbolic link leads to a folder of the repository.
func (in *includer) folder(p string) bool {
	info, err := fs.Stat(in.repo.fsys, p)
	return err == nil && info.IsDir()
}

func (in *includer) link(g, p string) {
	if !in.links[p] {
		in.links[p] = true
		in.found = append(in.found, finding{g, fmt.Sprintf("%s is a symbolic link, which is not followed; put the file there itself", p)})
	}
}

// matches tells whether the path's parts match the glob's; "**" stands for any number
// of parts. It goes back to the last "**" alone, so that many of them cost no more.
func matches(glob, at []string) bool {
	g, a := 0, 0
	star, from := -1, 0
	for a < len(at) {
		if g < len(glob) && glob[g] == "**" {
			star, from = g, a
			g++
			continue
		}
		if g < len(glob) {
			if ok, _ := path.Match(glob[g], at[a]); ok {
				g, a = g+1, a+1
				continue
			}
		}
		if star < 0 {
			return false
		}
		from++
		g, a = star+1, from
	}
	for g < len(glob) && glob[g] == "**" {
		g++
	}
	return g == len(glob)
}

// mayMatch tells whether a path below the folder at can match.
func mayMatch(glob, at []string) bool {
	for len(at) > 0 {
		if len(glob) == 0 {
			return false
		}
		if glob[0] == "**" {
			return true
		}
		if ok, _ := path.Match(glob[0], at[0]); !ok {
			return false
		}
		glob, at = glob[1:], at[1:]
	}
	return len(glob) > 0
}
