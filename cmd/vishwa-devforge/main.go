// Command vishwa-devforge is a GitHub on this machine, to try the loop of pull
// requests with commands instead of a browser.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/cmd/internal/terminal"
	"github.com/vishwaops/vishwa/cmd/vishwa-devforge/devforge"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

func main() { os.Exit(run()) }

// run is main with an exit code, so that tests can be the program.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	out, said := terminal.New(os.Stdout), terminal.New(os.Stderr)
	defer func() { _, _ = out.End(), said.End() }()
	a := &app{out: out, err: said, now: time.Now, lookup: os.LookupEnv}
	root := a.root()
	root.SetArgs(os.Args[1:])
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintf(a.err, "vishwa-devforge: %s\n", err)
		fmt.Fprintf(a.err, "  %s\n", fault.WayOut(err))
		return 1
	}
	return 0
}

// app is what every verb may use of the world.
type app struct {
	out, err io.Writer
	now      func() time.Time
	lookup   func(string) (string, bool)
	url      string
	repo     string
	as       string
	client   http.Client
}

const defaultAddress = "127.0.0.1:8090"

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "vishwa-devforge",
		Short: "A GitHub on this machine, to try pull requests without a browser",
		Long: `vishwa-devforge serves the REST API of GitHub, webhooks and Git over HTTP from
this machine, and does by command what GitHub's pages do by click. Whoever reaches
its address may do everything there: it listens on the loopback only.

  vishwa-devforge serve --dir forge &
  vishwa-devforge repo acme/models
  vishwa-devforge user asha --repo acme/models --role admin
  vishwa-devforge pr open --repo acme/models --head topic --title "Train longer" --as asha
  vishwa-devforge pr show 1 --repo acme/models`,
		SilenceUsage: true, SilenceErrors: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetOut(a.out)
	root.SetErr(a.err)
	at := "http://" + defaultAddress
	if v, set := a.lookup("VISHWA_DEVFORGE_URL"); set && v != "" {
		at = v
	}
	root.PersistentFlags().StringVar(&a.url, "url", at, "where the forge is; also VISHWA_DEVFORGE_URL")
	root.AddCommand(a.serve(), a.newRepo(), a.user(), a.fork(), a.pull(), a.review(), a.comment(), a.merge(), a.protect(), a.hook(), demoVerb())
	return root
}

func (a *app) serve() *cobra.Command {
	var dir, listen string
	c := &cobra.Command{
		Use: "serve", Short: "Serve until interrupted",
		Long: `Serve until interrupted. Accounts, pull requests and comments end with it; the Git
repositories stay in --dir, and are served again, as public, forked and protected as they were.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := devforge.New(devforge.Options{Dir: dir, Now: a.now, Log: slog.New(slog.NewTextHandler(a.err, nil))})
			if err != nil {
				return err
			}
			defer f.Close()
			if err := f.Reopen(); err != nil {
				return err
			}
			url, err := f.Listen(listen)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "serving at %s (API %s/api/v3/, Git %s/OWNER/NAME.git)\n", url, url, url)
			<-c.Context().Done()
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "folder of the bare repositories")
	c.Flags().StringVar(&listen, "listen", defaultAddress, "address of the loopback; port 0 takes a free one")
	must(c.MarkFlagRequired("dir"))
	return c
}

// must is for flags that are named in the line above.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// inRepo adds the flags of a verb that acts in a repository as somebody.
func (a *app) inRepo(c *cobra.Command, acting bool) *cobra.Command {
	c.Flags().StringVar(&a.repo, "repo", "", "repository, OWNER/NAME")
	must(c.MarkFlagRequired("repo"))
	if acting {
		c.Flags().StringVar(&a.as, "as", "", "login of who does it")
		must(c.MarkFlagRequired("as"))
	}
	return c
}

// owner is the first part of OWNER/NAME.
func owner(repo string) string {
	o, _, _ := strings.Cut(repo, "/")
	return o
}
