// One request to the API, and what its answer means: the fault's kind is given
// here, with the way out. Neither a token nor a query is ever in an error.

package forge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v62/github"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
)

const (
	maxAnswer = 32 << 20 // bytes: a hundred of the longest comments
	maxPages  = 1000
)

// refusal is an answer that GitHub refuses with.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

func statusOf(err error) int {
	var r *refusal
	if errors.As(err, &r) {
		return r.status
	}
	return 0
}

// call sends in as JSON, if any, to path below the API and reads the answer to
// out, if any. It tells whether there is a next page.
func (c *Client) call(ctx context.Context, method, path string, in, out any) (more bool, err error) {
	plain, _, _ := strings.Cut(path, "?")
	what := method + " /" + plain
	if err := ctx.Err(); err != nil {
		return false, fault.New(fault.Cancelled, "%s: %w", what, err)
	}
	req, err := c.gh.NewRequest(method, path, in)
	if err != nil {
		return false, fault.New(fault.Internal, "make request %s", what)
	}
	resp, err := c.http.Do(req.WithContext(ctx))
	if err != nil {
		return false, lineFault(ctx, what, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return false, lineFault(ctx, what, err)
	case len(raw) > maxAnswer:
		return false, fault.WithHint(fault.New(fault.Invalid, "%s: the answer is longer than %d bytes", what, maxAnswer), "see what answers at that address: GitHub's API sends less")
	case resp.StatusCode >= 300:
		return false, refused(what, resp, raw)
	case out != nil:
		if err := json.Unmarshal(raw, out); err != nil {
			return false, fault.WithHint(fault.New(fault.Transient, "%s: the answer is not JSON of the documented shape", what), "try again; if it stays, see what answers at that address: a proxy's page is no answer of GitHub's API")
		}
	}
	return strings.Contains(resp.Header.Get("Link"), `rel="next"`), nil
}

// list reads every page of path and hands each of its items on, until take is false.
func list[T any](ctx context.Context, c *Client, path string, query url.Values, take func(T) bool) error {
	if query == nil {
		query = url.Values{}
	}
	query.Set("per_page", "100")
	for page := 1; page <= maxPages; page++ {
		query.Set("page", strconv.Itoa(page))
		var items []T
		more, err := c.call(ctx, http.MethodGet, path+"?"+query.Encode(), nil, &items)
		if err != nil {
			return err
		}
		for _, item := range items {
			if !take(item) {
				return nil
			}
		}
		if !more {
			return nil
		}
	}
	return fault.WithHint(fault.New(fault.Invalid, "GET /%s: more than %d pages", path, maxPages), "archive or delete what nobody needs there: so many are not read")
}

// lineFault is an error of the line itself.
func lineFault(ctx context.Context, what string, err error) error {
	failed := httpx.Failed(ctx, err)
	way := fault.HintOf(failed)
	if httpx.Untrusted(err) {
		way = "where the certificate is GitHub's own and of an authority of yours, name the authority's PEM file in SSL_CERT_FILE; else find out who answers there"
	}
	return fault.WithHint(fault.New(fault.Of(failed), "%s: %w", what, failed), "%s", way)
}

// refused says what a status means.
func refused(what string, resp *http.Response, raw []byte) error {
	var said struct {
		Message string `json:"message"`
		Errors  []any  `json:"errors"`
	}
	_ = json.Unmarshal(raw, &said) // a proxy's page is no JSON: the status tells enough
	text := said.Message
	for _, e := range said.Errors {
		if field, ok := e.(map[string]any); ok {
			e = strings.TrimSpace(fmt.Sprint(field["field"], " ", field["code"]))
			if m, _ := field["message"].(string); m != "" {
				e = m
			}
		}
		text += fmt.Sprintf("; %v", e)
	}
	r := &refusal{resp.StatusCode, clip(strings.Join(strings.Fields(resp.Status+" "+text), " "), 300)}
	code := resp.StatusCode
	kind := httpx.KindOf(code)
	if limited(resp) || code == http.StatusForbidden && secondary(raw) {
		kind = fault.Transient
	} else if code == http.StatusUnprocessableEntity && strings.Contains(text, "No commit found") {
		kind = fault.Missing
	}
	var way string
	switch {
	case kind == fault.Transient && code < 500 && code != http.StatusRequestTimeout:
		way = "wait until GitHub's rate limit is over"
	case kind == fault.Transient:
		way = "try again later"
	case code == http.StatusUnauthorized:
		way = "give a token that GitHub knows and that has not expired"
	case kind == fault.Denied:
		way = "grant the permission " + permission(what, resp)
	case kind == fault.Missing:
		way = "see whether it is there and whether the token may see the repository"
	case kind == fault.Conflict:
		way = "somebody else changed it at the same time: try again"
	default:
		way = "correct what GitHub names; it may be turned off in the repository's settings"
	}
	return fault.WithHint(fault.New(kind, "%s: %w", what, r), "%s", way)
}

// permission is what a refused request needs, as GitHub says or as documented.
func permission(what string, resp *http.Response) string {
	if said := resp.Header.Get("X-Accepted-GitHub-Permissions"); said != "" {
		return strings.ReplaceAll(clip(said, 100), "=", ": ")
	}
	level := "write"
	if strings.HasPrefix(what, http.MethodGet) {
		level = "read"
	}
	for _, p := range [][2]string{
		{"/check-runs", "checks"}, {"/deployments", "deployments"}, {"/status", "statuses"}, {"/issues/", "issues"},
		{"/pulls", "pull_requests"}, {"/collaborators", "metadata"},
	} {
		if strings.Contains(what, p[0]) {
			return p[1] + ": " + level
		}
	}
	return "contents: " + level
}

// appFault classes what the App's own requests fail with.
func appFault(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return fault.New(fault.Cancelled, "%s: %w", what, ctx.Err())
	}
	var resp *http.Response
	var refusing *github.ErrorResponse
	var renewing *ghinstallation.HTTPError
	switch {
	case errors.As(err, &refusing):
		resp = refusing.Response
	case errors.As(err, &renewing):
		resp = renewing.Response
	}
	if resp == nil {
		return lineFault(ctx, what, err)
	}
	err = refused(what, resp, nil)
	if k := fault.Of(err); k == fault.Denied || k == fault.Missing {
		return fault.WithHint(fault.New(fault.Denied, "%w", err), "see whether the App's number and private key are right and whether it is installed at the repository")
	}
	return err
}

// clip shortens s to n characters.
func clip(s string, n int) string {
	r := []rune(strings.ToValidUTF8(s, "\uFFFD"))
	if len(r) <= n {
		return string(r)
	}
	return string(r[:n-1]) + "…"
}
