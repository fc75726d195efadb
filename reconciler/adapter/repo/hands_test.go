// Hands in commits: how people write trailers, and whose key a signature is by.

package repo

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
)

func TestATrailerIsReadHoweverItIsSpelt(t *testing.T) {
	dir := newRepo(t)
	const linus = "Linus <linus@example.org>"
	if err := os.WriteFile(filepath.Join(dir, ".mailmap"), []byte("Nobody <nobody@example.org> <ada@example.org>\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	git(t, dir, "add", ".mailmap")
	for name, c := range map[string]struct {
		message string
		with    []string
		by      []string
	}{
		"as GitHub writes it":   {"x\n\nCo-authored-by: " + linus, []string{linus}, nil},
		"a blank before":        {"x\n\nCo-Authored-by : " + linus, []string{linus}, nil},
		"indented":              {"x\n\n  co-authored-by:" + linus, []string{linus}, nil},
		"without hyphens":       {"x\n\nCoauthored by: " + linus, []string{linus}, nil},
		"with another hyphen":   {"x\n\nCo‑authored‑by: " + linus, []string{linus}, nil},
		"with a wide colon":     {"x\n\nCo-authored-by： " + linus, []string{linus}, nil},
		"with a look-alike":     {"x\n\nCо-authored-by: " + linus, []string{linus}, nil},
		"with an invisible one": {"x\n\nCo-\u200bauthored-by: " + linus, []string{linus}, nil},
		"in the middle":         {"x\n\nCo-authored-by: " + linus + "\n\nmore", []string{linus}, nil},
		"with":                  {"x\n\nCo-authored-with: " + linus, []string{linus}, nil},
		"asked for":             {"x\n\nRequested-by: github:asha", nil, []string{"github:asha"}},
		"none":                  {"x: y\n\nReviewed-by: " + linus, nil, nil},
	} {
		git(t, dir, "commit", "-q", "--allow-empty", "--cleanup=verbatim", "-m", c.message)
		sha := git(t, dir, "rev-parse", "HEAD")
		got, err := openRepo(t, dir).Hands(t.Context(), sha, sha)
		if err != nil || len(got) != 1 {
			t.Fatalf("%s: %v, %v", name, got, err)
		}
		if !slices.Equal(got[0].With, c.with) || !slices.Equal(got[0].For, c.by) || got[0].SHA != sha || got[0].Key != nil {
			t.Errorf("%s: %+v", name, got[0])
		}
		if got[0].Author != "Ada <ada@example.org>" {
			t.Errorf("%s: .mailmap is believed: %s", name, got[0].Author)
		}
	}
}

func TestASignatureIsItsKeysAlone(t *testing.T) {
	dir := newRepo(t)
	r := openRepo(t, dir)
	key := gittest.SSHKey(t)
	sha, err := r.Write(t.Context(), CommitDraft{Parent: git(t, dir, "rev-parse", "HEAD"), Files: map[string][]byte{"a": []byte("1")}, Message: "Pin", Time: time.Unix(9, 0),
		Sign: func() (ssh.Signer, error) { return key, nil }})
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Hands(t.Context(), sha, sha)
	if err != nil || string(got[0].Key) != string(key.PublicKey().Marshal()) {
		t.Fatalf("%+v, %v", got, err)
	}
	raw := git(t, dir, "cat-file", "commit", sha)
	for name, change := range map[string]func(string) string{
		"another author":  func(s string) string { return strings.Replace(s, "author Vishwa", "author Vishwo", 1) },
		"another message": func(s string) string { return s + "\nmore\n" },
		"another tree":    func(s string) string { return strings.Replace(s, s[5:45], git(t, dir, "rev-parse", "HEAD^{tree}"), 1) },
	} {
		file := filepath.Join(t.TempDir(), "commit")
		if err := os.WriteFile(file, []byte(change(raw)), 0o600); err != nil {
			t.Fatal(err)
		}
		forged := git(t, dir, "hash-object", "-t", "commit", "-w", file)
		got, err := openRepo(t, dir).Hands(t.Context(), forged, forged)
		if err != nil || got[0].Key != nil {
			t.Errorf("%s is still signed: %+v, %v", name, got, err)
		}
	}
}

func TestVersionsOfAFile(t *testing.T) {
	dir := newRepo(t)
	for _, text := range []string{"one", "two", "one", "three"} {
		if err := os.WriteFile(filepath.Join(dir, "f.yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		git(t, dir, "add", ".")
		git(t, dir, "commit", "-q", "-m", text)
	}
	got, err := openRepo(t, dir).Versions(t.Context(), git(t, dir, "rev-parse", "HEAD"), "f.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, b := range got {
		all = append(all, string(b))
	}
	if slices.Sort(all); !slices.Equal(all, []string{"one", "three", "two"}) {
		t.Errorf("%q", all)
	}
}
