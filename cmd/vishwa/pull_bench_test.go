// How long a push takes to become a finished comment.

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/cmd/vishwa-devforge/devforge"
	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
	"github.com/vishwaops/vishwa/reconciler/freeport"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/built"
)

// BenchmarkPushToComment pushes to a pull request of a real controller and waits for
// its comment to tell the plan of the new commit. It reports the times from the end
// of the push, and of one vishwa plan of the same declarations beside it.
func BenchmarkPushToComment(b *testing.B) {
	const pushes = 40
	dir := b.TempDir()
	bin := built.Program(b, "vishwa", dir)
	if err := signer.Generate(filepath.Join(dir, "keys"), []byte(password)); err != nil {
		b.Fatal(err)
	}
	f, err := devforge.New(devforge.Options{Dir: filepath.Join(dir, "forge")})
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	url, err := f.Listen("127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	if err := f.CreateRepo("acme", "homes"); err != nil {
		b.Fatal(err)
	}
	for _, login := range []string{"asha", "vishwa-bot"} {
		f.AddUser(login, login == "vishwa-bot")
		if err := f.Grant(theirs, login, "write"); err != nil {
			b.Fatal(err)
		}
	}
	work := filepath.Join(dir, "homes")
	env := append(os.Environ(), "HOME="+dir, "XDG_STATE_HOME="+filepath.Join(dir, "state"), "XDG_CACHE_HOME="+filepath.Join(dir, "cache"),
		"VISHWA_KEYS="+filepath.Join(dir, "keys"), "VISHWA_KEY_PASSWORD="+password, "GITHUB_TOKEN="+f.Token("vishwa-bot"), "GIT_CONFIG_GLOBAL="+os.DevNull,
		"GIT_AUTHOR_NAME=Asha", "GIT_AUTHOR_EMAIL=asha@example.com", "GIT_COMMITTER_NAME=Asha", "GIT_COMMITTER_EMAIL=asha@example.com")
	run := func(in, program string, args ...string) {
		b.Helper()
		cmd := exec.Command(program, args...)
		cmd.Dir, cmd.Env = in, env
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%s %v: %v\n%s", program, args, err, out)
		}
	}
	edit := func(name, old, text string) {
		b.Helper()
		raw, err := os.ReadFile(filepath.Join(work, name))
		if err != nil || !bytes.Contains(raw, []byte(old)) {
			b.Fatalf("%s: %v", name, err)
		}
		if err := os.WriteFile(filepath.Join(work, name), bytes.Replace(raw, []byte(old), []byte(text), 1), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	run(dir, bin, "init", "homes")
	run(work, bin, "keys", "trust")
	edit("vishwa.yaml", "policy: {paths: [policy]}", "policy: {paths: [policy]}\n  pullRequests: {train: never}")
	run(work, "git", "add", "-A")
	run(work, "git", "commit", "-qm", "Begin")
	run(work, "git", "branch", "-M", "main")
	run(work, "git", "remote", "add", "origin", strings.Replace(url, "://", "://x-access-token:"+f.Token("asha")+"@", 1)+"/"+theirs+".git")
	run(work, "git", "push", "-q", "origin", "main", "main:change")
	stop := controlled(b, f, bin, env)
	defer run(work, bin, "down") // once no controller brings back what was served
	defer stop()

	run(work, "git", "switch", "-qc", "change")
	last, number := "{degree: 2}", 0
	var took, planning []time.Duration
	for b.Loop() {
		for i := range pushes {
			next := fmt.Sprintf("{degree: 2, seed: %d}", i)
			edit("vishwa/model.yaml", last, next)
			last = next
			run(work, "git", "commit", "-qam", "Change")
			run(work, "git", "push", "-q", "origin", "change")
			began := time.Now()
			if number == 0 {
				if number, err = f.OpenPull(devforge.NewPull{Repo: theirs, Head: "change", Title: "Change", Author: "asha"}); err != nil {
					b.Fatal(err)
				}
			}
			p, err := f.Pull(theirs, number)
			if err != nil {
				b.Fatal(err)
			}
			for !commented(b, f, p.SHA) {
				if time.Since(began) > time.Minute {
					b.Fatal("no comment comes")
				}
				time.Sleep(2 * time.Millisecond)
			}
			took = append(took, time.Since(began))
			began = time.Now()
			run(work, bin, "plan", "--offline")
			planning = append(planning, time.Since(began))
		}
	}
	slices.Sort(took)
	slices.Sort(planning)
	b.ReportMetric(float64(took[len(took)/2].Milliseconds()), "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Milliseconds()), "p99-ms")
	b.ReportMetric(float64(planning[len(planning)/2].Milliseconds()), "plan-ms")
}

// commented tells whether a comment tells of the revision sha.
func commented(b *testing.B, f *devforge.Forge, sha string) bool {
	s, err := f.Shown(theirs)
	if err != nil {
		b.Fatal(err)
	}
	return slices.ContainsFunc(s.Comments, func(c devforge.Comment) bool { return strings.Contains(c.Body, `"head":"`+sha) })
}

// controlled starts a controller that hears of pushes by webhook, and waits until it
// has carried out the first one.
func controlled(b *testing.B, f *devforge.Forge, bin string, env []string) (stop func()) {
	address, err := freeport.Address("127.0.0.1")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := f.Hook(theirs, "http://"+address+"/webhooks/github", password); err != nil {
		b.Fatal(err)
	}
	config := filepath.Join(b.TempDir(), "controller.yaml")
	text := fmt.Sprintf("apiVersion: vishwa.dev/v1alpha1\nkind: Controller\nspec:\n  listen: %s\n  webhook: {secret: {env: VISHWA_KEY_PASSWORD}}\n  repositories:\n    - {url: %s, github: {api: %s/api/v3, repository: %s, token: {env: GITHUB_TOKEN}}}\n",
		address, f.CloneURL(theirs), f.URL(), theirs)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, bin, "controller", "--config", config)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Env = env
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		s, err := f.Shown(theirs)
		if err != nil || time.Now().After(deadline) {
			b.Fatalf("the controller does not begin: %v", err)
		}
		if len(s.Statuses) > 0 {
			break
		}
	}
	return func() { cancel(); _ = cmd.Wait() }
}
