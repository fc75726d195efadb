// What was probably meant: a command or a flag that is not there is met with the
// nearest one that is.

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
)

// strict makes every wrong number of arguments a usage error, and every verb that only
// groups others refuse a name that is none of them.
func strict(cmd *cobra.Command) {
	if takes := strings.Contains(cmd.Use, " "); cmd.HasSubCommands() && !takes {
		cmd.Args = noSuch
	}
	if args := cmd.Args; args != nil {
		cmd.Args = func(c *cobra.Command, given []string) error {
			if err := args(c, given); err != nil {
				return usage(c, err)
			}
			return nil
		}
	}
	for _, c := range cmd.Commands() {
		strict(c)
	}
}

// noSuch refuses what is no command, and names the one that is meant, or DVC's.
func noSuch(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())
	if near := nearCommand(cmd, args[0]); near != "" {
		return fault.WithHint(err, "did you mean %s %s?", cmd.CommandPath(), near)
	}
	if cmd.Name() == "data" && slices.Contains(dvcAlone, args[0]) {
		return fault.WithHint(err, "dvc %s does it, in the same repository", args[0])
	}
	return err
}

// nearCommand is the command below cmd that name is a typo or the beginning of, or "".
func nearCommand(cmd *cobra.Command, name string) string {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	if near := schemas.Nearest(name, names); near != "" {
		return near
	}
	if i := slices.IndexFunc(names, func(n string) bool { return strings.HasPrefix(n, strings.ToLower(name)) }); i >= 0 && name != "" {
		return names[i]
	}
	return ""
}

// dvcAlone are DVC's commands that have no like here.
var dvcAlone = strings.Fields(`artifacts cache check-ignore commit completion dag destroy du exp experiments freeze get get-url import-db import-url
	metrics move mv params plots queue repro root stage studio unfreeze update version`)

// flagError is a usage error about flags; one that is unknown is met with the nearest.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || unknown.GetSpecifiedShortnames() != "" {
		return usage(cmd, err)
	}
	var names []string
	for _, set := range []*pflag.FlagSet{cmd.Flags(), cmd.InheritedFlags()} {
		set.VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				names = append(names, f.Name)
			}
		})
	}
	if near := schemas.Nearest(unknown.GetSpecifiedName(), names); near != "" {
		err = fault.WithHint(err, "did you mean --%s? See %s --help", near, cmd.CommandPath())
	}
	return usage(cmd, err)
}
