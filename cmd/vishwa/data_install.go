// vishwa data install and vishwa merge-driver: Git merges pointers by asking us.

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
	"github.com/vishwaops/vishwa/reconciler/plural"
)

func (a *cli) mergeDriver() *cobra.Command {
	return &cobra.Command{
		Use: "merge-driver BASE OURS THEIRS [PATH]", Short: "Merge .dvc files and dvc.lock, for Git", Args: cobra.RangeArgs(3, 4),
		Long: `Merges three versions of a .dvc file or a dvc.lock, as Git asks its merge drivers to:
the result is written to OURS. Folders that both sides changed are put together file by
file. What both sides changed in two ways is left between markers, and the exit code is
1. vishwa data install has Git use it.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := args[1]
			if len(args) == 4 {
				name = args[3]
			}
			s := dvc.Sides{Name: name}
			for i, to := range []*[]byte{&s.Base, &s.Ours, &s.Theirs} {
				b, err := os.ReadFile(a.path(args[i]))
				if err != nil {
					return fault.WithHint(fault.New(fault.Missing, "read what is to be merged: %w", err), "Git names the three files: set the driver with vishwa data install")
				}
				*to = b
			}
			// Git stands at the top of its work tree; the data's repository may be below.
			w, err := a.workspaceAt(filepath.Dir(a.path(name)), 0)
			if err != nil {
				return err
			}
			m, err := w.Merge(cmd.Context(), s)
			if err != nil {
				return err
			}
			if err := overwrite(a.path(args[1]), m.Text); err != nil {
				return err
			}
			if len(m.Conflicts) > 0 {
				return fault.WithHint(fault.New(fault.Invalid, "%s: both sides changed %s", name, strings.Join(m.Conflicts, "; ")), "choose between the markers, and git add %s", name)
			}
			return nil
		},
	}
}

// overwrite writes a file whole or not at all.
func overwrite(file string, b []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), ".vishwa-merge-")
	if err != nil {
		return fault.New(fault.Denied, "write %s: %w", file, err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(b)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		return fault.New(fault.Denied, "write %s: %w", file, err)
	}
	return nil
}

func (a *cli) dataInstall() *cobra.Command {
	var hooks bool
	cmd := &cobra.Command{
		Use: "install", Short: "Have Git merge .dvc files and dvc.lock with vishwa merge-driver", Args: cobra.NoArgs,
		Long: `Writes two lines to .gitattributes, which are for everybody, and the merge driver to the
configuration of this clone; run it in each clone. With --hooks, Git also checks data out
after it checks out a branch, says before a commit which changed data was not added, and
pushes data before it pushes commits. It is safe to run twice; hooks that are there stay.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w, err := a.workspace(0)
			if err != nil {
				return err
			}
			i := installer{cli: a, root: w.Root()}
			if err := i.attributes(); err != nil {
				return err
			}
			if err := i.driver(cmd.Context()); err != nil {
				return err
			}
			if !hooks {
				return nil
			}
			return i.hooks(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&hooks, "hooks", false, "write the hooks post-checkout, pre-commit and pre-push as well")
	return cmd
}

type installer struct {
	cli  *cli
	root string // of the repository
}

// attributes has Git know which files are merged so.
func (i installer) attributes() error {
	file := filepath.Join(i.root, ".gitattributes")
	was, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.Denied, "read .gitattributes: %w", err)
	}
	now := was
	for _, pattern := range []string{"*.dvc", "dvc.lock"} {
		set := ""
		for line := range strings.Lines(string(was)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == pattern {
				for _, attribute := range f[1:] {
					if by, ok := strings.CutPrefix(attribute, "merge="); ok {
						set = by
					}
				}
			}
		}
		switch {
		case set == "vishwa":
		case set != "":
			fmt.Fprintf(i.cli.err, ".gitattributes has %s merged by %s, and is left so; to change that: %s merge=vishwa\n", pattern, set, pattern)
		default:
			if len(now) > 0 && now[len(now)-1] != '\n' {
				now = append(now, '\n')
			}
			now = append(now, pattern+" merge=vishwa\n"...)
		}
	}
	if bytes.Equal(was, now) {
		return nil
	}
	if err := overwrite(file, now); err != nil {
		return err
	}
	if err := os.Chmod(file, 0o644); err != nil {
		return fault.New(fault.Denied, "write .gitattributes: %w", err)
	}
	fmt.Fprintln(i.cli.out, "Wrote .gitattributes: commit it.")
	return nil
}

// program is how Git calls us.
func (i installer) program() (string, error) {
	if _, err := exec.LookPath("vishwa"); err == nil {
		return "vishwa", nil
	}
	env, err := i.cli.env()
	if err != nil {
		return "", err
	}
	return "'" + strings.ReplaceAll(env.Self, "'", `'\''`) + "'", nil
}

func (i installer) driver(ctx context.Context) error {
	program, err := i.program()
	if err != nil {
		return err
	}
	for _, set := range [][2]string{{"merge.vishwa.name", "pointers to data, put together by vishwa"}, {"merge.vishwa.driver", program + " merge-driver %O %A %B %P"}} {
		if _, err := i.git(ctx, "config", "--local", set[0], set[1]); err != nil {
			return err
		}
	}
	fmt.Fprintln(i.cli.out, "This clone merges .dvc files and dvc.lock with vishwa merge-driver.")
	return nil
}

// hooks writes those that are not there.
func (i installer) hooks(ctx context.Context) error {
	program, err := i.program()
	if err != nil {
		return err
	}
	dir, err := i.git(ctx, "rev-parse", "--git-path", "hooks")
	if err != nil {
		return err
	}
	dir = strings.TrimSpace(dir)
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(i.root, dir)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fault.New(fault.Denied, "make the folder of hooks: %w", err)
	}
	var there []string
	for _, h := range [][2]string{
		{"post-checkout", `[ "$3" = 0 ] || exec ` + program + " data checkout"},
		{"pre-commit", program + " data status"},
		{"pre-push", program + " data push"},
	} {
		text, file := "#!/bin/sh\n"+h[1]+"\n", filepath.Join(dir, h[0])
		was, err := os.ReadFile(file)
		switch {
		case err == nil && strings.Contains(string(was), h[1]):
			continue
		case err == nil:
			there = append(there, fmt.Sprintf("%s: %s", file, h[1]))
			continue
		}
		if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
			return fault.New(fault.Denied, "write hook: %w", err)
		}
		fmt.Fprintf(i.cli.out, "Wrote the hook %s.\n", h[0])
	}
	if len(there) > 0 {
		return fault.WithHint(fault.New(fault.Conflict, "this clone already has %s of its own, which Vishwa does not change", plural.Of(len(there), "hook")), "add to them:\n  %s", strings.Join(there, "\n  "))
	}
	return nil
}

func (i installer) git(ctx context.Context, args ...string) (string, error) {
	return gitIn(ctx, i.root, "", args...)
}

// gitPatience is how long the user's own Git may take, who may have a question to answer.
const gitPatience = 30 * time.Minute

// gitIn is the user's own Git, with all that they configured: it does what it would do
// for them by hand, and is given nothing that they have not. A remote that sends nothing
// for a minute is given up, unless they have said otherwise.
func gitIn(ctx context.Context, dir, in string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, gitPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(in)
	cmd.Env = append([]string{"GIT_HTTP_LOW_SPEED_LIMIT=1", "GIT_HTTP_LOW_SPEED_TIME=60"}, cmd.Environ()...) // the last of a name counts
	cmd.WaitDelay = time.Second
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return "", fault.WithHint(fault.New(fault.Conflict, "git %s: %w: %s", args[0], err, strings.TrimSpace(gitremote.Redact(said.String()))), "run it by hand to see more")
	}
	return out.String(), nil
}
