// The way of a request: who asks, what spoils it, what it is counted as, who
// answers it, and how the answer is shaped: ETags, Link headers, error bodies.

package devforge

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxBody bounds what a request of the API may hold.
const maxBody = 4 << 20

// ServeHTTP answers the API, Git and the admin's strings.
func (f *Forge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/api/v3")
	if strings.HasPrefix(path, "/_dev/") {
		f.admin(w, r)
		return
	}
	who, problem := f.whoIs(r)
	note := &Request{At: f.now(), Method: r.Method, Path: path, Query: r.URL.RawQuery, By: who.name(), Git: isGit(r)}
	f.mu.Lock()
	if f.url == "" {
		f.url = "http://" + r.Host
	}
	spoils := f.fault(r.Method, path)
	f.requests = append(f.requests, note)
	f.mu.Unlock()
	answered := func(status int) { f.mu.Lock(); note.Status = status; f.mu.Unlock() }
	seen := &watched{ResponseWriter: w, cut: -1, tell: answered}
	if spoils != nil {
		if spoils.Cut {
			seen.cut = spoils.After
		}
		select {
		case <-time.After(spoils.Delay):
		case <-r.Context().Done():
		}
	}
	defer func() {
		if seen.broken {
			answered(0)
			panic(http.ErrAbortHandler) // closes the connection in the middle
		}
	}()
	if seen.cut == 0 {
		seen.broken = true
		return
	}
	switch {
	case note.Git && problem != nil:
		f.refuseGit(seen, actor{}, nil)
	case note.Git && spoils.refusal() != nil:
		http.Error(seen, "Server Error", spoils.refusal().Status)
	case note.Git:
		f.serveGit(seen, r, who)
	default:
		f.serveAPI(seen, r, asked{who: who, problem: problem, spoils: spoils, path: path})
	}
}

// asked is what is known of a request of the API before it is answered.
type asked struct {
	who     actor
	problem *Problem
	spoils  *Fault
	path    string
}

func (f *Forge) serveAPI(w http.ResponseWriter, r *http.Request, a asked) {
	out := &answer{header: http.Header{}}
	out.header.Set("Content-Type", "application/json; charset=utf-8")
	out.header.Set("X-GitHub-Media-Type", "github.v3; format=json")
	out.header.Set("X-GitHub-Request-Id", guid())
	if a.spoils != nil && a.spoils.Exhausted > 0 {
		f.mu.Lock()
		f.exhaust(a.who, a.spoils.Exhausted)
		f.mu.Unlock()
	}
	free := a.path == "/rate_limit" || a.who.jwt != nil
	if p := a.spoils.refusal(); p != nil && a.problem == nil {
		a.problem = p
	}
	f.mu.Lock()
	take := 1
	if free {
		take = 0
	}
	if limit := f.count(a.who, out.header, take); limit != nil && a.problem == nil {
		a.problem = limit
	}
	f.mu.Unlock()
	if a.problem != nil {
		out.refuse(a.problem)
		out.sendTo(w)
		return
	}
	inner := r.Clone(withActor(r.Context(), a.who))
	inner.URL.Path = a.path
	inner.URL.RawPath = strings.TrimPrefix(r.URL.RawPath, "/api/v3")
	inner.Body = http.MaxBytesReader(out, r.Body, maxBody)
	f.api.ServeHTTP(out, inner)
	if r.Method == http.MethodGet && out.status == http.StatusOK {
		f.condition(r, out, a)
	}
	out.sendTo(w)
}

// condition gives an answer its ETag, and holds the answer back from who has it
// already: that costs nothing of the limit.
func (f *Forge) condition(r *http.Request, out *answer, a asked) {
	sum := sha256.Sum256(append(out.body.Bytes(), out.header.Get("Link")...))
	tag := `W/"` + hex.EncodeToString(sum[:]) + `"`
	out.header.Set("ETag", tag)
	out.header.Set("Cache-Control", "private, max-age=60, s-maxage=60")
	for has := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if strings.TrimPrefix(strings.TrimSpace(has), "W/") != strings.TrimPrefix(tag, "W/") {
			continue
		}
		out.status = http.StatusNotModified
		out.body.Reset()
		out.header.Del("Content-Type")
		f.mu.Lock()
		if used := f.rates[lower(a.who.name())]; used != nil && a.path != "/rate_limit" {
			used.used--
			f.rateHeaders(used, out.header)
		}
		f.mu.Unlock()
		return
	}
}

// call is one request of the API at its handler.
type call struct {
	*http.Request
	who    actor
	repo   *repo
	status int // 200 where 0
	header http.Header
}

// readBody decodes the body into v.
func (c *call) readBody(v any) error {
	raw, err := io.ReadAll(c.Body)
	if err != nil {
		return refuse(http.StatusRequestEntityTooLarge, "the request is too large")
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		var mistyped *json.UnmarshalTypeError
		if errors.As(err, &mistyped) {
			return &Problem{Status: http.StatusUnprocessableEntity, Message: "Invalid request.\n\nFor 'properties/" + mistyped.Field + "', the type is wrong."}
		}
		return refuse(http.StatusBadRequest, "Problems parsing JSON")
	}
	return nil
}

// number is a number of the path.
func (c *call) number(name string) int {
	n, err := strconv.Atoi(c.PathValue(name))
	if err != nil {
		return 0
	}
	return n
}

// paged cuts a list to the page that is asked for and writes the Link header.
func paged[T any](c *call, f *Forge, list []T) []T {
	q := c.URL.Query()
	per, _ := strconv.Atoi(q.Get("per_page"))
	if per <= 0 {
		per = 30
	}
	per = min(per, 100)
	page, _ := strconv.Atoi(q.Get("page"))
	page = max(page, 1)
	last := max(1, (len(list)+per-1)/per)
	var links []string
	add := func(rel string, n int) {
		q.Set("page", strconv.Itoa(n))
		links = append(links, fmt.Sprintf(`<%s/api/v3%s?%s>; rel="%s"`, f.url, c.URL.Path, q.Encode(), rel))
	}
	if page > 1 {
		add("prev", min(page-1, last))
	}
	if page < last {
		add("next", page+1)
		add("last", last)
	}
	if page > 1 {
		add("first", 1)
	}
	if len(links) > 0 {
		c.header.Set("Link", strings.Join(links, ", "))
	}
	if page > last {
		return list[:0]
	}
	return list[(page-1)*per : min(page*per, len(list))]
}

// shown renders every element of a page.
func shown[T any](list []T, show func(T) object) []object {
	out := make([]object, 0, len(list))
	for _, x := range list {
		out = append(out, show(x))
	}
	return out
}
