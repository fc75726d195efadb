// What was probably meant: a command or a flag that is not there is met with the
// nearest one that is.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
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
				return usage(c, miscounted(c, given, err))
			}
			return nil
		}
	}
	for _, c := range cmd.Commands() {
		strict(c)
	}
}

// miscounted is err, of a wrong number of arguments, in words that name what is missing or too
// many by the verb's own usage line. What a verb that groups others says stays as it is.
func miscounted(cmd *cobra.Command, given []string, err error) error {
	wanted, least, most := cmd.Use, 0, 0
	if at := strings.Index(wanted, " --"); at >= 0 {
		wanted = wanted[:at]
	}
	names := strings.Fields(wanted)[1:]
	for _, name := range names {
		if !strings.HasPrefix(name, "[") {
			least++
		}
		most++
		if strings.Contains(name, "...") {
			most += 1 << 20
		}
	}
	switch whole := cmd.CommandPath() + strings.TrimPrefix(cmd.Use, cmd.Name()); {
	case cmd.HasSubCommands() && len(names) == 0:
		return err
	case len(given) < least:
		return fmt.Errorf("%s is missing: %s", strings.TrimSuffix(names[len(given)], "..."), whole)
	case most == 0:
		return fmt.Errorf("%s takes no arguments, and was given %q", cmd.CommandPath(), given[0])
	case len(given) > most:
		return fmt.Errorf("%q is an argument too many: %s", given[most], whole)
	}
	return err
}

// unset says which flags the verb needs that were not given, or nil.
func unset(cmd *cobra.Command) error {
	var names []string
	var way string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if need := f.Annotations[cobra.BashCompOneRequiredFlag]; len(need) == 0 || need[0] != "true" || f.Changed {
			return
		}
		value, about := pflag.UnquoteUsage(f)
		names = append(names, strings.TrimSpace("--"+f.Name+" "+value))
		way = strings.TrimSuffix(about, ": "+value)
	})
	switch len(names) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("%s is missing (%s)", names[0], way)
	}
	return fmt.Errorf("%s are missing", strings.Join(names, " and "))
}

const apart = "cobra_annotation_mutually_exclusive" // cobra's own, which it does not export

// clash says which flags were given that exclude each other, or nil.
func clash(cmd *cobra.Command) error {
	given := map[string][]string{} // group -> flags
	cmd.Flags().Visit(func(f *pflag.Flag) {
		for _, group := range f.Annotations[apart] {
			given[group] = append(given[group], "--"+f.Name)
		}
	})
	for _, group := range slices.Sorted(maps.Keys(given)) {
		if names := given[group]; len(names) > 1 {
			return fmt.Errorf("%s exclude each other: give one of them", strings.Join(names, " and "))
		}
	}
	return nil
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
	var wrong *pflag.InvalidValueError
	if errors.As(err, &wrong) {
		if want := wants[wrong.GetFlag().Value.Type()]; want != "" {
			return usage(cmd, fmt.Errorf("--%s: %q is not %s", wrong.GetFlag().Name, wrong.GetValue(), want))
		}
		return usage(cmd, fmt.Errorf("--%s: %w", wrong.GetFlag().Name, wrong.Unwrap()))
	}
	var empty *pflag.ValueRequiredError
	if errors.As(err, &empty) {
		value, _ := pflag.UnquoteUsage(empty.GetFlag())
		return usage(cmd, fmt.Errorf("%s needs a value: %s", flagOf(empty), cmp.Or(value, "TEXT")))
	}
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
	near := schemas.Nearest(unknown.GetSpecifiedName(), names)
	if begun := slices.IndexFunc(names, func(n string) bool { return strings.HasPrefix(n, unknown.GetSpecifiedName()) }); near == "" && begun >= 0 {
		near = names[begun]
	}
	if near != "" {
		err = fault.WithHint(err, "did you mean --%s? See %s --help", near, cmd.CommandPath())
	}
	return usage(cmd, err)
}

// flagOf is the flag as it was given: -C or --directory.
func flagOf(err *pflag.ValueRequiredError) string {
	if err.GetSpecifiedShortnames() != "" {
		return "-" + err.GetSpecifiedName()
	}
	return "--" + err.GetSpecifiedName()
}

// wants are values of flags in words, by the type that reads them.
var wants = map[string]string{
	"bool": "true or false", "int": "a whole number", "int64": "a whole number", "uint": "a whole number from 0", "uint64": "a whole number from 0",
	"float64": "a number", "duration": "a duration, such as 90s, 15m or 2h",
}
