// What vishwa ci says: a job's summary, annotations, outputs and files.

package main

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/app/ci"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/templates"
)

// announcer speaks to GitHub in workflow commands. All else that the job prints, here
// or in an error, may hold what the repository says: a line of that is no command.
type announcer struct {
	out   io.Writer
	token string // empty: nobody reads workflow commands
}

func (a *cli) announcer() (*announcer, error) {
	if on, _ := a.lookup("GITHUB_ACTIONS"); on != "true" {
		return &announcer{}, nil
	}
	var raw [16]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return nil, fault.New(fault.Internal, "draw a token: %w", err)
	}
	d := &announcer{a.out, hex.EncodeToString(raw[:])}
	if err := harmless.Steer(d.out, "::stop-commands::"+d.token+"\n"); err != nil {
		return nil, fault.New(fault.Internal, "write to the job's log: %w", err)
	}
	return d, nil
}

// writeCommands writes commands, all of them escaped.
func (d *announcer) writeCommands(commands string) error {
	if d.token != "" && commands != "" {
		return harmless.Steer(d.out, fmt.Sprintf("::%s::\n%s::stop-commands::%[1]s\n", d.token, commands))
	}
	return nil
}

// publishReport says how r stands: to people on standard output, and to the server.
func (a *cli) publishReport(d *announcer, j job, r templates.Report) error {
	title := templates.Title(r)
	level := "error"
	if verdict(r) == nil {
		level = "notice"
		fmt.Fprintln(a.out, title)
	}
	var whole, commands bytes.Buffer
	if err := templates.Summary(&whole, r); err != nil {
		return err
	}
	if err := templates.Commands(&commands, templates.Annotations(r)); err != nil {
		return err
	}
	if r.Error != "" {
		title = r.Error + "; " + r.Hint
	}
	fmt.Fprintf(&commands, "::%s title=Vishwa::%s\n", level, harmless.Message(title))
	if err := d.writeCommands(commands.String()); err != nil {
		return fault.New(fault.Internal, "write to the job's log: %w", err)
	}
	if err := a.appendTo("GITHUB_STEP_SUMMARY", whole.Bytes()); err != nil {
		return err
	}
	values := outputsOf(r)
	values["cache-key"] = j.held()
	if j.report != "" {
		at, err := filepath.Abs(a.path(j.report))
		if err != nil {
			return fault.WithHint(fault.New(fault.Invalid, "write the report: %w", err), "give --report an absolute path")
		}
		if err := os.WriteFile(at, whole.Bytes(), 0o644); err != nil {
			return fault.WithHint(fault.New(fault.Invalid, "write the report: %w", err), "give --report a file in a folder that is there")
		}
		values["report"] = at
	}
	if j.junit != "" {
		var b bytes.Buffer
		if err := templates.JUnit(&b, r); err != nil {
			return err
		}
		if err := os.WriteFile(a.path(j.junit), b.Bytes(), 0o644); err != nil {
			return fault.WithHint(fault.New(fault.Invalid, "write JUnit XML: %w", err), "give --junit a file in a folder that is there")
		}
	}
	return a.outputs(values)
}

// outputsOf is what later steps may read of r.
func outputsOf(r templates.Report) map[string]string {
	var changed, models []string
	for _, m := range r.Models {
		if m.Digest != "" {
			models = append(models, m.Ref.String()+"="+string(m.Digest))
		}
	}
	if r.Plan != nil {
		for _, s := range r.Plan.Work() {
			changed = append(changed, s.Ref.String())
		}
		for _, s := range r.Plan.Steps {
			if s.Model != "" {
				models = append(models, s.Ref.String()+"="+string(s.Model))
			}
		}
	}
	slices.Sort(models)
	return map[string]string{
		"verdict": string(r.Stage), "plan-digest": string(r.Digest),
		"changed-refs": strings.Join(changed, "\n"), "model-digest": strings.Join(slices.Compact(models), "\n"),
	}
}

// held names what this machine holds for the next job: the digest of the names in the
// stores, which are digests themselves, and of those of the environments. A store that
// cannot be read is not worth to be kept.
func (j job) held() string {
	paths, err := app.FindPaths(j.env.Lookup, digest.Of(nil))
	if err != nil {
		return ""
	}
	stores, _ := filepath.Glob(filepath.Join(filepath.Dir(paths.State), "*", "store")) // the pattern is in order
	environments, _ := filepath.Glob(filepath.Join(filepath.Dir(paths.Cache), "*", "envs*", "*"))
	names := environments
	for _, store := range stores {
		err := filepath.WalkDir(store, func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				names = append(names, path)
			}
			return err
		})
		if err != nil {
			return ""
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return strings.TrimPrefix(string(digest.Of([]byte(strings.Join(names, "\n")))), "sha256:")
}

// outputs hands values to later steps, where there are any to read them.
func (a *cli) outputs(values map[string]string) error {
	var b bytes.Buffer
	if err := ci.Outputs(&b, values, rand.Reader); err != nil {
		return err
	}
	return a.appendTo("GITHUB_OUTPUT", b.Bytes())
}

// appendTo adds to the file that a variable names; without one, to none.
func (a *cli) appendTo(variable string, text []byte) error {
	path, _ := a.lookup(variable)
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "write to the file of %s: %w", variable, err), "the CI system sets %s: see that the job may write that file, and that its disk has room", variable)
	}
	_, err = f.Write(text)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "write to the file of %s: %w", variable, err), "the CI system sets %s: see that the job may write that file, and that its disk has room", variable)
	}
	return nil
}

// verdict is the error that r amounts to. A pull request that waits for people has
// passed: what waits is its deployment, or a command.
func verdict(r templates.Report) error {
	kind, way := fault.Invalid, "see the report: each part says what to do"
	switch r.Stage {
	case templates.Broken:
		way = cmp.Or(r.Hint, way)
	case templates.Blocked:
		denied := r.Plan != nil && slices.ContainsFunc(r.Plan.Findings, func(f ledger.Finding) bool { return f.Level == ledger.Denied })
		failed := slices.ContainsFunc(r.Runs, func(run templates.Run) bool { return run.State == "failed" }) ||
			r.Plan != nil && len(r.Plan.Failed()) > 0
		switch {
		case denied && !failed:
			kind = fault.Refused
		case !failed:
			kind = fault.Held
		}
	case templates.Delayed:
		kind, way = fault.Transient, "run the job again"
	case templates.Awaiting, templates.Planned:
		if r.Pull > 0 {
			return nil
		}
		kind, way = fault.Held, "do what the report says of each step that is held (approve it, or resume it), and run the job again"
	case templates.Running:
		kind, way = fault.Conflict, "somebody else is at it: look at the pull request's comment"
	default:
		return nil
	}
	return fault.WithHint(fault.New(kind, "%s", templates.Title(r)), "%s", way)
}
