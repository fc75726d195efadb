// Nothing secret is left anywhere: not in files, Git objects, comments, logs, nor in
// the list of processes.

package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// leaks looks for secrets in all that a script left in dir.
func leaks(t *testing.T, dir string, secrets ...string) {
	look := func(where string, text []byte) {
		for _, s := range secrets {
			if bytes.Contains(text, []byte(s)) {
				t.Errorf("%s holds a secret", where)
			}
		}
	}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && (path == filepath.Join(dir, "keys") || path == filepath.Join(dir, ".bin")) {
			return fs.SkipDir
		}
		if _, err := os.Stat(filepath.Join(path, "objects")); e.IsDir() && err == nil {
			all := exec.Command("git", "-C", path, "cat-file", "--batch-all-objects", "--batch", "--unordered")
			text, err := all.Output()
			if err != nil {
				t.Errorf("read the objects of %s: %v", path, err)
			}
			look(path, text)
		}
		if !e.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		look(path, text)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// told looks for secrets in all that a GitHub shows.
func (g *github) told(t *testing.T, secrets ...string) {
	s, err := g.Shown(theirs)
	if err != nil {
		t.Error(err)
		return
	}
	raw, err := json.Marshal(s)
	if err != nil {
		t.Error(err)
	}
	for _, secret := range secrets {
		if strings.Contains(string(raw), secret) {
			t.Error("what GitHub shows holds a secret")
		}
	}
}

// commandLines says whose command line holds a secret. Only Linux tells.
func commandLines(secret string) (found []string) {
	all, _ := os.ReadDir("/proc") // none elsewhere
	for _, p := range all {
		if p.Name()[0] > '9' {
			continue
		}
		if said, _ := os.ReadFile(filepath.Join("/proc", p.Name(), "cmdline")); bytes.Contains(said, []byte(secret)) {
			found = append(found, p.Name())
		}
	}
	return found
}
