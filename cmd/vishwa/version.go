// vishwa version: what this program is.

package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Set by the linker: make build and make release do.
var (
	version   = ""
	builtFrom = "" // a release's commit
)

func (a *cli) versionVerb() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if format == "json" {
				return a.json(map[string]string{"version": versionText(), "go": runtime.Version()})
			}
			_, err := fmt.Fprint(a.out, versionLine())
			return err
		},
	}
	formats(cmd, &format, "text", "json")
	return cmd
}

func versionLine() string { return fmt.Sprintf("vishwa %s %s\n", versionText(), runtime.Version()) }

// versionText is the release's, or what Go knows of the build.
func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
