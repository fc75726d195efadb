// vishwa init: a small project that validates and applies as it is, and the
// pipelines in which continuous-integration servers call Vishwa.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

func (a *cli) initVerb() *cobra.Command {
	var name string
	var p pipelines
	var monitoring bool
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write a small project that works as it is, or a pipeline for an existing one",
		Long: `Write a small project that applies as it is, with the Python standard library alone.
DIR becomes a Git repository if it is not one. No file is overwritten: in a folder with
files, init lists those that it did not change.

With --github or --jenkins, write a pipeline to an existing repository instead: the
workflow .github/workflows/vishwa.yml, or a Jenkinsfile. They do in continuous
integration what vishwa controller does. A file that exists is not changed.

With --monitoring, write the folder monitoring: rules and alerts for Prometheus with
their tests, the same for its operator, and dashboards for Grafana.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := a.dir
			if len(args) == 1 {
				dir = a.path(args[0])
			}
			if monitoring {
				return a.monitoringFiles(dir)
			}
			if p.github || p.jenkins {
				return a.pipelines(dir, p)
			}
			return a.scaffold(dir, name)
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "the project's `NAME`; without it, the folder's")
	cmd.Flags().BoolVar(&p.github, "github", false, "write a workflow of GitHub Actions")
	cmd.Flags().BoolVar(&p.jenkins, "jenkins", false, "write a Jenkinsfile")
	cmd.Flags().BoolVar(&monitoring, "monitoring", false, "write rules for Prometheus and dashboards for Grafana")
	cmd.MarkFlagsMutuallyExclusive("monitoring", "github")
	cmd.MarkFlagsMutuallyExclusive("monitoring", "jenkins")
	cmd.Flags().StringVar(&p.branch, "branch", "", "with --github and --jenkins, the tracked `BRANCH`; without it, the one that is checked out")
	cmd.Flags().StringVar(&p.action, "action", "", "with --github, the `COMMIT` of github.com/vishwaops/vishwa that the workflow uses; without it, what this program was built from")
	return cmd
}

var notLabel = lazyregexp.New(`[^a-z0-9]+`)

// projectNameOf is a name as a project has one.
func projectNameOf(name string) string {
	name = cmp.Or(strings.Trim(notLabel.ReplaceAllString(strings.ToLower(name), "-"), "-"), "project")
	return strings.TrimRight(name[:min(len(name), 63)], "-")
}

func (a *cli) scaffold(dir, name string) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "find %s: %w", dir, err), "go to a folder that exists, or give an absolute path")
	}
	if name == "" {
		name = filepath.Base(abs)
	}
	files, err := templates.Scaffold(projectNameOf(name))
	if err != nil {
		return fault.New(fault.Internal, "read scaffold: %w", err)
	}
	if err := ownRepository(abs); err != nil {
		return err
	}
	left, err := lay(abs, files)
	if err != nil {
		return err
	}
	if err := initRepository(abs); err != nil {
		return err
	}
	there, enter := dir, "  cd "+dir+"\n"
	if filepath.Clean(dir) == "." {
		there, enter = "this folder", ""
	}
	fmt.Fprintf(a.out, "Wrote %s to %s. ", plural.Of(len(files)-len(left), "file"), there)
	if len(left) > 0 {
		fmt.Fprintf(a.out, `Not changed, as they already existed:

  %s

Check that these files fit what vishwa/model.yaml declares. To see what init writes: vishwa init NEW-FOLDER
`, strings.Join(left, "\n  "))
		if slices.Contains(left, ".gitignore") {
			fmt.Fprintf(a.out, "Add these lines to .gitignore:\n\n  %s\n\n", strings.ReplaceAll(strings.TrimSpace(string(files[".gitignore"])), "\n", "\n  "))
		}
	}
	keys := "vishwa keys generate          # asks for a password; adds the keys to trust.yaml"
	if p, err := app.FindPaths(a.lookup, digest.Of(nil)); err == nil {
		if _, err := os.Stat(filepath.Join(p.Keys, signer.LedgerKey)); err == nil {
			keys = "vishwa keys trust             # adds this machine's keys to trust.yaml"
		}
	}
	fmt.Fprintf(a.out, `Next:

%s  %s
  git add -A && git commit -m "Declare the first model"
  vishwa apply
`, enter, keys)
	return nil
}

// ownRepository refuses a folder inside of another repository: a project is a whole one, with
// its vishwa.yaml at the top.
func ownRepository(dir string) error {
	at := dir
	for ; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, ".git")); err == nil {
			break
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
	if at == dir {
		return nil
	}
	return fault.WithHint(fault.New(fault.Conflict, "%s is inside of the Git repository %s, and a project is a whole repository", dir, at),
		"name a folder outside of it: vishwa init %s; or, to declare that repository itself, run vishwa init in %s", filepath.Join(filepath.Dir(at), filepath.Base(dir)), at)
}

// lay writes files to dir and tells which of them were there: these stay as they are.
// A folder that is a project already is refused, and so is one in which something stands
// in the way; nothing is written then.
func lay(dir string, files map[string][]byte) (left []string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "make the folder: %w", err), "name a folder that you may write to")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "open the folder: %w", err), "name a folder that you may write to")
	}
	defer root.Close()
	paths := slices.Sorted(maps.Keys(files))
	for _, p := range paths {
		if _, err := root.Lstat(p); err == nil {
			left = append(left, p)
		}
		for at := path.Dir(p); at != "."; at = path.Dir(at) {
			if info, err := root.Lstat(at); err == nil && !info.IsDir() {
				return nil, fault.WithHint(fault.New(fault.Conflict, "%s already exists and is not a folder, and init overwrites nothing", filepath.Join(dir, at)), "move it away, or give another folder: vishwa init NEW-FOLDER")
			}
		}
	}
	if slices.Contains(left, schemas.Root) {
		return nil, fault.WithHint(fault.New(fault.Conflict, "%s already exists, and init overwrites nothing", filepath.Join(dir, schemas.Root)), "it is a project already: run vishwa plan in it; or give another folder: vishwa init NEW-FOLDER")
	}
	for _, p := range paths {
		if slices.Contains(left, p) {
			continue
		}
		if err := writeNew(dir, p, files[p]); err != nil {
			return nil, err
		}
	}
	return left, nil
}

// initRepository makes dir a Git repository, unless it is in one.
func initRepository(dir string) error {
	_, err := git.PlainOpenWithOptions(dir, &git.PlainOpenOptions{DetectDotGit: true})
	if !errors.Is(err, git.ErrRepositoryNotExists) && !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := git.PlainInitWithOptions(dir, &git.PlainInitOptions{InitOptions: git.InitOptions{DefaultBranch: plumbing.Main}}); err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "make a Git repository: %w", err), "let this user write to %s, or run git init there first", dir)
	}
	return nil
}
