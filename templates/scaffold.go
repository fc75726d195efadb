// What vishwa init writes: a whole small project that applies as it is, and the
// pipelines in which continuous-integration servers call Vishwa.

package templates

import (
	"bytes"
	"embed"
	"io/fs"
	"path"
	"strings"
	"text/template"
)

//go:embed all:scaffold
var scaffold embed.FS

// pipelines is the folder of what is written for continuous-integration servers.
const pipelines = "scaffold/ci"

// Scaffold is the files of a new project, by their path in the repository. The
// name must be a DNS label.
func Scaffold(name string) (map[string][]byte, error) {
	out := map[string][]byte{}
	err := fs.WalkDir(scaffold, "scaffold", func(p string, e fs.DirEntry, err error) error {
		if e != nil && e.IsDir() && p == pipelines {
			return fs.SkipDir
		}
		if err != nil || e.IsDir() {
			return err
		}
		raw, err := scaffold.ReadFile(p)
		if err != nil {
			return err
		}
		p = strings.TrimPrefix(p, "scaffold/")
		if path.Ext(p) == ".yaml" {
			t, err := template.New(p).Parse(string(raw))
			if err != nil {
				return err
			}
			var b bytes.Buffer
			if err := t.Execute(&b, map[string]string{"Name": name}); err != nil {
				return err
			}
			raw = b.Bytes()
		}
		if p == "gitignore" { // under its real name it would rule this folder
			p = ".gitignore"
		}
		out[p] = raw
		return nil
	})
	return out, err
}

// Pipeline is what the pipelines are written for.
type Pipeline struct {
	Branch string // tracked; checked by the caller: it stands in YAML and Groovy as it is
	Action string // what a step uses: OWNER/NAME/PATH@COMMIT; of the workflow alone
}

// NoCommit stands in a workflow for a commit that a person has to fill in: GitHub finds
// no such commit, and says so.
const NoCommit = "0000000000000000000000000000000000000000"

// Unpinned tells whether a person has to fill in the action's commit.
func (p Pipeline) Unpinned() bool { return strings.HasSuffix(p.Action, "@"+NoCommit) }

// Workflow is the file .github/workflows/vishwa.yml.
func Workflow(p Pipeline) ([]byte, error) { return p.fill("vishwa.yml") }

// Jenkinsfile is the file Jenkinsfile.
func Jenkinsfile(p Pipeline) ([]byte, error) { return p.fill("Jenkinsfile") }

// fill executes a pipeline's template; its brackets are not those of GitHub's expressions.
func (p Pipeline) fill(name string) ([]byte, error) {
	t, err := template.New(name).Delims("[[", "]]").ParseFS(scaffold, path.Join(pipelines, name))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return nil, err
	}
	return append(bytes.TrimRight(b.Bytes(), "\n"), '\n'), nil
}
