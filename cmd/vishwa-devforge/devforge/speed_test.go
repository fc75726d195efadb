// How long the double itself takes, so that what is measured against it can be
// told apart from it.

package devforge_test

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/google/go-github/v62/github"

	"github.com/vishwaops/vishwa/cmd/vishwa-devforge/devforge"
)

func benchForge(b *testing.B) (*devforge.Forge, tree) {
	b.Helper()
	f, err := devforge.New(devforge.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	if _, err := f.Listen("127.0.0.1:0"); err != nil {
		b.Fatal(err)
	}
	if err := f.CreateRepo("acme", "models"); err != nil {
		b.Fatal(err)
	}
	w := tree{dir: b.TempDir()}
	u, _ := url.Parse(f.CloneURL(repoName))
	u.User = url.UserPassword("x-access-token", f.Token("acme"))
	for _, args := range [][]string{
		{"clone", "--quiet", u.String(), "."}, {"checkout", "--quiet", "-B", "main"}, {"commit", "--quiet", "--allow-empty", "-m", "0"}, {"push", "--quiet", "origin", "main"},
		{"checkout", "--quiet", "-b", "topic"}, {"commit", "--quiet", "--allow-empty", "-m", "1"}, {"push", "--quiet", "origin", "topic"},
	} {
		if out, err := w.try(args...); err != nil {
			b.Fatalf("git %v: %v %s", args, err, out)
		}
	}
	if _, err := f.OpenPull(devforge.NewPull{Repo: repoName, Head: "topic", Title: "x", Author: "acme"}); err != nil {
		b.Fatal(err)
	}
	return f, w
}

func BenchmarkComment(b *testing.B) {
	f, _ := benchForge(b)
	gh := github.NewClient(nil).WithAuthToken(f.Token("acme"))
	gh.BaseURL, _ = url.Parse(f.URL() + "/api/v3/")
	for b.Loop() {
		if _, _, err := gh.Issues.CreateComment(background(), "acme", "models", 1, &github.IssueComment{Body: github.String("x")}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkListRemote(b *testing.B) {
	_, w := benchForge(b)
	for b.Loop() {
		if out, err := w.try("ls-remote", "origin"); err != nil {
			b.Fatal(err, out)
		}
	}
}

func BenchmarkPushToAnOpenPull(b *testing.B) {
	_, w := benchForge(b)
	n := 0
	for b.Loop() {
		n++
		if out, err := w.try("commit", "--quiet", "--allow-empty", "-m", fmt.Sprint(n)); err != nil {
			b.Fatal(err, out)
		}
		if out, err := w.try("push", "--quiet", "origin", "topic"); err != nil {
			b.Fatal(err, out)
		}
	}
}
