// vishwa-devforge demo: the loop in one sitting. A real controller, a real Git
// server, and a GitHub in this process; the comment is shown as it is written.

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/cmd/vishwa-devforge/devforge"
)

const (
	demoRepo   = "acme/homes"
	demoSecret = "only for this demo"
)

func demoVerb() *cobra.Command {
	var program string
	cmd := &cobra.Command{
		Use:   "demo [DIR]",
		Short: "Show the loop: pull request, comment, regression blocked, fixed, approved, merged, deployed",
		Long: `Show the loop: pull request, comment, regression blocked, fixed, approved, merged, deployed.
Everything is in DIR, which must not be there yet; without it, in vishwa-demo-pr, or
vishwa-demo-pr-2 and so on where earlier demos are there.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := place("vishwa-demo-pr", args)
			if err != nil {
				return err
			}
			return demo(cmd.Context(), cmd.OutOrStdout(), dir, program)
		},
	}
	cmd.Flags().StringVar(&program, "vishwa", "vishwa", "the vishwa `PROGRAM` to run")
	return cmd
}

// place makes the demo's folder: the one that is named, or the first of usual, usual-2
// and so on that is not there, as the folders of earlier demos stay to be looked at.
func place(usual string, named []string) (string, error) {
	dir := usual
	if len(named) > 0 {
		dir = named[0]
	}
	for n := 2; ; n++ {
		err := os.Mkdir(dir, 0o755)
		switch {
		case err == nil:
			return dir, nil
		case !errors.Is(err, os.ErrExist):
			return "", fmt.Errorf("make a folder for the demo: %w; name one that can be made: make demo-pr DEMO=FOLDER", err)
		case len(named) > 0:
			return "", fmt.Errorf("%s already exists, perhaps from an earlier demo; remove it, or name another: make demo-pr DEMO=FOLDER", dir)
		case n > 99:
			return "", fmt.Errorf("%s to %s already exist, from earlier demos; remove them", usual, dir)
		}
		dir = fmt.Sprintf("%s-%d", usual, n)
	}
}

// stage is what the demo plays on.
type stage struct {
	out    io.Writer
	dir    string // of everything
	work   string // asha's clone
	env    []string
	vishwa string
	forge  *devforge.Forge
	ended  chan struct{} // the controller
}

func demo(ctx context.Context, out io.Writer, dir, program string) (err error) {
	program, err = exec.LookPath(program)
	if err != nil {
		return fmt.Errorf("find vishwa: %w; build it with make build, and name it with --vishwa", err)
	}
	if program, err = filepath.Abs(program); err != nil {
		return err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	s := &stage{out: out, dir: dir, work: filepath.Join(dir, "homes"), vishwa: program}
	if s.forge, err = devforge.New(devforge.Options{Dir: filepath.Join(dir, "forge")}); err != nil {
		return err
	}
	defer s.forge.Close()
	if err := s.people(); err != nil {
		return err
	}
	if err := s.begin(ctx); err != nil {
		return err
	}
	stop, err := s.control()
	if err != nil {
		return err
	}
	defer func() { // a controller would bring back what is taken down
		stop()
		if downErr := s.run(context.WithoutCancel(ctx), s.work, s.vishwa, "down"); err == nil {
			err = downErr
		}
	}()
	return s.play(ctx)
}

// people sets up the GitHub: a repository, two writers and the controller's account.
func (s *stage) people() error {
	url, err := s.forge.Listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	owner, name, _ := strings.Cut(demoRepo, "/")
	if err := s.forge.CreateRepo(owner, name); err != nil {
		return err
	}
	for _, login := range []string{"asha", "ben", "vishwa-bot"} {
		s.forge.AddUser(login, login == "vishwa-bot")
		if err := s.forge.Grant(demoRepo, login, "write"); err != nil {
			return err
		}
	}
	s.env = append(os.Environ(),
		"XDG_STATE_HOME="+filepath.Join(s.dir, "state"), "XDG_CACHE_HOME="+filepath.Join(s.dir, "cache"), "XDG_CONFIG_HOME="+filepath.Join(s.dir, "config"),
		"VISHWA_KEYS="+filepath.Join(s.dir, "keys"), "VISHWA_KEY_PASSWORD=only for this demo", "VISHWA_WEBHOOK_SECRET="+demoSecret,
		"GITHUB_TOKEN="+s.forge.Token("vishwa-bot"), "GIT_CONFIG_GLOBAL="+os.DevNull,
		"GIT_AUTHOR_NAME=Asha", "GIT_AUTHOR_EMAIL=asha@example.com", "GIT_COMMITTER_NAME=Asha", "GIT_COMMITTER_EMAIL=asha@example.com",
		"REMOTE="+strings.Replace(url, "://", "://x-access-token:"+s.forge.Token("asha")+"@", 1)+"/"+demoRepo+".git")
	return nil
}

// begin declares the first project and pushes it.
func (s *stage) begin(ctx context.Context) error {
	s.narrate("Asha declares a project and pushes it to GitHub (a double in this process, with real Git behind it).")
	if err := s.run(ctx, s.dir, "git", "init", "-q", "homes"); err != nil { // the demo's folder may be in another repository
		return err
	}
	if err := s.run(ctx, s.dir, s.vishwa, "init", "homes"); err != nil {
		return err
	}
	if err := s.run(ctx, s.work, s.vishwa, "keys", "generate"); err != nil {
		return err
	}
	people := "principals:\n  asha: {emails: [asha@example.com], forge: {github: asha}, roles: [approver]}\n" +
		"  ben: {emails: [ben@example.com], forge: {github: ben}, roles: [approver]}"
	for _, e := range [][3]string{
		{"trust.yaml", "principals: {}", people},
		{"vishwa.yaml", "production: {approvals: 1}", "production: {approvals: 1, reviews: true}"},
		{"vishwa/model.yaml", "max: 40", "max: 40, maxRegression: 0.5"},
		{"vishwa/model.yaml", "{degree: 2}", "{degree: 3}"},
		{"vishwa/model.yaml", "name: price-staging", "name: price-production"},
		{"vishwa/model.yaml", "environment: staging", "environment: production"},
	} {
		if err := s.edit(e[0], e[1], e[2]); err != nil {
			return err
		}
	}
	return s.push(ctx, "main", "Declare the model of prices")
}

// control starts a controller and waits for it to answer.
func (s *stage) control() (stop func(), err error) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		return nil, err
	}
	if _, err := s.forge.Hook(demoRepo, "http://"+address+"/webhooks/github", demoSecret); err != nil {
		return nil, err
	}
	config := filepath.Join(s.dir, "controller.yaml")
	text := fmt.Sprintf(`apiVersion: vishwa.dev/v1alpha1
kind: Controller
spec:
  listen: %s
  webhook: {secret: {env: VISHWA_WEBHOOK_SECRET}}
  log: {format: text}
  repositories:
    - url: %s
      branches: [main]
      github: {api: %s/api/v3, repository: %s, token: {env: GITHUB_TOKEN}}
`, address, s.forge.CloneURL(demoRepo), s.forge.URL(), demoRepo)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(s.dir, "controller.log"))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(s.vishwa, "controller", "--config", config)
	cmd.Env, cmd.Stdout, cmd.Stderr = s.env, log, log
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	s.narrate("A controller watches the repository: vishwa controller --config controller.yaml")
	s.ended = make(chan struct{})
	go func() {
		_ = cmd.Wait() // the log tells why
		close(s.ended)
	}()
	return func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-s.ended
		log.Close()
	}, nil
}

func (s *stage) play(ctx context.Context) error {
	s.narrate("Asha opens a pull request that fits a parabola in place of a cubic. The controller trains it ahead of the merge.")
	if err := s.step(ctx, "parabola", "Fit a parabola", "Waits for people", [][3]string{{"vishwa/model.yaml", "{degree: 3}", "{degree: 2}"}}); err != nil {
		return err
	}
	if _, err := s.forge.Review(demoRepo, 1, "ben", "approve"); err != nil {
		return err
	}
	s.narrate("Ben approves the pull request. His review is recorded on the ledger, bound to this very plan.")
	if err := s.comment(ctx, 1, "Ready to merge"); err != nil {
		return err
	}
	if _, err := s.forge.Merge(demoRepo, 1, "ben", "squash"); err != nil {
		return err
	}
	s.narrate("Merged. The model that the pull request trained is found by its key and deployed; the comment tells where.")
	if err := s.comment(ctx, 1, "Carried out"); err != nil {
		return err
	}
	s.narrate("Asha drops the better candidate. The regression is measured against production, and blocked.")
	if err := s.step(ctx, "simpler", "Keep the straight line alone", "Blocked", [][3]string{{"vishwa/model.yaml", "    curve: {params: {degree: 2}}\n", ""}}); err != nil {
		return err
	}
	s.narrate("She repairs it with another candidate, and pushes again: the same comment is edited.")
	if err := s.edit("vishwa/model.yaml", "    line: {params: {degree: 1}}\n", "    line: {params: {degree: 1}}\n    curve: {params: {degree: 4}}\n"); err != nil {
		return err
	}
	if err := s.push(ctx, "simpler", "Try a quartic"); err != nil {
		return err
	}
	if err := s.comment(ctx, 2, "Waits for people"); err != nil {
		return err
	}
	if _, err := s.forge.Review(demoRepo, 2, "ben", "approve"); err != nil {
		return err
	}
	if err := s.comment(ctx, 2, "Ready to merge"); err != nil {
		return err
	}
	if _, err := s.forge.Merge(demoRepo, 2, "ben", "merge"); err != nil {
		return err
	}
	s.narrate("Approved and merged: deployed.")
	if err := s.comment(ctx, 2, "Carried out"); err != nil {
		return err
	}
	return s.end(ctx)
}

// step opens a pull request with edits and waits for its comment to say want.
func (s *stage) step(ctx context.Context, branch, title, want string, edits [][3]string) error {
	for _, args := range [][]string{{"fetch", "-q", "origin", "main"}, {"switch", "-qC", branch, "origin/main"}} {
		if err := s.run(ctx, s.work, "git", args...); err != nil {
			return err
		}
	}
	for _, e := range edits {
		if err := s.edit(e[0], e[1], e[2]); err != nil {
			return err
		}
	}
	if err := s.push(ctx, branch, title); err != nil {
		return err
	}
	n, err := s.forge.OpenPull(devforge.NewPull{Repo: demoRepo, Head: branch, Title: title, Author: "asha"})
	if err != nil {
		return err
	}
	return s.comment(ctx, n, want)
}

var hidden = regexp.MustCompile(`(?m)^<!--.*-->\n?`)

// comment waits until the comment of pull request n says want, and shows it.
func (s *stage) comment(ctx context.Context, n int, want string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	body := ""
	for {
		all, err := s.forge.Shown(demoRepo)
		if err != nil {
			return err
		}
		for _, c := range all.Comments {
			if c.Pull == n && c.Login == "vishwa-bot" {
				body = c.Body
			}
		}
		first, _, _ := strings.Cut(strings.TrimSpace(hidden.ReplaceAllString(body, "")), "\n")
		if strings.Contains(first, want) {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the comment of pull request %d does not come to say %q; see %s; it says:\n%s", n, want, filepath.Join(s.dir, "controller.log"), body)
		case <-s.ended:
			return fmt.Errorf("the controller ended; see %s", filepath.Join(s.dir, "controller.log"))
		case <-time.After(100 * time.Millisecond):
		}
	}
	text := strings.TrimSpace(hidden.ReplaceAllString(body, ""))
	if at := strings.Index(text, "<details><summary>Graph"); at > 0 {
		text = strings.TrimSpace(text[:at]) + "\n\n[...]"
	}
	fmt.Fprintf(s.out, "\n  ---- the comment of pull request %d ----\n%s\n", n, indented(text))
	return nil
}

// end asks the model and shows the record.
func (s *stage) end(ctx context.Context) error {
	all, err := s.forge.Shown(demoRepo)
	if err != nil {
		return err
	}
	for _, d := range all.Deployments {
		if d.URL == "" {
			continue
		}
		s.narrate(fmt.Sprintf("GitHub shows the deployment to %s (%s) at %s.", d.Environment, strings.Join(d.States, ", "), d.URL))
		if resp, err := http.Get(d.URL + "/v2/health/ready"); err == nil {
			resp.Body.Close()
			s.narrate(fmt.Sprintf("It answers: %s.", resp.Status))
		}
	}
	s.narrate("The record, on the branch vishwa/ledger:")
	if err := s.run(ctx, s.work, "git", "fetch", "-q", "origin", "vishwa/ledger:vishwa/ledger", "main:refs/remotes/origin/main"); err != nil {
		return err
	}
	if err := s.show(ctx, "git", "log", "--reverse", "--format=  %s", "vishwa/ledger"); err != nil {
		return err
	}
	if err := s.run(ctx, s.work, "git", "switch", "-qC", "main", "origin/main"); err != nil {
		return err
	}
	if err := s.show(ctx, s.vishwa, "ledger", "verify"); err != nil {
		return err
	}
	s.narrate("Everything is in " + s.dir + ".")
	return nil
}

func (s *stage) narrate(text string) { fmt.Fprintf(s.out, "\n%s\n", text) }

func indented(text string) string {
	return "  | " + strings.ReplaceAll(text, "\n", "\n  | ")
}

// run runs a program in dir; what it says is told only where it fails.
func (s *stage) run(ctx context.Context, dir, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, s.env
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", filepath.Base(program), args[0], err, said.String())
	}
	return nil
}

func (s *stage) show(ctx context.Context, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.work, s.env, s.out, s.out
	return cmd.Run()
}

func (s *stage) edit(name, old, text string) error {
	at := filepath.Join(s.work, name)
	raw, err := os.ReadFile(at)
	if err != nil {
		return err
	}
	if !bytes.Contains(raw, []byte(old)) {
		return fmt.Errorf("%s does not hold %q", name, old)
	}
	return os.WriteFile(at, bytes.Replace(raw, []byte(old), []byte(text), 1), 0o644)
}

// push commits everything to branch and pushes it.
func (s *stage) push(ctx context.Context, branch, message string) error {
	remote := ""
	for _, v := range s.env {
		if r, ok := strings.CutPrefix(v, "REMOTE="); ok {
			remote = r
		}
	}
	for _, args := range [][]string{
		{"add", "-A"}, {"commit", "-qm", message}, {"branch", "-M", branch},
	} {
		if err := s.run(ctx, s.work, "git", args...); err != nil {
			return err
		}
	}
	if err := s.run(ctx, s.work, "git", "remote", "get-url", "origin"); err != nil {
		if err := s.run(ctx, s.work, "git", "remote", "add", "origin", remote); err != nil {
			return err
		}
	}
	return s.run(ctx, s.work, "git", "push", "-q", "--force", "origin", branch)
}
