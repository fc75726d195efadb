// Trees that somebody hostile wrote are only read.

package repo

import (
	"encoding/hex"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// raw writes an object as it is, however malformed.
func raw(t testing.TB, dir, kind string, content []byte) string {
	t.Helper()
	c := exec.Command("git", "hash-object", "--literally", "-t", kind, "-w", "--stdin")
	c.Dir, c.Stdin = dir, strings.NewReader(string(content))
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("hash-object: %v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func treeLine(t testing.TB, mode, name, sha string) string {
	t.Helper()
	b, err := hex.DecodeString(sha)
	if err != nil {
		t.Fatal(err)
	}
	return mode + " " + name + "\x00" + string(b)
}

// TestHostileTreesAreOnlyRead: whatever a tree holds, reading it ends in files or in an
// error: no panic, nothing outside of it, no link followed.
func TestHostileTreesAreOnlyRead(t *testing.T) {
	dir := newRepo(t)
	outside := t.TempDir()
	write(t, outside, "secret", "hunter2")
	blob := raw(t, dir, "blob", []byte("hunted"))
	inner := raw(t, dir, "tree", []byte(treeLine(t, "100644", "config", blob)))
	var deep string
	for at, i := inner, 0; i < 300; i++ {
		at = raw(t, dir, "tree", []byte(treeLine(t, "40000", "d", at)))
		deep = at
	}
	link := func(to string) string { return treeLine(t, "120000", "link", raw(t, dir, "blob", []byte(to))) }
	header := "author A <a@x> 1 +0000\ncommitter A <a@x> 1 +0000\n"
	for name, tree := range map[string]string{
		".git": treeLine(t, "40000", ".git", inner), ".GIT": treeLine(t, "40000", ".GIT", inner), ".git and space": treeLine(t, "40000", ".git ", inner),
		"dots": treeLine(t, "40000", "..", inner), "absolute": treeLine(t, "100644", "/etc/x", blob), "path": treeLine(t, "100644", "../x", blob),
		"escape": link(outside + "/secret"), "cycle": link("link"), "submodule": treeLine(t, "160000", "sub", strings.Repeat("12", 20)),
		"deep": treeLine(t, "40000", "d", deep), "twice": treeLine(t, "100644", "a", blob) + treeLine(t, "100644", "a", blob),
		"gone": treeLine(t, "100644", "a", strings.Repeat("34", 20)), "cut": treeLine(t, "100644", "a", blob)[:20], "mode": treeLine(t, "7777777", "a", blob), "no name": treeLine(t, "100644", "", blob),
	} {
		t.Run(name, func(t *testing.T) {
			sha := raw(t, dir, "tree", []byte(tree))
			for _, head := range []string{"tree " + sha + "\n" + header, "tree " + sha + "\ntree " + sha + "\n" + header + header} {
				c := raw(t, dir, "commit", []byte(head+"\nx\n"))
				files, err := openRepo(t, dir).Open(t.Context(), c)
				if err != nil {
					continue
				}
				_ = fs.WalkDir(files, ".", func(p string, _ fs.DirEntry, err error) error {
					if err != nil {
						return fs.SkipDir
					}
					if !fs.ValidPath(p) || strings.EqualFold(filepath.Base(p), ".git") {
						t.Errorf("%q is a path", p)
					}
					if b, err := fs.ReadFile(files, p); err == nil && strings.Contains(string(b), "hunter2") {
						t.Errorf("%s is read from outside", p)
					}
					return nil
				})
			}
		})
	}
}
