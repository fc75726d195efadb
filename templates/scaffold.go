// The scaffold that vishwa init writes: a whole small project that applies as it is.
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

// Scaffold is the files of a new project, by their path in the repository. The
// name must be a DNS label.
func Scaffold(name string) (map[string][]byte, error) {
	out := map[string][]byte{}
	err := fs.WalkDir(scaffold, "scaffold", func(p string, e fs.DirEntry, err error) error {
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
