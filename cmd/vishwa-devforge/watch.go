// The demo's last act: the deployed model is watched. It is asked about other homes than
// it was trained on, the monitor finds the drift, and the retraining is a pull request
// like any other: compared on the same rows, approved, merged, deployed.

package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/cmd/vishwa-devforge/devforge"
)

// watched is what the third pull request adds to the project.
//
//go:embed watched
var watched embed.FS

const (
	usual = 40  // requests about homes as the model was trained on
	large = 300 // and about homes that are larger than nearly all of these
)

// sell adds large homes, priced as the usual ones are with a little to and fro.
func (s *stage) sell() {
	var rows []byte
	for i := range large {
		size := largeHome(i)
		rows = fmt.Appendf(rows, "%.1f,%.1f\n", size, 45+1.8*size+0.0039*size*size+14*math.Sin(float64(i)*7))
	}
	s.register.Add(rows)
}

func largeHome(i int) float64 { return 200 + float64(i)*2/3 }

// registered has the project take its homes from the register, pinned as they are there now.
// It is there from the beginning: where data is kept is for the tracked branch to say.
func (s *stage) registered(ctx context.Context) error {
	homes := filepath.Join(s.work, "data", "homes.csv")
	rows, err := os.ReadFile(homes)
	if err != nil {
		return err
	}
	if err := s.register.Listen("homes.csv", rows); err != nil {
		return err
	}
	if err := os.Remove(homes); err != nil {
		return err
	}
	source := "source: {http: {url: " + strconv.Quote(s.register.URL) + "}, pin: data/homes.csv.dvc}"
	if err := s.edit("vishwa/model.yaml", "source: {path: data/homes.csv}", source); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"git", "add", "-A"}, {"git", "commit", "-qm", "Declare the model of prices"},
		{s.vishwa, "data", "init"}, {s.vishwa, "data", "remote", "add", "-d", "store", filepath.Join(s.dir, "store")},
		{s.vishwa, "data", "refresh", "--allow", "127.0.0.1"}, {s.vishwa, "data", "push"},
	} {
		if err := s.run(ctx, s.work, args[0], args[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// watch plays the act.
func (s *stage) watch(ctx context.Context) error {
	s.narrate("Asha has the model watched: what it is asked is logged, a Monitor compares that with the homes that it was trained on,\n" +
		"and src/evaluate.py scores any two models on the same homes.")
	if err := s.declareWatch(ctx); err != nil {
		return err
	}
	if err := s.land(ctx, 3); err != nil {
		return err
	}
	if err := s.usualHomes(ctx); err != nil {
		return err
	}
	if err := s.largeHomes(ctx); err != nil {
		return err
	}
	return s.retrained(ctx)
}

// declareWatch opens the pull request that adds the monitor, and all that it needs.
func (s *stage) declareWatch(ctx context.Context) error {
	for _, args := range [][]string{{"fetch", "-q", "origin", "main"}, {"switch", "-qC", "watch", "origin/main"}} {
		if err := s.run(ctx, s.work, "git", args...); err != nil {
			return err
		}
	}
	for _, name := range []string{"src/evaluate.py", "vishwa/monitor.yaml"} {
		raw, err := fs.ReadFile(watched, "watched/"+name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(s.work, name), raw, 0o644); err != nil {
			return err
		}
	}
	for _, e := range [][2]string{
		{"  gates:\n    - {metric: test.rmse, max: 40, maxRegression: 0.5}", "  evaluate:\n    run: [python3, src/evaluate.py]\n    code: [src/evaluate.py]\n" +
			"    rows: {homes: dataset/homes}\n  gates:\n    - {metric: rmse, rows: homes, max: 40, maxRegression: 0.5}"},
		{"  environment: production\n", "  environment: production\n  log: {every: 1s}\n"},
	} {
		if err := s.edit("vishwa/model.yaml", e[0], e[1]); err != nil {
			return err
		}
	}
	if err := s.push(ctx, "watch", "Watch the model of prices"); err != nil {
		return err
	}
	_, err := s.forge.OpenPull(devforge.NewPull{Repo: demoRepo, Head: "watch", Title: "Watch the model of prices", Author: "asha"})
	if err != nil {
		return err
	}
	return s.comment(ctx, 3, "Waits for people")
}

// land has ben approve pull request n and merge it, and waits until that is carried out.
func (s *stage) land(ctx context.Context, n int) error {
	if _, err := s.forge.Review(demoRepo, n, "ben", "approve"); err != nil {
		return err
	}
	if _, err := s.wait(ctx, n, "Ready to merge"); err != nil {
		return err
	}
	if _, err := s.forge.Merge(demoRepo, n, "ben", "merge"); err != nil {
		return err
	}
	s.narrate("Ben approves and merges: deployed.")
	_, err := s.wait(ctx, n, "Carried out")
	return err
}

// usualHomes asks about homes as they were; the monitor finds nothing.
func (s *stage) usualHomes(ctx context.Context) error {
	for _, args := range [][]string{{"fetch", "-q", "origin", "main"}, {"switch", "-qC", "main", "origin/main"}} {
		if err := s.run(ctx, s.work, "git", args...); err != nil {
			return err
		}
	}
	rows, err := csv.NewReader(bytes.NewReader(s.register.Rows())).ReadAll()
	if err != nil {
		return err
	}
	var sizes []float64
	for i := range usual {
		size, err := strconv.ParseFloat(rows[1+i*5][0], 64)
		if err != nil {
			return err
		}
		sizes = append(sizes, size)
	}
	s.narrate(fmt.Sprintf("%d people ask for the price of homes of usual size. Such homes the model was trained on, so the monitor finds no drift\n(--detailed-exitcode would end the command with 2 if it did):", usual))
	if err := s.ask(ctx, sizes); err != nil {
		return err
	}
	if err := s.logged(ctx, usual); err != nil {
		return err
	}
	return s.typed(ctx, "monitor", "run", "--detailed-exitcode") // 2, were it not well
}

// largeHomes asks about larger ones than the model knows, while such homes are sold.
func (s *stage) largeHomes(ctx context.Context) error {
	s.narrate(fmt.Sprintf("The town begins to build large homes: %d are sold, which the register lists, and %d people ask for their price.", large, large))
	s.sell()
	var sizes []float64
	for i := range large {
		sizes = append(sizes, largeHome(i))
	}
	if err := s.ask(ctx, sizes); err != nil {
		return err
	}
	return s.logged(ctx, usual+large)
}

// retrained is the monitor's own pull request, from its comment to its deployment.
func (s *stage) retrained(ctx context.Context) error {
	s.narrate("The controller measures each minute. It finds the drift, and opens a pull request that pins the register's newest homes and trains again.")
	if _, err := s.wait(ctx, 4, "When this is merged"); err != nil {
		return err
	}
	if err := s.typed(ctx, "monitor", "show"); err != nil {
		return err
	}
	s.narrate("What a program proposes is planned, and trained once somebody says so. Ben writes below the pull request: /vishwa train")
	if _, err := s.forge.Comment(demoRepo, 4, "ben", "/vishwa train"); err != nil {
		return err
	}
	s.narrate("Champion (the model that is served) and challenger (the new one) are scored on the same homes: on the newest, and on those of before.")
	if err := s.comment(ctx, 4, "Waits for people"); err != nil {
		return err
	}
	if err := s.land(ctx, 4); err != nil {
		return err
	}
	s.narrate("The model that is served now knows large homes.")
	return nil
}

// ask asks the deployed model for the price of homes, one request each.
func (s *stage) ask(ctx context.Context, sizes []float64) error {
	all, err := s.forge.Shown(demoRepo)
	if err != nil {
		return err
	}
	url := all.Deployments[len(all.Deployments)-1].URL
	for _, size := range sizes {
		body, err := json.Marshal(map[string]any{"inputs": []any{
			map[string]any{"name": "size", "datatype": "FP64", "shape": []int{1}, "data": []float64{size}}}})
		if err != nil {
			return err
		}
		q, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v2/models/price/infer", bytes.NewReader(body))
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(q)
		if err != nil {
			return fmt.Errorf("ask the model: %w", err)
		}
		said, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			return fmt.Errorf("the model answers %s: %s, %w", res.Status, said, err)
		}
	}
	return nil
}

// logged waits until n requests are in the log of predictions, which is written each second.
func (s *stage) logged(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		cmd := exec.CommandContext(ctx, s.vishwa, "predictions", "show", "price-production", "--format", "json", "--limit", "0")
		cmd.Dir, cmd.Env = s.work, s.env
		out, err := cmd.Output()
		if err == nil && bytes.Count(out, []byte("\n")) >= n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the log of predictions has %d rows, not %d: %w, %w", bytes.Count(out, []byte("\n")), n, ctx.Err(), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// typed runs a command of vishwa as a person would type it, and shows both.
func (s *stage) typed(ctx context.Context, args ...string) error {
	fmt.Fprintf(s.out, "\n$ vishwa %s\n", strings.Join(args, " "))
	return s.show(ctx, s.vishwa, args...)
}
