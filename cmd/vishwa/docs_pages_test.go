// Pages that are made from the commands are fresh, manuals are what man takes, and links
// lead somewhere.

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCommandPagesAreFresh: docs/reference/commands is what --help says.
func TestCommandPagesAreFresh(t *testing.T) {
	const folder = "../../docs/reference/commands"
	want := pagesOf((&cli{}).root(), markdown)
	for name, text := range want {
		if got, err := os.ReadFile(filepath.Join(folder, name)); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s is stale (%v): make generate", name, err)
		}
	}
	have, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(have) != len(want) {
		t.Errorf("%d pages stand where %d are made (%v): make generate", len(have), len(want), err)
	}
}

// TestManualsAreTakenByMan: every page is one that groff formats without a warning.
func TestManualsAreTakenByMan(t *testing.T) {
	pages := pagesOf((&cli{}).root(), manual)
	if len(pages) < 40 || pages["vishwa-data-remote-add.1"] == nil {
		t.Fatalf("%d pages", len(pages))
	}
	groff, err := exec.LookPath("groff")
	for name, text := range pages {
		if !bytes.HasPrefix(text, []byte(".TH ")) || !bytes.Contains(text, []byte("\n.SH OPTIONS\n")) {
			t.Errorf("%s is not a manual page:\n%s", name, text)
		}
		if err != nil {
			continue // the shape is held above
		}
		cmd := exec.CommandContext(t.Context(), groff, "-Kutf8", "-man", "-Tutf8", "-ww", "-z")
		cmd.Stdin = bytes.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)#\s]*)(#[^)\s]*)?\)`)

// TestLinksOfTheDocsLeadSomewhere: to files that are there, and to headings in them.
func TestLinksOfTheDocsLeadSomewhere(t *testing.T) {
	for _, page := range pagesOfTheDocs(t) {
		raw, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(raw), -1) {
			if strings.Contains(m[1], ":") {
				continue // elsewhere
			}
			to := page
			if m[1] != "" {
				to = filepath.Join(filepath.Dir(page), m[1])
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: %s is not there", page, m[1])
				continue
			}
			if m[2] != "" && !slices.Contains(anchors(t, to), m[2]) {
				t.Errorf("%s: %s has no heading %s", page, to, m[2])
			}
		}
	}
}

// anchors lists the headings of a page as links name them.
func anchors(t *testing.T, page string) (all []string) {
	t.Helper()
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(raw), -1) {
		plain := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, "#"+strings.ReplaceAll(strings.TrimSpace(plain), " ", "-"))
	}
	return all
}
