// The verbs against a running forge: each is one order below /_dev/.

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/cmd/vishwa-devforge/devforge"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// order sends o to the forge.
func (a *app) order(ctx context.Context, verb string, o devforge.Order) (done devforge.Done, err error) {
	body, err := json.Marshal(o)
	if err != nil {
		return done, fmt.Errorf("write order: %w", err)
	}
	return done, a.ask(ctx, http.MethodPost, "/_dev/"+verb, body, &done)
}

// ask makes one request and decodes its answer into v.
func (a *app) ask(ctx context.Context, method, path string, body []byte, v any) error {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(a.url, "/")+path, bytes.NewReader(body))
	if err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "%q is not an address", a.url), "give --url http://%s", defaultAddress)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := a.client.Do(req)
	if err != nil {
		return fault.WithHint(fault.New(fault.Transient, "nothing answers at %s", a.url), "start it: vishwa-devforge serve --dir forge")
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return fault.New(fault.Transient, "read answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return refusal(resp.StatusCode, raw)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "what answers at %s is not a forge", a.url), "give --url as vishwa-devforge serve prints it")
	}
	return nil
}

// refusal is the error that the forge answered.
func refusal(status int, raw []byte) error {
	var said struct {
		Message string
		Errors  []any
	}
	if json.Unmarshal(raw, &said) != nil || said.Message == "" {
		return fault.New(fault.Invalid, "the forge answered %d", status)
	}
	p := devforge.Problem{Message: said.Message, Errors: said.Errors}
	return fault.New(fault.Invalid, "%s", p.Error())
}

// number reads the number of a pull request.
func number(s string) (int, error) {
	n, err := strconv.Atoi(strings.TrimPrefix(s, "#"))
	if err != nil || n < 1 {
		return 0, fault.WithHint(fault.New(fault.Invalid, "%q is not a number of a pull request", s), "give one such as 1")
	}
	return n, nil
}

func (a *app) newRepo() *cobra.Command {
	var o devforge.Order
	c := &cobra.Command{
		Use: "repo OWNER/NAME", Short: "Make an empty repository; its owner may everything", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o.Repo = args[0]
			done, err := a.order(c.Context(), "repo", o)
			if err != nil {
				return err
			}
			who, err := a.order(c.Context(), "user", devforge.Order{Login: owner(o.Repo)})
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s\n", done.URL)
			fmt.Fprintf(a.out, "token of %s: %s\n", owner(o.Repo), who.Token)
			return nil
		},
	}
	c.Flags().BoolVar(&o.Public, "public", false, "everybody may read it")
	return c
}

func (a *app) user() *cobra.Command {
	var o devforge.Order
	c := &cobra.Command{
		Use: "user LOGIN", Short: "Make an account known and print a token of it", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o.Login = args[0]
			done, err := a.order(c.Context(), "user", o)
			if err == nil {
				fmt.Fprintln(a.out, done.Token)
			}
			return err
		},
	}
	c.Flags().StringVar(&o.Repo, "repo", "", "give it a role in this repository, OWNER/NAME")
	c.Flags().StringVar(&o.Role, "role", "write", "none, read, triage, write, maintain or admin")
	c.Flags().BoolVar(&o.Bot, "bot", false, "it is a bot")
	return c
}

func (a *app) pull() *cobra.Command {
	c := &cobra.Command{Use: "pr", Short: "Open, show and close pull requests", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	var o devforge.Order
	open := &cobra.Command{
		Use: "open", Short: "Open a pull request", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o.Repo, o.Login = a.repo, a.as
			if o.Title == "" {
				o.Title = o.Head
			}
			done, err := a.order(c.Context(), "open", o)
			if err == nil {
				fmt.Fprintf(a.out, "#%d\n", done.Number)
			}
			return err
		},
	}
	open.Flags().StringVar(&o.Head, "head", "", "branch that is proposed, or OWNER:BRANCH of a fork")
	open.Flags().StringVar(&o.Base, "base", "", "branch that it goes into; the default branch where empty")
	open.Flags().StringVar(&o.Title, "title", "", "title; the branch where empty")
	must(open.MarkFlagRequired("head"))
	show := &cobra.Command{
		Use: "show N", Short: "Print a pull request: its comments as Markdown, statuses, checks, deployments", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			n, err := number(args[0])
			if err != nil {
				return err
			}
			var look devforge.Look
			if err := a.ask(c.Context(), http.MethodGet, fmt.Sprintf("/_dev/pull?repo=%s&number=%d", url.QueryEscape(a.repo), n), nil, &look); err != nil {
				return err
			}
			return show(a.out, look)
		},
	}
	shut := a.numbered("close N", "Close a pull request without merging it", "close", &devforge.Order{})
	again := a.numbered("reopen N", "Open a pull request again that was closed", "reopen", &devforge.Order{})
	c.AddCommand(a.inRepo(open, true), a.inRepo(show, false), shut, again)
	return c
}

func (a *app) fork() *cobra.Command {
	return a.inRepo(&cobra.Command{
		Use: "fork", Short: "Make a fork of a repository below an account", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			done, err := a.order(c.Context(), "fork", devforge.Order{Repo: a.repo, Login: a.as})
			if err == nil {
				fmt.Fprintln(a.out, done.URL)
			}
			return err
		},
	}, true)
}

// numbered is a verb about one pull request.
func (a *app) numbered(use, short, verb string, o *devforge.Order) *cobra.Command {
	return a.inRepo(&cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			n, err := number(args[0])
			if err != nil {
				return err
			}
			o.Repo, o.Login, o.Number = a.repo, a.as, n
			done, err := a.order(c.Context(), verb, *o)
			if err == nil && done.SHA != "" {
				fmt.Fprintln(a.out, done.SHA)
			}
			return err
		},
	}, true)
}

func (a *app) review() *cobra.Command {
	o := &devforge.Order{}
	c := a.numbered("review N", "Review a pull request at its head", "review", o)
	c.Flags().StringVar(&o.Verdict, "verdict", "approve", "approve, request-changes or comment")
	return c
}

func (a *app) comment() *cobra.Command {
	o := &devforge.Order{}
	c := a.numbered("comment N", "Write below a pull request", "comment", o)
	c.Flags().StringVar(&o.Body, "body", "", `what to say, such as "/vishwa plan"`)
	must(c.MarkFlagRequired("body"))
	return c
}

func (a *app) merge() *cobra.Command {
	o := &devforge.Order{}
	c := a.numbered("merge N", "Merge a pull request", "merge", o)
	c.Flags().StringVar(&o.Method, "method", "merge", "merge, squash or rebase")
	return c
}

func (a *app) protect() *cobra.Command {
	p := &devforge.Protection{}
	c := &cobra.Command{
		Use: "protect BRANCH", Short: "Protect a branch: never rewritten nor deleted, and what the flags ask for", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			_, err := a.order(c.Context(), "protect", devforge.Order{Repo: a.repo, Branch: args[0], Protection: p})
			return err
		},
	}
	c.Flags().IntVar(&p.RequiredReviews, "reviews", 0, "approving reviews that a merge needs")
	c.Flags().StringSliceVar(&p.RequiredChecks, "check", nil, "statuses or check runs that a merge needs")
	c.Flags().BoolVar(&p.RequiredSignatures, "signatures", false, "commits must be signed")
	c.Flags().BoolVar(&p.NoDirectPush, "no-direct-push", false, "only pull requests change it")
	c.Flags().StringSliceVar(&p.Bypass, "bypass", nil, "logins that push nevertheless")
	return a.inRepo(c, false)
}

func (a *app) hook() *cobra.Command {
	var o devforge.Order
	var variable string
	c := &cobra.Command{
		Use: "hook URL", Short: "Send the webhooks of a repository to an address", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o.Repo, o.URL = a.repo, args[0]
			if variable != "" {
				secret, set := a.lookup(variable)
				if !set || secret == "" {
					return fault.WithHint(fault.New(fault.Missing, "the environment has no %s", variable), "export %s=... first", variable)
				}
				o.Secret = secret
			}
			done, err := a.order(c.Context(), "hook", o)
			if err == nil {
				fmt.Fprintf(a.out, "hook %d\n", done.ID)
			}
			return err
		},
	}
	// Never by flag: every user of the machine reads the process list.
	c.Flags().StringVar(&variable, "secret-env", "", "environment variable that holds the secret")
	return a.inRepo(c, false)
}
