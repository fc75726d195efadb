// vishwa doctor: what this machine can keep runs apart with, tried and not guessed, and
// what else Vishwa needs of it.

package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/controller/config"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
)

// diagnosis is what the doctor found.
type diagnosis struct {
	User     int         `json:"user"`     // that it holds for
	Landlock int         `json:"landlock"` // version of the kernel's interface; 0: none
	Groups   string      `json:"controlGroups,omitempty"`
	Hint     string      `json:"controlGroupsHint,omitempty"` // where this user can use none: what to do
	Rungs    []wall.Rung `json:"rungs"`
	Settings string      `json:"settings"` // where the level that is asked for was read
	Asked    wall.Level  `json:"asked"`    // best, or a level
	Runs     wall.Level  `json:"runs"`     // what runs of tracked branches get
	Pulls    pulls       `json:"pullRequests"`
	Checks   []check     `json:"checks"`
}

// pulls is what runs of pull requests get.
type pulls struct {
	Possible bool             `json:"possible"`
	Level    wall.Level       `json:"level"`
	Lacks    []wall.Guarantee `json:"lacks,omitempty"`
	Reason   string           `json:"reason,omitempty"`
	Hint     string           `json:"hint,omitempty"`
}

func (a *cli) doctorVerb() *cobra.Command {
	var format, file string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check what Vishwa needs of this machine and repository, and say what to do",
		Long: `Try the programs that Vishwa calls (git, python3 with venv, terraform or tofu, ssh)
and, in a repository, its declarations, the controller's keys, the store, the clock,
the remote and the ledger. Each problem comes with a hint. The test of the store
leaves a few bytes there, the same each time; a store that this checkout names, and
the branch that the remote calls its own does not, is not tried.

Before that, start a command that does nothing at each level of isolation, as this
user, and show which of the five guarantees hold; if one does not, why, and which
setting of the kernel to change. Show also what runs, and runs of pull requests, get
by the settings: the variables VISHWA_ISOLATION*, or a controller's file.

Exit codes: 0 nothing is wrong and runs of pull requests are possible, 1 otherwise.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := diagnosis{User: os.Geteuid(), Landlock: wall.LandlockVersion(), Settings: "the variables " + wall.LevelVariable + "*"}
			p, err := wall.FromEnvironment(a.lookup)
			if file != "" {
				d.Settings = file
				var c config.Spec
				if c, err = config.Read(a.path(file)); err == nil {
					p, err = c.Isolation.Policy()
				}
			}
			if err != nil {
				return err
			}
			d.examine(p)
			d.Checks = a.checks(cmd.Context())
			if format == "json" {
				err = a.json(d)
			} else {
				err = d.show(a.out)
				showChecks(a.out, d.Checks)
			}
			if err == nil && (!d.Pulls.Possible || !sound(d.Checks)) {
				err = exitCode(exitError)
			}
			return err
		},
	}
	formats(cmd, &format, "text", "json")
	cmd.Flags().StringVar(&file, "config", "", "the settings of a controller's `FILE` in place of the variables")
	return cmd
}

// examine tries the rungs and judges what comes of them under the policy.
func (d *diagnosis) examine(p wall.Policy) {
	d.Rungs = wall.Probe(p)
	d.Groups, d.Hint = wall.Groups(d.Rungs)
	d.judge(p)
}

// judge tells what runs get under the policy, of the rungs as they were found.
func (d *diagnosis) judge(p wall.Policy) {
	d.Asked, d.Runs, d.Pulls = cmp.Or(p.Level, "best"), wall.None, pulls{Level: wall.None}
	stand, ok := p.Stand(d.Rungs)
	switch {
	case p.Level == wall.None:
		d.Pulls.Possible = true
		d.Pulls.Reason = "the settings ask for no isolation: code that nobody reviewed does whatever this user may"
		d.Pulls.Hint = "remove the level none from the settings"
	case !ok:
		d.Pulls.Lacks, d.Pulls.Reason = wall.Guarantees, "no level of isolation that the settings allow works here"
		d.Pulls.Hint = "see above what prevents each level"
	default:
		d.Runs, d.Pulls.Level = stand.Level, stand.Level
		d.Pulls.Lacks = wall.Lacks(*stand.Report)
		if d.Pulls.Possible = len(d.Pulls.Lacks) == 0; !d.Pulls.Possible {
			d.Pulls.Reason = fmt.Sprintf("the level %s lacks %s", stand.Level, list(d.Pulls.Lacks))
			d.Pulls.Hint = "see above what prevents it"
		}
	}
}

func list(all []wall.Guarantee) string {
	names := make([]string, len(all))
	for i, g := range all {
		names[i] = string(g)
	}
	return strings.Join(names, ", ")
}

func (d *diagnosis) show(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	head := "GUARANTEE"
	for _, r := range d.Rungs {
		head += "\t" + strings.ToUpper(string(r.Level))
	}
	fmt.Fprintln(t, head+"\tA RUN ...")
	for i, g := range wall.Guarantees {
		line := string(g)
		for _, r := range d.Rungs {
			if r.Gives[i].Held {
				line += "\tyes"
			} else {
				line += "\tno"
			}
		}
		fmt.Fprintln(t, line+"\t"+g.Describe())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	for _, r := range d.Rungs {
		d.why(out, r)
	}
	landlock := "none; it needs Linux 5.13 or newer, with landlock in lsm= of the kernel's command line"
	if d.Landlock > 0 {
		landlock = fmt.Sprintf("version %d of its interface", d.Landlock)
	}
	fmt.Fprintf(out, "Landlock: %s.\n", landlock)
	if d.Groups != "" {
		fmt.Fprintf(out, "Control groups: %s, usable by user %d.\n", d.Groups, d.User)
	} else {
		fmt.Fprintf(out, "Control groups: not usable by user %d: memory is watched instead, and cores are not limited.\n  %s\n", d.User, d.Hint)
	}
	fmt.Fprintf(out, "Settings: %s; level asked for: %s.\n\n", harmless.Line(d.Settings), d.Asked)
	return d.verdict(out)
}

// why tells what stands against a rung: once, where nothing works.
func (d *diagnosis) why(out io.Writer, r wall.Rung) {
	told := map[string]bool{}
	for _, p := range r.Gives {
		if p.Held || told[p.Reason] {
			continue
		}
		told[p.Reason] = true
		what := string(p.Guarantee)
		if !r.Works() {
			what = "nothing works"
		}
		fmt.Fprintf(out, "%s, %s: %s\n  %s\n", r.Level, what, harmless.Line(p.Reason), p.Hint)
	}
	if r.Level == wall.Landlock && r.Works() {
		fmt.Fprintln(out, "landlock, network: a run that declares no hosts reaches none. This level cannot limit a run to the hosts that it declares: runs of pull requests that declare some are refused.")
	}
}

func (d *diagnosis) verdict(out io.Writer) error {
	runs := string(d.Runs)
	if d.Runs == wall.None {
		runs = "none: they are not kept apart"
	}
	pulls := "possible, at level " + string(d.Pulls.Level)
	if !d.Pulls.Possible {
		pulls = "refused"
	}
	if d.Pulls.Reason != "" {
		pulls += ": " + d.Pulls.Reason + "\n  " + d.Pulls.Hint
	}
	_, err := fmt.Fprintf(out, "Runs of tracked branches, and what is served: %s\nRuns of pull requests: %s\n", runs, pulls)
	return err
}
