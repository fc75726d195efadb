// vishwa import: what teams have elsewhere, as declarations.

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/adapter/tracker/mlflowread"
	"github.com/vishwaops/vishwa/reconciler/fault"
	mlflowformat "github.com/vishwaops/vishwa/reconciler/format/mlflow"
	"github.com/vishwaops/vishwa/reconciler/format/requirements"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/machine/mlflowapi"
	"github.com/vishwaops/vishwa/schemas"
)

func (a *cli) importVerb() *cobra.Command {
	cmd := &cobra.Command{Use: "import", Short: "Write declarations for what another tool's registry has", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(a.importMLflow())
	return cmd
}

// importing is what is asked for.
type importing struct {
	url, token, script, workspace string
	want                          mlflowread.Wanted
}

func (a *cli) importMLflow() *cobra.Command {
	var o importing
	cmd := &cobra.Command{
		Use: "mlflow", Short: "Write declarations for the models, aliases and experiments of an MLflow server", Args: cobra.NoArgs,
		Long: `Reads a server of MLflow 2.9 or newer, and writes into this repository, a file a model:
a Training that runs the script that made its newest version, unchanged; a Model; and for
each alias a Deployment into an environment of its name, which src/serve_mlflow.py serves
as MLflow's own server does.
Experiments without a registered model become Trainings. It replaces no file, declares
nothing a second time, and tells what it could not say in declarations. The server is
only read.

The credential is a bearer token, or user:password, in VISHWA_TRACKER_MLFLOW or in a file
that --token names.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if at, err := url.Parse(o.url); err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
				return usage(cmd, fault.WithHint(errors.New("--url is not the address of a server"), "write it as https://mlflow.example.com"))
			}
			return a.importFrom(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.url, "url", "", "the `URL` of the server, without /api")
	cmd.Flags().StringVar(&o.token, "token", "", "the credential, as `FILE` in /etc/vishwa, or where VISHWA_TOKENS says")
	cmd.Flags().StringVar(&o.workspace, "workspace", "", "what is in this workspace, by its `NAME`; without it, the server's default")
	cmd.Flags().StringVar(&o.script, "script", "", "the `FILE` of the repository that trains what the server names no script of")
	cmd.Flags().StringArrayVar(&o.want.Models, "model", nil, "this registered model alone, by its `NAME`; may be given several times")
	cmd.Flags().StringArrayVar(&o.want.Experiments, "experiment", nil, "this experiment alone, by its `NAME`; may be given several times")
	_ = cmd.MarkFlagRequired("url")
	return cmd
}

func (a *cli) importFrom(ctx context.Context, o importing) error {
	r, err := repo.Open(a.dir, repo.Options{})
	if err != nil {
		return err
	}
	defer r.Close()
	if r.Bare() {
		return fault.WithHint(fault.New(fault.Invalid, "a bare repository has no folder to write to"), "run this in a clone")
	}
	in, err := declaredIn(ctx, r, o.script)
	if err != nil {
		return err
	}
	env, err := a.env()
	if err != nil {
		return err
	}
	got, err := mlflowread.Read(ctx, mlflowapi.Options{URL: o.url, Token: o.token, Workspace: o.workspace, Env: env}, o.want)
	if err != nil {
		return err
	}
	w := mlflowformat.Declare(got, in)
	for _, f := range w.Files {
		if err := writeNew(r.Dir(), f.Path, []byte(f.Text)); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "Wrote %s: %s.\n", f.Path, f.What)
	}
	for _, n := range w.Notes {
		fmt.Fprintf(a.out, "Note: %s.\n", harmless.Line(n))
	}
	switch {
	case len(w.Files) == 0:
		fmt.Fprintln(a.out, "Nothing was written.")
	case len(w.Environments) > 0:
		fmt.Fprintf(a.out, "Next: declare below spec.environments of vishwa.yaml: %s; then vishwa validate, look at what was written, and commit it.\n", strings.Join(w.Environments, ", "))
	default:
		fmt.Fprintln(a.out, "Next: vishwa validate, look at what was written, and commit it.")
	}
	return nil
}

// mostScripts bounds the files that a script is looked for among.
const mostScripts = 100_000

// declaredIn is what the work tree has that declarations are held against.
func declaredIn(ctx context.Context, r *repo.Repo, script string) (mlflowformat.Repository, error) {
	tree := r.Worktree()
	in := mlflowformat.Repository{Declared: map[string]bool{}, Script: filepath.ToSlash(filepath.Clean(script)), Name: projectNameOf(filepath.Base(r.Dir()))}
	if script == "" {
		in.Script = ""
	}
	err := fs.WalkDir(tree, ".", func(at string, e fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return fault.New(fault.Cancelled, "look for scripts: %w", ctx.Err())
		case err != nil:
			return fault.WithHint(fault.New(fault.Invalid, "look for scripts: %w", err), "let this user read the folder")
		case e.IsDir() && at != "." && strings.HasPrefix(path.Base(at), "."):
			return fs.SkipDir
		case e.Type().IsRegular() && (path.Ext(at) == ".py" || path.Dir(at) == "vishwa"):
			in.Files = append(in.Files, at)
		}
		if len(in.Files) > mostScripts {
			return fs.SkipAll
		}
		return nil
	})
	if err != nil {
		return in, err
	}
	if in.Script != "" && !slices.Contains(in.Files, in.Script) {
		return in, fault.WithHint(fault.New(fault.Missing, "--script: %s is no Python file of this repository", in.Script), "name one by its path in the repository, such as src/train.py")
	}
	for _, name := range []string{"requirements.lock", "requirements.txt"} {
		raw, err := fs.ReadFile(tree, name)
		if err != nil {
			continue
		}
		if _, err := requirements.Check(raw); err == nil {
			in.Lock = name
			break
		}
	}
	if _, err := fs.Stat(tree, schemas.Root); errors.Is(err, fs.ErrNotExist) {
		return in, nil
	}
	decls, problems := schemas.Load(ctx, tree)
	if len(problems) > 0 {
		return in, fault.WithHint(fault.New(fault.Invalid, "what is declared has problems: %s", problems[0].Error()), "fix what vishwa validate lists, and run this again")
	}
	in.Project = true
	for _, d := range decls {
		in.Declared[d.Ref().String()] = true
	}
	if p := schemas.ProjectOf(decls); p != nil {
		for env := range p.Environments {
			in.Environments = append(in.Environments, env)
		}
	}
	return in, nil
}
