// Every block of the documentation is run or read: what a page shows works as it stands
// there. Shell blocks are run by the story of their page (told_test.go); declarations and
// rules are read by the same readers as in real use; and the commands of all are held against
// the program's own flags and make's targets.

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/policy"
)

// block is one fenced block of a page.
type block struct {
	file           string
	line           int
	language, text string
}

var fence = regexp.MustCompile("^( *)```([a-z]*)$")

// blocksOf lists the blocks of a page, without the indentation that they stand at.
func blocksOf(t *testing.T, page string) (all []block) {
	t.Helper()
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var open *block
	indent := ""
	for i, line := range strings.Split(string(raw), "\n") {
		switch m := fence.FindStringSubmatch(line); {
		case m != nil && open == nil:
			open, indent = &block{file: page, line: i + 1, language: m[2]}, m[1]
		case m != nil:
			all = append(all, *open)
			open = nil
		case open != nil:
			open.text += strings.TrimPrefix(line, indent) + "\n"
		}
	}
	if open != nil {
		t.Errorf("%s:%d: a block is not closed", page, open.line)
	}
	return all
}

// pagesOfTheDocs are all that people read.
func pagesOfTheDocs(t *testing.T) []string {
	t.Helper()
	pages := []string{"../../README.md", "../../CONTRIBUTING.md", "../../SECURITY.md"}
	for _, pattern := range []string{"../../docs/*.md", "../../docs/*/*.md", "../../docs/*/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	return pages
}

func TestEveryBlockOfTheDocsHolds(t *testing.T) {
	count := map[string]int{}
	for _, page := range pagesOfTheDocs(t) {
		for _, b := range blocksOf(t, page) {
			count[b.language]++
			if err := b.hold(t); err != nil {
				t.Errorf("%s:%d: %v", b.file, b.line, err)
			}
		}
	}
	if count["yaml"] < 20 || count["sh"] < 20 || count["rego"] < 2 {
		t.Errorf("blocks are not found: %v", count)
	}
}

// hold tells what is wrong with a block.
func (b block) hold(t *testing.T) error {
	switch b.language {
	case "yaml":
		if strings.HasPrefix(b.text, "repos:") {
			return holdHooks(b.text)
		}
		if filepath.Base(b.file) == "kubernetes.md" && !strings.HasPrefix(b.text, "apiVersion:") {
			return holdValues(b.text)
		}
		return holdYAML(t, b.text)
	case "rego":
		return holdRego(b.text)
	case "sh":
		return b.holdCommands()
	case "hcl":
		return holdHCL(t, b.text)
	case "ini":
		return holdUnit(b.text)
	case "python":
		return holdPython(t, b.text)
	case "text":
		if m := regexp.MustCompile(`(?m)^(\$ |vishwa )`).FindString(b.text); m != "" && !strings.Contains(b.file, "reference/commands") {
			return errors.New("commands stand in a block of text: call it sh")
		}
		return nil
	}
	return errors.New("what is in it? call it yaml, rego, sh, hcl, ini, python or text")
}

// holdPython has Python read it; docs_recipes_test.go runs it.
func holdPython(t *testing.T, text string) error {
	cmd := exec.CommandContext(t.Context(), "python3", "-c", "import ast, sys; ast.parse(sys.stdin.read())")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.New(string(out))
	}
	return nil
}

// holdHooks holds what a team writes for pre-commit against the hooks that are offered.
func holdHooks(text string) error {
	offered, err := os.ReadFile("../../.pre-commit-hooks.yaml")
	if err != nil {
		return err
	}
	var have []struct{ ID string }
	var want struct {
		Repos []struct{ Hooks []struct{ ID string } }
	}
	if err := errors.Join(yaml.Unmarshal(offered, &have), yaml.Unmarshal([]byte(text), &want)); err != nil {
		return err
	}
	for _, repo := range want.Repos {
		for _, hook := range repo.Hooks {
			if !slices.ContainsFunc(have, func(h struct{ ID string }) bool { return h.ID == hook.ID }) {
				return errors.New("there is no hook " + hook.ID)
			}
		}
	}
	return nil
}

// holdValues holds values of the chart against its schema; cmd/vishwa-release has helm make objects of them.
func holdValues(text string) error {
	raw, err := os.ReadFile("../../templates/chart/values.schema.json")
	if err != nil {
		return err
	}
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	whole := schema.(map[string]any)
	delete(whole, "required") // a page shows parts
	delete(whole["properties"].(map[string]any)["config"].(map[string]any), "required")
	c := jsonschema.NewCompiler()
	if err := c.AddResource("values.json", whole); err != nil {
		return err
	}
	compiled, err := c.Compile("values.json")
	if err != nil {
		return err
	}
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(text), &n); err != nil {
		return err
	}
	return compiled.Validate(asJSON(&n))
}

// holdRego loads rules as a team's, which holds them against the schema of the input.
func holdRego(text string) error {
	if !strings.Contains(text, "package ") {
		text = "package team\n\n" + text
	}
	_, err := policy.New(fstest.MapFS{"policy/team.rego": {Data: []byte(text)}}, []string{"policy"}, policy.Options{})
	return err
}

// holdHCL has Terraform, or OpenTofu, parse it.
func holdHCL(t *testing.T, text string) error {
	for _, name := range []string{"terraform", "tofu"} {
		if program, err := exec.LookPath(name); err == nil {
			cmd := exec.CommandContext(t.Context(), program, "fmt", "-check", "-")
			cmd.Stdin = strings.NewReader(text)
			out, err := cmd.CombinedOutput()
			if err != nil {
				return errors.New(string(out))
			}
			return nil
		}
	}
	return errors.New("terraform or tofu is needed: make test builds tofu")
}

// unit is the controller's unit for systemd, which the pages show.
const unit = "../../templates/systemd/vishwa-controller.service"

// holdUnit holds each line against the unit that is delivered.
func holdUnit(text string) error {
	raw, err := os.ReadFile(unit)
	if err != nil {
		return err
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(strings.Split(string(raw), "\n"), line) {
			return errors.New(line + " is not in templates/systemd/vishwa-controller.service")
		}
	}
	return nil
}

// holdCommands holds the commands of a block against the program and the Makefile.
func (b block) holdCommands() error {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		return err
	}
	for line := range strings.Lines(strings.ReplaceAll(b.text, "\\\n", " ")) {
		line, _, _ = strings.Cut(line, "  #")
		for _, command := range regexp.MustCompile(`&&|\||;`).Split(line, -1) {
			words := strings.Fields(command)
			if len(words) == 0 || strings.HasPrefix(words[0], "#") {
				continue
			}
			switch words[0] {
			case "vishwa":
				if at := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, ">") || w == "&" }); at > 0 {
					words = words[:at] // where its output goes
				}
				if err := parses(words[1:]); err != nil {
					return errors.New(command + ": " + err.Error())
				}
			case "make":
				for _, target := range words[1:] {
					if !strings.Contains(target, "=") && !bytes.Contains(makefile, []byte("\n"+target+":")) {
						return errors.New("make has no target " + target)
					}
				}
			}
		}
	}
	return nil
}

// parses tells whether the program takes such a command line.
func parses(words []string) error {
	root := (&cli{}).root()
	cmd, rest, err := root.Find(words)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if cmd.Args != nil {
		return cmd.Args(cmd, cmd.Flags().Args())
	}
	return nil
}
