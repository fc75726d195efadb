// What a mirror costs beside what git itself costs, on a repository of a large company.

package mirror

import (
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
)

// large is a bare repository with files at its head and commits below it.
func large(b *testing.B, files, commits int) string {
	b.Helper()
	gittest.NeedGit(b)
	dir := filepath.Join(b.TempDir(), "large.git")
	git(b, b.TempDir(), "init", "-q", "--bare", "-b", "main", dir)
	var s strings.Builder
	for i := range commits {
		fmt.Fprintf(&s, "commit refs/heads/main\ncommitter A <a@example.org> %d +0000\ndata 1\nx\n", 1700000000+i)
		n := 1
		if i == 0 {
			n = files
		}
		for j := range n {
			text := fmt.Sprint(i, " ", j)
			fmt.Fprintf(&s, "M 100644 inline d%d/f%d\ndata %d\n%s\n", (i+j)%500, (i+j)%files, len(text), text)
		}
	}
	c := exec.Command("git", "fast-import", "--quiet")
	c.Dir, c.Stdin = dir, strings.NewReader(s.String())
	if out, err := c.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return dir
}

// BenchmarkMirrorClone is a first sight of 50,000 files and 10,000 commits, read to the
// last file name, beside a bare clone by git; and a look when there is nothing new.
func BenchmarkMirrorClone(b *testing.B) {
	remote := large(b, 50_000, 10_000)
	url := "file://" + remote
	began := time.Now()
	git(b, b.TempDir(), "clone", "-q", "--bare", url, filepath.Join(b.TempDir(), "c.git"))
	clone := time.Since(began)
	var m *Mirror
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			m = mirrorOf(b, url)
			if err := m.Fetch(b.Context(), "refs/heads/main"); err != nil {
				b.Fatal(err)
			}
			r, err := repo.Open(m.Dir(), repo.Options{URL: m.URL()})
			if err != nil {
				b.Fatal(err)
			}
			files, err := r.Open(b.Context(), git(b, m.Dir(), "rev-parse", "refs/heads/main"))
			if err != nil {
				b.Fatal(err)
			}
			if err := fs.WalkDir(files, ".", func(_ string, _ fs.DirEntry, err error) error { return err }); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(clone.Seconds(), "git-clone-s")
		b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/clone.Seconds(), "ratio")
	})
	b.Run("nothing-new", func(b *testing.B) {
		m := mirrorOf(b, url)
		if err := m.Fetch(b.Context(), "refs/heads/main"); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if err := m.Fetch(b.Context(), "refs/heads/main"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRefs is one look at a repository with 10,000 pull requests.
func BenchmarkRefs(b *testing.B) {
	remote, _ := newClones(b, 0)
	sha := git(b, remote, "rev-parse", "main")
	var s strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&s, "create refs/pull/%d/head %s\n", i+1, sha)
	}
	c := exec.Command("git", "update-ref", "--stdin")
	c.Dir, c.Stdin = remote, strings.NewReader(s.String())
	if out, err := c.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	git(b, remote, "pack-refs", "--all")
	for name, url := range map[string]string{"file": remote, "http": gittest.NewWeb(b, filepath.Dir(remote)).URL + "/remote.git"} {
		b.Run(name, func(b *testing.B) {
			m := mirrorOf(b, url)
			for b.Loop() {
				if refs, err := m.Refs(b.Context()); err != nil || len(refs) < 10_000 {
					b.Fatal(len(refs), err)
				}
			}
		})
	}
}
