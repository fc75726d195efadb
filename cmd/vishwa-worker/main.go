// Command vishwa-worker carries out one job wherever it is begun: in a container, a pod, a
// task of a scheduler. It is a program of its own so that it is small, and needs no library
// of the image that it is brought into.
//
//	vishwa-worker work           carries out the job of the ticket in VISHWA_TICKET or the file of a mount
//	vishwa-worker fetch SHA DIR  brings a release that is served into DIR, and verifies it
//	vishwa-worker install DIR    copies itself to DIR, for a step before the job's own image
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/vishwaops/vishwa/reconciler/machine/dispatch"
	"github.com/vishwaops/vishwa/reconciler/machine/served"
)

// version is stamped by the build.
var version = "unknown"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "vishwa-worker:", err)
		os.Exit(dispatch.Untold)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "work":
		os.Exit(dispatch.Main(context.Background(), version))
	case len(args) == 3 && args[0] == "fetch":
		os.Exit(served.FetchMain(context.Background(), served.TicketFile, args[1], args[2]))
	case len(args) == 2 && args[0] == "install":
		return dispatch.Install(args[1])
	case len(args) == 1 && args[0] == "version":
		fmt.Println(version)
		return nil
	}
	return fmt.Errorf("want work, fetch SHA DIR, install DIR or version")
}
