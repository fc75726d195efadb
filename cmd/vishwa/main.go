// Command vishwa reconciles a Git repository of machine-learning declarations.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/vishwaops/vishwa/cmd/internal/garbage"
	"github.com/vishwaops/vishwa/cmd/internal/terminal"
	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/plural"
)

func main() { os.Exit(run(nil)) }

// run is main with an exit code, so that tests can be the program.
func run(unlock signer.Unlock) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// Two at once are one: GNU timeout sends a signal to the program, and to the group that it is in. A later one ends it at once.
	context.AfterFunc(ctx, func() { time.AfterFunc(2*time.Second, stop) })
	out, said := terminal.New(os.Stdout), terminal.New(os.Stderr)
	defer func() { _, _ = out.End(), said.End() }()
	a := &cli{
		in: os.Stdin, out: out, err: said, lookup: os.LookupEnv, now: time.Now, garbage: garbage.Process,
		unlock:   unlock,
		terminal: term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd())),
	}
	a.garbage.Keep(garbage.Room, 40)
	if err := sandbox.SetCloseOnExec(); err != nil {
		fmt.Fprintf(a.err, "vishwa: %s\n", err)
	}
	_, plain := os.LookupEnv("NO_COLOR")
	a.color = term.IsTerminal(int(os.Stdout.Fd())) && !plain && os.Getenv("TERM") != "dumb"
	return a.main(ctx, os.Args[1:])
}

// cli is what every verb may use of the world.
type cli struct {
	in       io.Reader
	out, err io.Writer // both through terminal.Writer: what others wrote is made harmless
	lookup   func(string) (string, bool)
	now      func() time.Time
	terminal bool   // somebody can answer a question
	color    bool   // standard output shows colours
	dir      string // where the repository is looked for
	verbose  bool
	offline  bool     // ask nobody who is not on this machine
	allow    []string // private hosts and networks that gauges of a rollout may be asked at
	teller   *teller  // of vishwa data
	garbage  *garbage.Collector
	unlock   signer.Unlock // of the controller's keys
}

// main runs one command line and tells its exit code.
func (a *cli) main(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	if !isUsage(err) { // without a flag that it needs, or with two that exclude each other, it never ran
		if wrong := cmp.Or(unset(cmd), clash(cmd)); wrong != nil {
			err = usage(cmd, wrong)
		}
	}
	var code exitCode
	if errors.As(err, &code) {
		return int(code)
	}
	if a.teller != nil {
		a.teller.end()
	}
	if ctx.Err() != nil && fault.Of(err) == fault.Cancelled {
		fmt.Fprintf(a.err, "vishwa: interrupted\n  %s\n", fault.WayOut(err))
		return exitInterrupted
	}
	fmt.Fprintf(a.err, "vishwa: %s\n", strings.TrimRight(a.listed(err), "\n"))
	fmt.Fprintf(a.err, "  %s\n", fault.WayOut(err))
	if isUsage(err) && detailed(args) {
		return exitError // exitUsage tells of changes
	}
	return codeOf(err)
}

// listed prints the problems that err is made of, each on lines of its own that begin with its place, as editors read them, and
// returns the text of err with their number in their stead.
func (a *cli) listed(err error) string {
	var all pass.Problems
	text := err.Error()
	if !errors.As(err, &all) || len(all) == 0 || !strings.Contains(text, all.Error()) {
		return text
	}
	fmt.Fprintln(a.err, all.Error())
	return strings.Replace(text, all.Error(), plural.Of(len(all), "problem"), 1)
}

func (a *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "vishwa",
		Short: "Reconcile a Git repository of machine-learning declarations",
		Long: `Vishwa makes the world match what a Git repository declares: it pins data, trains
what changed, gates and signs the model, provisions with Terraform, deploys, and
records every step on the branch vishwa/ledger, signed.

Exit codes: 0 done, 1 error, 2 wrong usage, 3 refused by policy, 4 conflict (something
else changed meanwhile), 5 held (waits for a person: an approval, a yes, a retry, a
resume), 130 interrupted; vishwa plan --detailed-exitcode has codes of its own.`,
		SilenceUsage: true, SilenceErrors: true,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.Version = versionText()
	root.SetVersionTemplate(versionLine())
	root.Flags().Bool("version", false, "print the version")
	root.PersistentFlags().StringVarP(&a.dir, "directory", "C", ".", "run as if started in `DIR`")
	root.PersistentFlags().BoolVar(&a.offline, "offline", false, "ask nothing outside of this machine; what is recorded is pushed the next time")
	root.PersistentFlags().BoolVarP(&a.verbose, "verbose", "v", false, "tell more on standard error")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(
		a.initVerb(), a.validateVerb(), a.planVerb(), a.applyVerb(), a.approveVerb(), a.retryVerb(),
		a.statusVerb(), a.suspendVerb(), a.resumeVerb(), a.rolloutVerb(), a.rollbackVerb(), a.downVerb(), a.monitorVerb(), a.metricsVerb(), a.runsVerb(), a.modelsVerb(), a.accessVerb(), a.trackersVerb(), a.logVerb(), a.logsVerb(), a.explainVerb(), a.verifyVerb(), a.ledgerVerb(),
		a.dataVerb(), a.predictionsVerb(), a.sinkVerb(), a.imageVerb(), a.importVerb(), a.exportVerb(), a.mergeDriver(), a.policyVerb(), a.keysVerb(), a.schemaVerb(), a.demoVerb(), a.versionVerb(),
		a.controllerVerb(), a.ciVerb(), a.doctorVerb(), a.superviseVerb(), a.hostVerb(), a.referenceVerb(),
	)
	strict(root)
	return root
}
