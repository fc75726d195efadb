// Results beside commits: a check run where that is allowed, else a commit status.

package forge

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/go-github/v62/github"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// What GitHub takes.
const (
	maxSummary     = 65_535 // bytes
	maxDescription = 140    // characters
	annotationsAt  = 50     // a request
)

// ReportStatus shows m at its commit.
func (c *Client) ReportStatus(ctx context.Context, m port.CommitStatus) error {
	c.marking.Lock()
	defer c.marking.Unlock()
	c.mu.Lock()
	noChecks := c.noChecks
	c.mu.Unlock()
	if !noChecks {
		err := c.check(ctx, m)
		if statusOf(err) != http.StatusForbidden || fault.Of(err) != fault.Denied {
			return wrapMark(m, err)
		}
		c.log.Info("check runs are not allowed: showing commit statuses", "hint", fault.HintOf(err))
		c.mu.Lock()
		c.noChecks = true
		c.mu.Unlock()
	}
	return wrapMark(m, c.status(ctx, m))
}

func wrapMark(m port.CommitStatus, err error) error {
	if err != nil {
		return fmt.Errorf("mark %s at %s: %w", m.Name, m.SHA, err)
	}
	return nil
}

func (c *Client) check(ctx context.Context, m port.CommitStatus) error {
	raw, err := json.Marshal(m)
	if err != nil {
		return fault.New(fault.Internal, "encode mark: %w", err)
	}
	print := fingerprint(string(raw))
	old, err := c.lastCheck(ctx, m)
	if err != nil || old.GetExternalID() == print {
		return err
	}
	output := func(notes []*github.CheckRunAnnotation) *github.CheckRunOutput {
		return &github.CheckRunOutput{
			Title: github.String(clip(harmless.Line(cmp.Or(m.Title, m.Name)), 255)), Summary: github.String(cut(cmp.Or(m.Summary, m.Title, m.Name))), Annotations: notes,
		}
	}
	notes := annotations(m.Annotations)
	first := notes[:min(len(notes), annotationsAt)]
	in := map[string]any{"name": m.Name, "head_sha": m.SHA, "output": output(first)}
	if m.URL != "" {
		in["details_url"] = m.URL
	}
	// The print tells that all is there, so it comes with the last of the annotations.
	finish := func(in map[string]any) {
		in["external_id"] = print
		in["status"], in["conclusion"] = "completed", conclusions[m.State]
		if m.State == port.Pending {
			in["status"] = "in_progress"
			delete(in, "conclusion")
		}
	}
	rest := notes[len(first):]
	if in["status"] = "in_progress"; len(rest) == 0 {
		finish(in)
	}
	id := old.GetID()
	// Annotations only ever get more: a run that has some is followed by a new one.
	if old != nil && old.GetOutput().GetAnnotationsCount() == 0 && old.GetStatus() != "completed" {
		delete(in, "head_sha")
		_, err = c.call(ctx, http.MethodPatch, fmt.Sprintf("%s/check-runs/%d", c.repo, id), in, nil)
	} else {
		var made github.CheckRun
		_, err = c.call(ctx, http.MethodPost, c.repo+"/check-runs", in, &made)
		id = made.GetID()
	}
	for err == nil && len(rest) > 0 {
		next := rest[:min(len(rest), annotationsAt)]
		rest = rest[len(next):]
		in := map[string]any{"name": m.Name, "output": output(next)}
		if len(rest) == 0 {
			finish(in)
		}
		_, err = c.call(ctx, http.MethodPatch, fmt.Sprintf("%s/check-runs/%d", c.repo, id), in, nil)
	}
	return err
}

// lastCheck is our newest check run of m's name at its commit, or nil.
func (c *Client) lastCheck(ctx context.Context, m port.CommitStatus) (*github.CheckRun, error) {
	me, err := c.me(ctx)
	if err != nil {
		return nil, err
	}
	var newest *github.CheckRun
	for page, more := 1, true; more && page <= maxPages; page++ {
		q := url.Values{"check_name": {m.Name}, "per_page": {"100"}, "page": {strconv.Itoa(page)}}
		var found github.ListCheckRunsResults
		if more, err = c.call(ctx, http.MethodGet, c.repo+"/commits/"+url.PathEscape(m.SHA)+"/check-runs?"+q.Encode(), nil, &found); err != nil {
			return nil, err
		}
		for _, r := range found.CheckRuns {
			if r.GetName() == m.Name && r.GetApp().GetSlug()+"[bot]" == me && r.GetID() > newest.GetID() {
				newest = r
			}
		}
	}
	return newest, nil
}

// conclusions: a run that waits for a person asks for action.
var conclusions = map[port.State]string{port.Succeeded: "success", port.Failure: "failure", port.Waits: "action_required"}

func annotations(in []port.Annotation) []*github.CheckRunAnnotation {
	var out []*github.CheckRunAnnotation
	for _, a := range in {
		if a.Path == "" || strings.HasPrefix(a.Path, "/") {
			continue // GitHub refuses the whole request for one without a file; the summary has its text
		}
		level := a.Level
		if level != "notice" && level != "warning" {
			level = "failure"
		}
		note := &github.CheckRunAnnotation{
			Path: &a.Path, StartLine: github.Int(max(a.Line, 1)), EndLine: github.Int(max(a.Line, 1)),
			AnnotationLevel: &level, Message: github.String(clip(cmp.Or(a.Message, a.Title, "see the summary"), 15_000)),
		}
		if a.Title != "" {
			note.Title = github.String(clip(harmless.Line(a.Title), 60))
		}
		out = append(out, note)
	}
	return out
}

// cut shortens a summary, with a word about it.
func cut(s string) string {
	const word = "\n\n… cut: GitHub has no room for more."
	if len(s) <= maxSummary {
		return s
	}
	return strings.ToValidUTF8(s[:maxSummary-len(word)], "") + word
}

var states = map[port.State]string{port.Pending: "pending", port.Waits: "pending", port.Succeeded: "success", port.Failure: "failure"}

func (c *Client) status(ctx context.Context, m port.CommitStatus) error {
	state, text := states[m.State], clip(harmless.Line(m.Title), maxDescription)
	at := c.repo + "/commits/" + url.PathEscape(m.SHA) + "/statuses"
	var last *github.RepoStatus
	err := list(ctx, c, at, nil, func(s *github.RepoStatus) bool { // newest first
		if s.GetContext() == m.Name {
			last = s
		}
		return last == nil
	})
	if err != nil || last != nil && last.GetState() == state && last.GetDescription() == text && last.GetTargetURL() == m.URL {
		return err
	}
	in := &github.RepoStatus{State: &state, Context: &m.Name, Description: &text}
	if m.URL != "" {
		in.TargetURL = &m.URL
	}
	_, err = c.call(ctx, http.MethodPost, c.repo+"/statuses/"+url.PathEscape(m.SHA), in, nil)
	return err
}
