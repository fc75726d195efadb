// vishwa data: DVC's repositories, remotes and files, without DVC.

package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/cmd/internal/garbage"
	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/data"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/plural"
)

func (a *cli) dataVerb() *cobra.Command {
	var quiet bool
	cmd := &cobra.Command{
		Use:   "data",
		Short: "Keep data as DVC does: .dvc files, cache and remotes, bit for bit",
		Long: `Data that is too large for Git is kept in a cache and in remotes; .dvc files in the
repository name it. All formats are those of DVC 3, so you can use either program at
any time.`,
		PersistentPreRun: func(*cobra.Command, []string) {
			// A million files are held at once, and little of that is garbage.
			a.garbage.Keep(garbage.Room, 50)
			if quiet {
				a.out = io.Discard
			}
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.dataInit(), a.dataAdd(), a.dataStatus(), a.dataCheckout(), a.dataPush(), a.dataFetch(), a.dataPull(),
		a.dataDiff(), a.dataGC(), a.dataList(), a.dataProfile(), a.dataRefresh(), a.dataRemote(), a.dataConfig(), a.dataInstall(), a.dataImport(),
		a.dataRemove(), a.dataUnprotect())
	cmd.PersistentFlags().BoolVarP(&quiet, "quiet", "q", false, "say nothing but what goes wrong")
	return cmd
}

// workspace opens the DVC repository, with jobs as they were asked for.
func (a *cli) workspace(jobs int) (*data.Workspace, error) { return a.workspaceAt(a.dir, jobs) }

func (a *cli) workspaceAt(dir string, jobs int) (*data.Workspace, error) {
	if jobs < 0 {
		return nil, fault.WithHint(fault.New(fault.Invalid, "--jobs is %d, and at least one object is moved at once", jobs), "give a number from 1 on, or leave it out: the machine decides")
	}
	env, err := a.env()
	if err != nil {
		return nil, err
	}
	a.teller = &teller{w: a.err, now: a.now, terminal: a.terminal, verbose: a.verbose}
	return data.Open(dir, data.Options{Env: env, Jobs: jobs, Tell: a.teller.showProgress, Foreign: app.RefreshOptions{Env: env, Heard: a.teller.showProgress}.Foreign})
}

// paths are arguments as they are meant: from the folder of -C.
func (a *cli) paths(args []string) []string {
	out := make([]string, len(args))
	for i, p := range args {
		out[i] = p
		if !filepath.IsAbs(p) {
			out[i] = filepath.Join(a.dir, p)
		}
	}
	return out
}

func bytesOf(n int64) string {
	for _, u := range []struct {
		name string
		size float64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if float64(n) >= u.size {
			return fmt.Sprintf("%.1f %s", float64(n)/u.size, u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}

func jobsFlag(cmd *cobra.Command, jobs *int) {
	cmd.Flags().IntVarP(jobs, "jobs", "j", 0, "work on `N` files at once; 0 is for the machine to say")
}

func (a *cli) dataInit() *cobra.Command {
	return &cobra.Command{
		Use: "init", Short: "Make this folder a DVC repository", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := data.Init(a.dir); err != nil {
				return err
			}
			fmt.Fprintln(a.out, "Made .dvc and .dvcignore. Next: vishwa data add PATH, and commit what it writes.")
			return nil
		},
	}
}

func (a *cli) dataAdd() *cobra.Command {
	var jobs int
	var format, remote string
	var toRemote bool
	cmd := &cobra.Command{
		Use: "add PATH...", Short: "Add files and folders to the cache, with a .dvc file for Git", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := a.workspace(jobs)
			if err != nil {
				return err
			}
			if remote != "" && !toRemote {
				return usage(cmd, fmt.Errorf("--remote is for --to-remote"))
			}
			if err := a.notGits(cmd.Context(), w, args); err != nil {
				return err
			}
			added, err := w.Add(cmd.Context(), a.paths(args))
			a.teller.end()
			for _, d := range added {
				if format == "json" {
					break
				}
				what := "up to date"
				if d.Moved {
					what = "written"
				}
				fmt.Fprintf(a.out, "%s: %s, %s, md5 %s; %s %s\n", d.Path, plural.Of(d.Files, "file"), bytesOf(d.Size), d.OID, d.File, what)
			}
			if err != nil {
				return err
			}
			if toRemote {
				m, err := w.Push(cmd.Context(), remote, a.paths(args))
				if err != nil {
					return err
				}
				if format != "json" {
					a.moved("pushed", m)
				}
			}
			if format == "json" {
				return a.json(added)
			}
			return nil
		},
	}
	jobsFlag(cmd, &jobs)
	cmd.Flags().BoolVar(&toRemote, "to-remote", false, "push it as well")
	cmd.Flags().StringVarP(&remote, "remote", "r", "", "the remote of --to-remote")
	formats(cmd, &format, "text", "json")
	return cmd
}

func (a *cli) dataStatus() *cobra.Command {
	var jobs int
	var format, remote string
	var cloud bool
	cmd := &cobra.Command{
		Use: "status [TARGET...]", Short: "List what differs from the repository's pointers",
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := a.workspace(jobs)
			if err != nil {
				return err
			}
			if cloud || remote != "" {
				return a.cloud(cmd.Context(), w, remote, args, format)
			}
			all, err := w.Status(cmd.Context(), a.paths(args))
			a.teller.end()
			if err != nil {
				return err
			}
			if format == "json" {
				if all == nil {
					all = []data.Status{}
				}
				return a.json(all)
			}
			if len(all) == 0 {
				fmt.Fprintln(a.out, "All data is up to date.")
			}
			for _, s := range all {
				fmt.Fprintf(a.out, "%s: %s\n", s.Path, s.State)
				a.files(s.Added, s.Modified, s.Deleted)
			}
			return nil
		},
	}
	jobsFlag(cmd, &jobs)
	recursiveFlag(cmd)
	cmd.Flags().BoolVarP(&cloud, "cloud", "c", false, "compare the cache with the remote instead")
	cmd.Flags().StringVarP(&remote, "remote", "r", "", "compare with `NAME` instead of the default remote")
	formats(cmd, &format, "text", "json")
	return cmd
}

// cloud tells how the cache stands against a remote.
func (a *cli) cloud(ctx context.Context, w *data.Workspace, remote string, targets []string, format string) error {
	all, err := w.Cloud(ctx, remote, a.paths(targets))
	if err != nil {
		return err
	}
	if format == "json" {
		if all == nil {
			all = []data.RemoteStatus{}
		}
		return a.json(all)
	}
	if len(all) == 0 {
		fmt.Fprintln(a.out, "Cache and remote are in sync.")
	}
	for _, d := range all {
		for _, s := range []struct {
			n    int
			what string
		}{{d.New, "new: the remote lacks them"}, {d.Deleted, "deleted: the cache lacks them"}, {d.Missing, "missing: neither has them"}} {
			if s.n > 0 {
				fmt.Fprintf(a.out, "%s: %s %s\n", d.Path, plural.Of(s.n, "object"), s.what)
			}
		}
	}
	return nil
}

// files lists what became of some, at most twenty of each kind.
func (a *cli) files(added, modified, deleted []string) {
	for _, c := range []struct {
		sign  string
		names []string
	}{{"+", added}, {"~", modified}, {"-", deleted}} {
		for _, n := range c.names[:min(len(c.names), 20)] {
			fmt.Fprintf(a.out, "  %s %s\n", c.sign, n)
		}
		if len(c.names) > 20 {
			fmt.Fprintf(a.out, "  %s %d more\n", c.sign, len(c.names)-20)
		}
	}
}

func (a *cli) dataCheckout() *cobra.Command {
	var jobs int
	var force, relink bool
	cmd := &cobra.Command{
		Use: "checkout [TARGET...]", Short: "Make the work tree match the repository's pointers",
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := a.workspace(jobs)
			if err != nil {
				return err
			}
			if relink {
				return a.each(w.Relink(cmd.Context(), a.paths(args)))
			}
			return a.checkOut(cmd.Context(), w, args, force)
		},
	}
	jobsFlag(cmd, &jobs)
	recursiveFlag(cmd)
	cmd.Flags().BoolVar(&relink, "relink", false, "put links of the kind that cache.type says in place of others, and nothing else")
	cmd.Flags().BoolVarP(&force, "force", "f", false, "overwrite and remove files that are saved nowhere")
	return cmd
}

func (a *cli) checkOut(ctx context.Context, w *data.Workspace, args []string, force bool) error {
	done, err := w.Checkout(ctx, a.paths(args), force)
	a.teller.end()
	for _, d := range done {
		if d.Written+d.Removed > 0 {
			fmt.Fprintf(a.out, "%s: %d written, %d removed, %d kept\n", d.Path, d.Written, d.Removed, d.Kept)
		}
	}
	return err
}

func (a *cli) dataDiff() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "diff [REVISION [REVISION]]", Short: "List how data differs between two revisions, or between one (HEAD) and the work tree", Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := a.workspace(0)
			if err != nil {
				return err
			}
			was, now := "HEAD", ""
			if len(args) > 0 {
				was = args[0]
			}
			if len(args) > 1 {
				now = args[1]
			}
			before, err := a.treeAt(cmd.Context(), w, was)
			if err != nil {
				return err
			}
			var after fs.FS // the work tree, as its data is now
			if now != "" {
				if after, err = a.treeAt(cmd.Context(), w, now); err != nil {
					return err
				}
			}
			all, err := w.Diff(cmd.Context(), before, after)
			if err != nil {
				return err
			}
			if format == "json" {
				if all == nil {
					all = []data.Change{}
				}
				return a.json(all)
			}
			for _, c := range all {
				fmt.Fprintf(a.out, "%s: %s -> %s", c.Path, or(string(c.Was), "none"), or(string(c.Now), "none"))
				if n := len(c.Added) + len(c.Modified) + len(c.Deleted); n > 0 {
					fmt.Fprintf(a.out, " (%d added, %d modified, %d deleted)", len(c.Added), len(c.Modified), len(c.Deleted))
				}
				fmt.Fprintln(a.out)
				a.files(c.Added, c.Modified, c.Deleted)
			}
			return nil
		},
	}
	formats(cmd, &format, "text", "json")
	return cmd
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func (a *cli) dataList() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "list [TARGET...]", Aliases: []string{"ls"}, Short: "List the data that the repository keeps",
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := a.workspace(0)
			if err != nil {
				return err
			}
			all, err := w.Outputs(cmd.Context(), a.paths(args))
			if err != nil {
				return err
			}
			type row struct {
				Path string `json:"path"`
				File string `json:"file"`
				MD5  string `json:"md5"`
				Size int64  `json:"size"` // bytes; -1: not stated
			}
			rows := []row{}
			for _, o := range all {
				rows = append(rows, row{o.Path, o.File, string(o.Out.OID), o.Out.Size})
				if format != "json" {
					fmt.Fprintf(a.out, "%s\t%s\t%s\n", o.Path, bytesOf(max(0, o.Out.Size)), o.Out.OID)
				}
			}
			if format == "json" {
				return a.json(rows)
			}
			return nil
		},
	}
	formats(cmd, &format, "text", "json")
	return cmd
}

// sure asks, where somebody can answer.
func (a *cli) sure(question string) bool {
	if !a.terminal {
		return false
	}
	fmt.Fprint(a.err, question+" [y/N] ")
	var answer string
	_, _ = fmt.Fscanln(a.in, &answer)
	return strings.EqualFold(answer, "y") || strings.EqualFold(answer, "yes")
}
