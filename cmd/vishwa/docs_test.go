// Every block of the documentation is run or read: what a page shows works as it stands
// there. Pages that take a reader through a task are run from top to bottom; declarations
// and rules are read by the same readers as in real use; other commands are held against
// the program's own flags and make's targets.
package main

import (
	"bytes"
	"errors"
	"io"
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
	"github.com/vishwaops/vishwa/schemas"
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

// told are the pages whose shell blocks TestPagesAreToldAsTheyStand runs in order.
var told = []string{"start.md", "backup.md", "upgrading.md"}

// elsewhere are commands of blocks that are not run, and why they cannot be here.
var elsewhere = map[string]string{
	"docker": "needs an engine", "gh": "needs an account", "model_signing": "examples/examples_test.go runs what verify prints", "cosign": "as model_signing",
	"useradd": "needs root", "install": "needs root", "chown": "needs root", "systemctl": "needs systemd", "journalctl": "needs systemd", "curl": "needs the service",
	"export": "of the shell", "tar": "of a secret", "git": "of a repository that is not here", "go": "builds what make build does",
}

func TestEveryBlockOfTheDocsHolds(t *testing.T) {
	pages := []string{"../../README.md", "../../CONTRIBUTING.md", "../../SECURITY.md"}
	for _, pattern := range []string{"../../docs/*.md", "../../docs/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	count := map[string]int{}
	for _, page := range pages {
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
		return holdYAML(t, b.text)
	case "rego":
		return holdRego(b.text)
	case "sh":
		return b.holdCommands()
	case "hcl":
		return holdHCL(t, b.text)
	case "ini":
		return holdUnit(b.text)
	case "text":
		if m := regexp.MustCompile(`(?m)^(\$ |vishwa )`).FindString(b.text); m != "" && !strings.Contains(b.file, "reference/commands") {
			return errors.New("commands stand in a block of text: call it sh")
		}
		return nil
	}
	return errors.New("what is in it? call it yaml, rego, sh, hcl, ini or text")
}

// holdYAML reads whole documents as in real use, and parts of them by the schemas, of
// which nothing needs to be there.
func holdYAML(t *testing.T, text string) error {
	if regexp.MustCompile(`(?m)^apiVersion:`).MatchString(text) && strings.Contains(text, "metadata:") {
		for _, p := range declared(t, text) {
			return errors.New(p.Error())
		}
		return nil
	}
	d := yaml.NewDecoder(strings.NewReader(text))
	for {
		var n yaml.Node
		err := d.Decode(&n)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := n.Decode(new(any)); err != nil { // a key that stands twice
			return err
		}
		v := asJSON(&n)
		if v == nil {
			continue // comments
		}
		if err := part(t, v); err != nil {
			return err
		}
	}
}

// asJSON is a YAML node as JSON has it; a date is text.
func asJSON(n *yaml.Node) any {
	switch n.Kind {
	case yaml.DocumentNode:
		return asJSON(n.Content[0])
	case yaml.MappingNode:
		out := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			out[n.Content[i].Value] = asJSON(n.Content[i+1])
		}
		return out
	case yaml.SequenceNode:
		out := []any{}
		for _, c := range n.Content {
			out = append(out, asJSON(c))
		}
		return out
	}
	var v any
	if n.Tag == "!!timestamp" || n.Decode(&v) != nil {
		return n.Value
	}
	return v
}

// part holds a part of a declaration, of trust.yaml or of the controller's file against
// their schemas: the one that it names, or any where it names none.
func part(t *testing.T, v any) error {
	var all error
	doc, _ := v.(map[string]any)
	for _, name := range schemas.Names() {
		if kind, said := doc["kind"].(string); name == schemas.Any || said && !strings.EqualFold(kind, name) {
			continue
		}
		whole := lenient(t, name)
		forms := []any{v}
		if _, has := doc["spec"]; !has {
			forms = append(forms, map[string]any{"spec": v})
		}
		for _, form := range forms {
			err := whole.Validate(form)
			if err == nil {
				return nil
			}
			all = errors.Join(all, err)
		}
	}
	return errors.Join(errors.New("it is a part of no kind"), all)
}

// lenient is a schema in which nothing is required.
func lenient(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	raw, err := schemas.Schema(name)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	var loosen func(any)
	loosen = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if _, list := v["required"].([]any); list {
				delete(v, "required")
			}
			if one, _ := v["oneOf"].([]any); slices.ContainsFunc(one, func(v any) bool { m, _ := v.(map[string]any); return m["required"] != nil }) {
				delete(v, "oneOf") // of alternatives that must be there
			}
			for _, below := range v {
				loosen(below)
			}
		case []any:
			for _, below := range v {
				loosen(below)
			}
		}
	}
	loosen(doc)
	c := jsonschema.NewCompiler()
	if err := c.AddResource("part:"+name, doc); err != nil {
		t.Fatal(err)
	}
	return c.MustCompile("part:" + name)
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

// holdCommands holds each command of a block that is not run against the program.
func (b block) holdCommands() error {
	if slices.Contains(told, filepath.Base(b.file)) {
		return nil // run as it stands
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		return err
	}
	for line := range strings.Lines(b.text) {
		line, _, _ = strings.Cut(line, "  #")
		for _, command := range regexp.MustCompile(`&&|\||;`).Split(line, -1) {
			words := strings.Fields(command)
			if len(words) == 0 || strings.HasPrefix(words[0], "#") {
				continue
			}
			switch words[0] {
			case "cd", "base64":
			case "vishwa":
				if err := parses(words[1:]); err != nil {
					return errors.New(command + ": " + err.Error())
				}
			case "make":
				for _, target := range words[1:] {
					if !strings.Contains(target, "=") && !bytes.Contains(makefile, []byte("\n"+target+":")) {
						return errors.New("make has no target " + target)
					}
				}
			default:
				if elsewhere[words[0]] == "" {
					return errors.New(words[0] + " is not run here, and nobody says why (elsewhere)")
				}
			}
		}
	}
	return nil
}

// parses tells whether the program takes such a command line.
func parses(words []string) error {
	root := (&app{}).root()
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

// TestCommandPagesAreFresh: docs/reference/commands is what --help says.
func TestCommandPagesAreFresh(t *testing.T) {
	const folder = "../../docs/reference/commands"
	want := pagesOf((&app{}).root(), markdown)
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
	pages := pagesOf((&app{}).root(), manual)
	if len(pages) < 40 || pages["vishwa-data-remote-add.1"] == nil {
		t.Fatalf("%d pages", len(pages))
	}
	groff, err := exec.LookPath("groff")
	for name, text := range pages {
		if !bytes.HasPrefix(text, []byte(".TH ")) || !bytes.Contains(text, []byte("\n.SH OPTIONS\n")) {
			t.Errorf("%s is no manual page:\n%s", name, text)
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
