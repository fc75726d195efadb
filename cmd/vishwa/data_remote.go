// vishwa data remote and config: where data is kept for others.

package main

import (
	"fmt"
	"maps"
	"net/url"
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
	v := &remoteVerbs{cli: a}
	changing := []*cobra.Command{v.add(), v.modify(), v.remove(), v.byDefault(), v.rename()}
	for _, c := range changing {
		c.Flags().BoolVar(&v.local, "local", false, "in .dvc/config.local, which Git does not keep")
	}
	cmd.AddCommand(append(changing, v.list())...)
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
