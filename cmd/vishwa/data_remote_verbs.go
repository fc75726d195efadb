// The verbs of vishwa data remote, one function each.

package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/data"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
)

// remoteVerbs change the file that --local names.
type remoteVerbs struct {
	*cli
	local bool
}

func (v *remoteVerbs) edit(change func(*dvc.Config) error) error {
	w, err := v.configuration()
	if err != nil {
		return err
	}
	return w.Edit(v.local, change)
}

// known tells what is wrong with the name of a remote.
func (v *remoteVerbs) known(name string) error {
	w, err := v.configuration()
	if err == nil {
		_, err = w.Config().Remote(name)
	}
	return err
}

// add is vishwa data remote add.
func (v *remoteVerbs) add() *cobra.Command {
	var asDefault bool
	cmd := &cobra.Command{
		Use: "add NAME URL", Short: "Add a remote: a folder, or s3://bucket/prefix", Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			return v.edit(func(c *dvc.Config) error {
				section := dvc.RemoteSection(args[0])
				if _, there := c.Get(section, "url"); there {
					return fault.WithHint(fault.New(fault.Conflict, "remote %s already exists", args[0]), "change it: vishwa data remote modify %s url URL", args[0])
				}
				where := args[1]
				if err := public(where); err != nil {
					return err
				}
				env, err := v.env()
				if err != nil {
					return err
				}
				if where, err = v.fromFile(where, env.Lookup); err != nil {
					return err
				}
				c.Set(section, "url", filepath.ToSlash(where))
				if asDefault {
					c.Set("core", "remote", args[0])
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVarP(&asDefault, "default", "d", false, "make it the default")
	return cmd
}

// modify is vishwa data remote modify.
func (v *remoteVerbs) modify() *cobra.Command {
	var unset bool
	cmd := &cobra.Command{
		Use: "modify NAME OPTION [VALUE]", Short: "Change an option of a remote; -u takes it away", Args: cobra.RangeArgs(2, 3),
		RunE: func(_ *cobra.Command, args []string) error {
			w, err := v.configuration()
			if err != nil {
				return err
			}
			if _, err := w.Config().Remote(args[0]); err != nil {
				return err
			}
			return v.edit(func(c *dvc.Config) error {
				section := dvc.RemoteSection(args[0])
				switch {
				case unset:
					if !c.Unset(section, args[1]) {
						return fault.WithHint(fault.New(fault.Missing, "remote %s has no %s here", args[0], args[1]), "look at vishwa data remote list; --local changes .dvc/config.local")
					}
					return nil
				case len(args) < 3:
					return fault.WithHint(fault.New(fault.Invalid, "no value is given"), "give one, or take the option away with -u")
				case data.Secret(args[1]) && !v.local:
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
	cmd.Flags().BoolVarP(&unset, "unset", "u", false, "take the option away")
	return cmd
}

// remove is vishwa data remote remove.
func (v *remoteVerbs) remove() *cobra.Command {
	cmd := &cobra.Command{
		Use: "remove NAME", Short: "Take a remote out of the configuration", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return v.edit(func(c *dvc.Config) error {
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
	return cmd
}

// byDefault is vishwa data remote default.
func (v *remoteVerbs) byDefault() *cobra.Command {
	cmd := &cobra.Command{
		Use: "default [NAME]", Short: "Make a remote the default, or show which one is", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				w, err := v.configuration()
				if err != nil {
					return err
				}
				r, err := w.Config().Remote("")
				if err == nil {
					fmt.Fprintln(v.out, r.Name)
				}
				return err
			}
			if err := v.known(args[0]); err != nil {
				return err
			}
			return v.edit(func(c *dvc.Config) error { c.Set("core", "remote", args[0]); return nil })
		},
	}
	return cmd
}

// list is vishwa data remote list.
func (v *remoteVerbs) list() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the remotes", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			w, err := v.configuration()
			if err != nil {
				return err
			}
			name, _ := w.Config().Get("core", "remote")
			for _, r := range w.Config().Remotes() {
				mark := ""
				if r.Name == name {
					mark = "\t(default)"
				}
				fmt.Fprintf(v.out, "%s\t%s%s\n", r.Name, data.RedactURL(r.URL), mark)
			}
			return nil
		},
	}
	return cmd
}

// rename is vishwa data remote rename.
func (v *remoteVerbs) rename() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rename OLD NEW", Short: "Give a remote another name", Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			if v.known(args[1]) == nil {
				return fault.WithHint(fault.New(fault.Conflict, "remote %s already exists", args[1]), "choose another name")
			}
			return v.edit(func(c *dvc.Config) error {
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
	return cmd
}

// fromFile is a relative folder as DVC has it: from the folder of the configuration's file.
func (v *remoteVerbs) fromFile(where string, lookup func(string) (string, bool)) (string, error) {
	if strings.Contains(where, "://") || filepath.IsAbs(data.InHome(where, lookup)) {
		return where, nil
	}
	from, err := filepath.Abs(filepath.Join(v.dir, where))
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(filepath.Dir(from)); err == nil { // as the root is
		from = filepath.Join(real, filepath.Base(from))
	}
	w, err := v.configuration()
	if err != nil {
		return "", err
	}
	return filepath.Rel(filepath.Join(w.Root(), ".dvc"), from)
}
