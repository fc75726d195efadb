// vishwa reference: the help of every command as Markdown, for docs/reference/commands,
// and as manual pages. Both are made from the commands themselves, so that they and
// --help say the same.

package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func (a *cli) referenceVerb() *cobra.Command {
	return &cobra.Command{
		Use: "reference markdown|man DIR", Short: "Write the help of every command to a folder", Hidden: true,
		Args: cobra.ExactArgs(2), ValidArgs: []string{"markdown", "man"},
		RunE: func(cmd *cobra.Command, args []string) error {
			write := markdown
			switch args[0] {
			case "markdown":
			case "man":
				write = manual
			default:
				return usage(cmd, fault.New(fault.Invalid, "there is no form %q: markdown and man are", args[0]))
			}
			return replace(a.path(args[1]), pagesOf(cmd.Root(), write))
		},
	}
}

// replace makes the folder hold these files and no others of their kind.
func replace(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "make the folder: %w", err), "let this user write to %s", dir)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return fault.WithHint(fault.New(fault.Invalid, "write a page: %w", err), "let this user write to %s", dir)
		}
		old, err := fs.Glob(os.DirFS(dir), "vishwa*"+filepath.Ext(name))
		if err != nil {
			return fault.New(fault.Internal, "list the pages: %w", err)
		}
		for _, one := range old {
			if _, kept := files[one]; !kept {
				if err := os.Remove(filepath.Join(dir, one)); err != nil {
					return fault.WithHint(fault.New(fault.Invalid, "remove a page: %w", err), "let this user write to %s", dir)
				}
			}
		}
	}
	return nil
}

// pagesOf is a page of each command that people are shown.
func pagesOf(root *cobra.Command, write func(*cobra.Command) (string, []byte)) map[string][]byte {
	out := map[string][]byte{}
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range shownCommands(root) {
		name, text := write(cmd)
		out[name] = text
	}
	return out
}

func shownCommands(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			all = append(all, shownCommands(c)...)
		}
	}
	return all
}

// helpOf is what --help prints.
func helpOf(cmd *cobra.Command) string {
	var b bytes.Buffer
	cmd.InitDefaultHelpFlag()
	cmd.SetOut(&b)
	defer cmd.SetOut(nil)
	_ = cmd.Help() // writes to memory
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func fileOf(cmd *cobra.Command, extension string) string {
	return strings.ReplaceAll(cmd.CommandPath(), " ", "_") + extension
}

// markdown is the page of a command.
func markdown(cmd *cobra.Command) (string, []byte) {
	var b strings.Builder
	fmt.Fprintf(&b, "<!-- Made by make generate from the command itself: change cmd/vishwa. -->\n\n# %s\n\n%s.\n\n```text\n%s```\n", cmd.CommandPath(), strings.TrimRight(cmd.Short, "."), helpOf(cmd))
	var also []*cobra.Command
	if cmd.HasParent() {
		also = append(also, cmd.Parent())
	}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			also = append(also, c)
		}
	}
	if len(also) > 0 {
		b.WriteString("\nSee also:\n\n")
	}
	for _, c := range also {
		fmt.Fprintf(&b, "- [%s](%s): %s\n", c.CommandPath(), fileOf(c, ".md"), lower(c.Short))
	}
	return fileOf(cmd, ".md"), []byte(b.String())
}

func lower(s string) string {
	if len(s) > 1 && s[1] >= 'a' && s[1] <= 'z' {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}

// manual is the page of a command for man, in the macros of man(7).
func manual(cmd *cobra.Command) (string, []byte) {
	var b strings.Builder
	title := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	fmt.Fprintf(&b, ".TH %q 1 \"\" \"Vishwa\" \"Vishwa manual\"\n.ad l\n.nh\n.SH NAME\n%s \\- %s\n.SH SYNOPSIS\n.B %s\n", strings.ToUpper(title), roff(title), roff(lower(cmd.Short)), roff(cmd.UseLine()))
	if cmd.Long != "" {
		b.WriteString(".SH DESCRIPTION\n")
		for i, paragraph := range strings.Split(cmd.Long, "\n\n") {
			if i > 0 {
				b.WriteString(".PP\n")
			}
			b.WriteString(roff(paragraph) + "\n")
		}
	}
	cmd.InitDefaultHelpFlag()
	for _, part := range []struct{ head, text string }{
		{"OPTIONS", cmd.LocalFlags().FlagUsages()},
		{"OPTIONS OF EVERY COMMAND", cmd.InheritedFlags().FlagUsages()},
		{"EXAMPLES", cmd.Example},
	} {
		if part.text != "" {
			fmt.Fprintf(&b, ".SH %s\n.nf\n%s\n.fi\n", part.head, roff(strings.TrimRight(part.text, "\n")))
		}
	}
	var also []string
	if cmd.HasParent() {
		also = append(also, strings.ReplaceAll(cmd.Parent().CommandPath(), " ", "-"))
	}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			also = append(also, strings.ReplaceAll(c.CommandPath(), " ", "-"))
		}
	}
	if len(also) > 0 {
		slices.Sort(also)
		fmt.Fprintf(&b, ".SH SEE ALSO\n%s(1)\n", roff(strings.Join(also, "(1),\n")))
	}
	return title + ".1", []byte(b.String())
}

// roff is text that man shows as it is.
func roff(text string) string {
	lines := strings.Split(strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
