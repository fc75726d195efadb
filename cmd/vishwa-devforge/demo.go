// vishwa-devforge demo: the loop in one sitting. A real controller, a real Git
// server, and a GitHub in this process; the comment is shown as it is written.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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
		Short: "Show the loop: pull request, comment, regression blocked, fixed, approved, merged, deployed; drift found, retrained",
		Long: `Show the loop: pull request, comment, regression blocked, fixed, approved, merged, deployed;
then the model is asked about other homes than it knows: drift found, retrained, deployed.
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
	defer s.register.Close()
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
	if err := s.watch(ctx); err != nil {
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

// patience is how long the demo waits for the controller, on a slow machine.
const patience = 5 * time.Minute

// comment waits until the comment of pull request n says want, and shows it.
func (s *stage) comment(ctx context.Context, n int, want string) error {
	text, err := s.wait(ctx, n, want)
	if err != nil {
		return err
	}
	if at := strings.Index(text, "<details><summary>Graph"); at > 0 {
		text = strings.TrimSpace(text[:at]) + "\n\n[...]"
	}
	fmt.Fprintf(s.out, "\n  ---- the comment of pull request %d ----\n%s\n", n, indented(text))
	return nil
}

// wait waits until the first line of the comment of pull request n says want.
func (s *stage) wait(ctx context.Context, n int, want string) (text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	body := ""
	for {
		all, err := s.forge.Shown(demoRepo)
		if err != nil {
			return "", err
		}
		for _, c := range all.Comments {
			if c.Pull == n && c.Login == "vishwa-bot" {
				body = c.Body
			}
		}
		text = strings.TrimSpace(hidden.ReplaceAllString(body, ""))
		if first, _, _ := strings.Cut(text, "\n"); first != "" && strings.Contains(first, want) {
			return text, nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("the comment of pull request %d does not come to say %q; see %s; it says:\n%s", n, want, filepath.Join(s.dir, "controller.log"), body)
		case <-s.ended:
			return "", fmt.Errorf("the controller ended; see %s", filepath.Join(s.dir, "controller.log"))
		case <-time.After(100 * time.Millisecond):
		}
	}
}
