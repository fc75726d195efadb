// The law of named commands: a command that a message or a page names is there, and so is
// each flag that it gives it.

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// invoked finds a command line in a text: up to what ends a clause.
var invoked = regexp.MustCompile(`(?:^|[^-\w./@])vishwa ([a-z][^;,()"` + "`" + `|#<>\]]*)`)

// aboutVishwa are words that follow the program's name where a text speaks of it.
var aboutVishwa = []string{"facts", "for", "is", "makes", "on", "or", "program", "sandbox", "seal", "to", "writes"}

func TestMessagesNameCommandsThatAreThere(t *testing.T) {
	root := (&cli{}).root()
	seen := 0
	check := func(file string, line int, text string) {
		for _, m := range invoked.FindAllStringSubmatch(text, -1) {
			seen++
			if wrong := misnamed(root, strings.Fields(m[1])); wrong != "" {
				t.Errorf("%s:%d: %q: %s\n    %s", file, line, strings.TrimSpace(m[0]), wrong, strings.TrimSpace(text))
			}
		}
	}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, "../../"))
		if d.IsDir() {
			if path != "../.." && strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || name == "docs/decisions" ||
				name == "docs/reference/commands" { // made from the commands
				return fs.SkipDir
			}
			return nil
		}
		switch filepath.Ext(name) {
		case ".go":
			if !strings.HasSuffix(name, "_test.go") {
				return literals(path, func(line int, text string) { check(name, line, text) })
			}
		case ".md", ".rego", ".tmpl":
			if name == "CHANGELOG.md" {
				return nil
			}
			b, err := os.ReadFile(path)
			for i, line := range strings.Split(string(b), "\n") {
				check(name, i+1, line)
			}
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 300 {
		t.Errorf("only %d command lines were found: the walk no longer finds them", seen)
	}
}

// misnamed says what of a command line is not there.
func misnamed(root *cobra.Command, words []string) string {
	cmd, depth := root, 0
	for _, w := range words {
		next := subcommand(cmd, strings.TrimRight(w, ".:"))
		if next == nil {
			break
		}
		cmd, depth = next, depth+1
	}
	if cmd == root {
		if word := strings.TrimRight(words[0], ".:"); !slices.Contains(aboutVishwa, word) {
			return "there is no command " + word
		}
		return ""
	}
	for _, w := range words[depth:] {
		name, _, _ := strings.Cut(strings.TrimRight(w, ".:]'"), "=")
		if long, ok := strings.CutPrefix(name, "--"); ok && long != "" && cmd.Flag(long) == nil && cmd.InheritedFlags().Lookup(long) == nil && long != "help" {
			return cmd.CommandPath() + " has no flag " + name
		}
		if w == "vishwa" || strings.HasSuffix(w, ".") || strings.HasSuffix(w, ":") {
			break
		}
	}
	return ""
}

func subcommand(cmd *cobra.Command, name string) *cobra.Command {
	for _, c := range cmd.Commands() {
		if c.Name() == name {
			return c
		}
	}
	return nil
}
