// The stage of the demo: people, a repository, a controller, and what they do.

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/vishwaops/vishwa/cmd/vishwa-devforge/devforge"
	"github.com/vishwaops/vishwa/examples/register"
	"github.com/vishwaops/vishwa/reconciler/freeport"
)

// stage is what the demo plays on.
type stage struct {
	out    io.Writer
	dir    string // of everything
	work   string // asha's clone
	env    []string
	vishwa string
	forge  *devforge.Forge
	ended  chan struct{} // the controller
	// register is where the homes come from.
	register register.Register
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
	s.narrate("Homes that were sold come from a register on the web (in this process, too), pinned as it is today.")
	if err := s.registered(ctx); err != nil {
		return err
	}
	return s.push(ctx, "main", "Pin the homes that were sold")
}

// control starts a controller and waits for it to answer.
func (s *stage) control() (stop func(), err error) {
	address, err := freeport.Address("127.0.0.1")
	if err != nil {
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
      allow: [127.0.0.1]
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

// end asks the model and shows the record.
func (s *stage) end(ctx context.Context) error {
	all, err := s.forge.Shown(demoRepo)
	if err != nil {
		return err
	}
	if n := len(all.Deployments); n > 0 {
		d := all.Deployments[n-1]
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
