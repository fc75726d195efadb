// vishwa data remote and config: where data is kept for others.

package main

import (
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/data"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
)

func (a *cli) dataRemote() *cobra.Command {
	cmd := &cobra.Command{
		Use: "remote", Short: "Add, change and list remotes", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var local, asDefault, unset bool
	edit := func(change func(*dvc.Config) error) error {
		w, err := a.configuration()
		if err != nil {
			return err
		}
		return w.Edit(local, change)
	}
	known := func(name string) error {
		w, err := a.configuration()
		if err == nil {
			_, err = w.Config().Remote(name)
		}
		return err
	}
	add := &cobra.Command{
		Use: "add NAME URL", Short: "Add a remote: a folder, or s3://bucket/prefix", Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			return edit(func(c *dvc.Config) error {
				section := dvc.RemoteSection(args[0])
				if _, there := c.Get(section, "url"); there {
					return fault.WithHint(fault.New(fault.Conflict, "remote %s already exists", args[0]), "change it: vishwa data remote modify %s url URL", args[0])
				}
				where := args[1]
				if err := public(where); err != nil {
					return err
				}
				env, err := a.env()
				if err != nil {
					return err
				}
				if !strings.Contains(where, "://") && !filepath.IsAbs(data.InHome(where, env.Lookup)) { // as DVC has it: from the file's folder
					from, err := filepath.Abs(filepath.Join(a.dir, where))
					if err != nil {
						return err
					}
					if real, err := filepath.EvalSymlinks(filepath.Dir(from)); err == nil { // as the root is
						from = filepath.Join(real, filepath.Base(from))
					}
					w, err := a.configuration()
					if err != nil {
						return err
					}
					if where, err = filepath.Rel(filepath.Join(w.Root(), ".dvc"), from); err != nil {
						return err
					}
				}
				c.Set(section, "url", filepath.ToSlash(where))
				if asDefault {
					c.Set("core", "remote", args[0])
				}
				return nil
			})
		},
	}
	add.Flags().BoolVarP(&asDefault, "default", "d", false, "make it the default")
	modify := &cobra.Command{
		Use: "modify NAME OPTION [VALUE]", Short: "Change an option of a remote; -u takes it away", Args: cobra.RangeArgs(2, 3),
		RunE: func(_ *cobra.Command, args []string) error {
			w, err := a.configuration()
			if err != nil {
				return err
			}
			if _, err := w.Config().Remote(args[0]); err != nil {
				return err
			}
			return edit(func(c *dvc.Config) error {
				section := dvc.RemoteSection(args[0])
				switch {
				case unset:
					if !c.Unset(section, args[1]) {
						return fault.WithHint(fault.New(fault.Missing, "remote %s has no %s here", args[0], args[1]), "look at vishwa data remote list; --local changes .dvc/config.local")
					}
					return nil
				case len(args) < 3:
					return fault.WithHint(fault.New(fault.Invalid, "no value is given"), "give one, or take the option away with -u")
				case data.Secret(args[1]) && !local:
					return fault.WithHint(fault.New(fault.Denied, "%s is a secret, and .dvc/config is kept in Git", args[1]), "add --local, which keeps it on this machine")
				}
				if err := allowed(w, section, args[1], args[2]); err != nil {
					return err
				}
				if err := public(args[2]); args[1] == "url" && err != nil {
					return err
				}
				c.Set(section, args[1], args[2])
				return nil
			})
		},
	}
	modify.Flags().BoolVarP(&unset, "unset", "u", false, "take the option away")
	remove := &cobra.Command{
		Use: "remove NAME", Short: "Take a remote out of the configuration", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return edit(func(c *dvc.Config) error {
				if !c.Unset(dvc.RemoteSection(args[0]), "") {
					return fault.WithHint(fault.New(fault.Missing, "there is no remote %s here", args[0]), "look at vishwa data remote list")
				}
				if name, _ := c.Get("core", "remote"); name == args[0] {
					c.Unset("core", "remote")
				}
				return nil
			})
		},
	}
	def := &cobra.Command{
		Use: "default [NAME]", Short: "Make a remote the default, or tell which is", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				w, err := a.configuration()
				if err != nil {
					return err
				}
				r, err := w.Config().Remote("")
				if err == nil {
					fmt.Fprintln(a.out, r.Name)
				}
				return err
			}
			if err := known(args[0]); err != nil {
				return err
			}
			return edit(func(c *dvc.Config) error { c.Set("core", "remote", args[0]); return nil })
		},
	}
	list := &cobra.Command{
		Use: "list", Short: "List the remotes", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			w, err := a.configuration()
			if err != nil {
				return err
			}
			name, _ := w.Config().Get("core", "remote")
			for _, r := range w.Config().Remotes() {
				mark := ""
				if r.Name == name {
					mark = "\t(default)"
				}
				fmt.Fprintf(a.out, "%s\t%s%s\n", r.Name, data.RedactURL(r.URL), mark)
			}
			return nil
		},
	}
	rename := &cobra.Command{
		Use: "rename OLD NEW", Short: "Give a remote another name", Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			if known(args[1]) == nil {
				return fault.WithHint(fault.New(fault.Conflict, "remote %s already exists", args[1]), "choose another name")
			}
			return edit(func(c *dvc.Config) error {
				if !c.Rename(dvc.RemoteSection(args[0]), dvc.RemoteSection(args[1])) {
					return fault.WithHint(fault.New(fault.Missing, "there is no remote %s here", args[0]), "look at vishwa data remote list; --local changes .dvc/config.local")
				}
				if name, _ := c.Get("core", "remote"); name == args[0] {
					c.Set("core", "remote", args[1])
				}
				return nil
			})
		},
	}
	for _, c := range []*cobra.Command{add, modify, remove, def, rename} {
		c.Flags().BoolVar(&local, "local", false, "in .dvc/config.local, which Git does not keep")
	}
	cmd.AddCommand(add, modify, remove, def, list, rename)
	return cmd
}

func (a *cli) dataConfig() *cobra.Command {
	var local, unset, list bool
	cmd := &cobra.Command{
		Use: "config SECTION.OPTION [VALUE]", Short: "Read or change an option of .dvc/config", Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := a.configuration()
			if err != nil {
				return err
			}
			if list != (len(args) == 0) {
				return usage(cmd, fmt.Errorf("name an option, or list all with --list"))
			}
			if list {
				a.options(w.Config())
				return nil
			}
			i := strings.LastIndexByte(args[0], '.')
			if i < 0 {
				return fault.WithHint(fault.New(fault.Invalid, "%q is not an option", args[0]), "write section.option, such as core.remote or cache.type")
			}
			section, key := args[0][:i], args[0][i+1:]
			if name, ok := strings.CutPrefix(section, "remote."); ok {
				section = dvc.RemoteSection(name)
			}
			switch {
			case unset:
				return w.Edit(local, func(c *dvc.Config) error {
					if !c.Unset(section, key) {
						return fault.WithHint(fault.New(fault.Missing, "%s is not set here", args[0]), "--local changes .dvc/config.local")
					}
					return nil
				})
			case len(args) == 2 && data.Secret(key) && !local:
				return fault.WithHint(fault.New(fault.Denied, "%s is a secret, and .dvc/config is kept in Git", key), "add --local, which keeps it on this machine")
			case len(args) == 2:
				if err := allowed(w, section, key, args[1]); err != nil {
					return err
				}
				if err := public(args[1]); key == "url" && err != nil {
					return err
				}
				return w.Edit(local, func(c *dvc.Config) error { c.Set(section, key, args[1]); return nil })
			}
			v, ok := w.Config().Get(section, key)
			if !ok {
				return fault.WithHint(fault.New(fault.Missing, "%s is not set", args[0]), "set it: vishwa data config %s VALUE", args[0])
			}
			if data.Secret(key) {
				v = "(secret)"
			}
			fmt.Fprintln(a.out, v)
			return nil
		},
	}
	cmd.Flags().BoolVar(&local, "local", false, "in .dvc/config.local, which Git does not keep")
	cmd.Flags().BoolVarP(&unset, "unset", "u", false, "take the option away")
	cmd.Flags().BoolVarP(&list, "list", "l", false, "list all options that are set")
	return cmd
}

// options lists what is set, and of secrets only that they are.
func (a *cli) options(c *dvc.Config) {
	for _, section := range c.Sections() {
		name := section
		if remote, ok := strings.CutPrefix(section, `remote "`); ok {
			name = "remote." + strings.TrimSuffix(remote, `"`)
		}
		keys := c.Keys(section)
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			v := keys[key]
			switch {
			case data.Secret(key):
				v = "(secret)"
			case key == "url":
				v = data.RedactURL(v)
			}
			fmt.Fprintf(a.out, "%s.%s=%s\n", name, key, v)
		}
	}
}

// configuration opens the DVC repository for its configuration alone.
func (a *cli) configuration() (*data.Workspace, error) {
	env, err := a.env()
	if err != nil {
		return nil, err
	}
	return data.OpenConfig(a.dir, data.Options{Env: env})
}

// allowed refuses what DVC would refuse.
func allowed(w *data.Workspace, section, key, value string) error {
	remote, _ := w.Config().Get(section, "url")
	if key == "url" {
		remote = value
	}
	return dvc.CheckOption(section, key, value, remote)
}

// public refuses an address with a password in it: .dvc/config is kept in Git, and
// nothing reads it from there.
func public(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.User == nil {
		return nil
	}
	if _, secret := u.User.Password(); !secret && u.Scheme != "s3" {
		return nil // who signs in over ssh is no secret
	}
	return fault.WithHint(fault.New(fault.Denied, "the address %s holds credentials", data.RedactURL(address)), "give it without them; vishwa data remote modify --local NAME access_key_id …, and secret_access_key, keep them on this machine")
}
