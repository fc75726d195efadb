// What a server's answer says of a file, and what is to be made of answers that
// are none.

package source

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/download"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// answer is what the header of an answer says of the whole file.
type answer struct {
	etag           string
	size           int64 // -1: not stated
	date, modified time.Time
}

func read200(res *http.Response) answer {
	a := answer{etag: res.Header.Get("ETag"), size: res.ContentLength}
	a.date, _ = http.ParseTime(res.Header.Get("Date"))
	a.modified, _ = http.ParseTime(res.Header.Get("Last-Modified"))
	return a
}

// dated tells whether the date is a name of the bytes: one that is as old as the
// answer may stand for more than one content (RFC 9110, 8.8.2.2).
func (a answer) dated() bool {
	return !a.modified.IsZero() && !a.date.IsZero() && a.date.Sub(a.modified) >= time.Second
}

// settling tells whether waiting makes the date a name.
func (a answer) settling() bool {
	return a.etag == "" && !a.modified.IsZero() && !a.date.IsZero() && !a.dated()
}

func (a answer) strong() bool { return a.etag != "" && !strings.HasPrefix(a.etag, "W/") }

// token is "" where nothing in the answer moves with the bytes.
func (a answer) token() string {
	switch {
	case a.strong():
		return fmt.Sprintf("etag:%s length:%d", a.etag, a.size)
	case a.etag != "": // a weak one says nothing of single bytes; with a date it says more
		return fmt.Sprintf("etag:%s modified:%s length:%d", a.etag, stamp(a.modified), a.size)
	case a.dated():
		return fmt.Sprintf("modified:%s length:%d", stamp(a.modified), a.size)
	}
	return ""
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// ifRange is what a request for the rest binds itself to; "" where nothing is strong enough.
func ifRange(f port.SourceFile) string {
	switch {
	case f.ETag != "" && !strings.HasPrefix(f.ETag, "W/"):
		return f.ETag
	case f.ETag == "" && !f.Modified.IsZero():
		return f.Modified.UTC().Format(http.TimeFormat)
	}
	return ""
}

func (s *web) Fetch(ctx context.Context, look port.Snapshot, dir string, tell func(done, total int64)) error {
	_, err := digest.Parse(look.Token)
	hashed := err == nil
	g := &download.Place{Absent: fault.Conflict, Jobs: 1}
	g.Open = func(ctx context.Context, f port.SourceFile, from, _ int64) (io.ReadCloser, error) {
		return s.from(ctx, f, from, look.Token, hashed)
	}
	if hashed {
		g.Check = func(ctx context.Context, f port.SourceFile, at string) error {
			d, err := download.Sum(ctx, at)
			if err == nil && string(d) != look.Token {
				err = moved(f)
			}
			return err
		}
	}
	if err := g.Fetch(ctx, look, dir, tell); err != nil {
		return fmt.Errorf("fetch %s: %w", where(s.src.URL), err)
	}
	return nil
}

func moved(f port.SourceFile) error {
	return fault.WithHint(fault.New(fault.Conflict, "%s has changed since it was looked at", download.Quoted(f.Path)), "run the command again: it looks at the source anew")
}

// from opens the file from a place in it: by range where the server has them, else
// from its beginning.
func (s *web) from(ctx context.Context, f port.SourceFile, from int64, token string, hashed bool) (io.ReadCloser, error) {
	header := map[string]string{}
	if tag := ifRange(f); from > 0 && tag != "" && !hashed {
		header["Range"], header["If-Range"] = fmt.Sprintf("bytes=%d-", from), tag
	}
	res, err := s.ask(ctx, http.MethodGet, header)
	if err != nil {
		return nil, err
	}
	if err := s.same(res, f, from, token, hashed); err != nil {
		res.Body.Close()
		return nil, err
	}
	body := &webBody{s, ctx, res.Body}
	if res.StatusCode == http.StatusPartialContent {
		return body, nil
	}
	if _, err := io.CopyN(io.Discard, body, from); err != nil {
		body.Close()
		if err == io.EOF {
			return nil, moved(f)
		}
		return nil, err
	}
	return body, nil
}

// same tells whether an answer is of the file that was sighted.
func (s *web) same(res *http.Response, f port.SourceFile, from int64, token string, hashed bool) error {
	a := read200(res)
	if res.StatusCode == http.StatusPartialContent {
		var first, last int64
		if _, err := fmt.Sscanf(res.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &a.size); err != nil || first != from || last != a.size-1 || from == 0 {
			return fault.WithHint(fault.New(fault.Corrupt, "the server answers with the range %s where the bytes from %d on were asked for", download.Quoted(res.Header.Get("Content-Range")), from), "the server, or a proxy before it, answers ranges wrongly: correct it, or give an address that does not pass through it")
		}
		if a.etag == "" { // what If-Range was bound to need not be told again
			a.etag = f.ETag
		}
		if a.modified.IsZero() {
			a.modified = f.Modified
		}
	}
	if hashed {
		if a.size >= 0 && a.size != f.Size {
			return moved(f)
		}
		return nil
	}
	if a.etag == "" && f.ETag == "" && !a.modified.IsZero() && a.modified.Equal(f.Modified) {
		a.date = a.modified.Add(time.Second)
	}
	if a.size < 0 { // not every way of asking has a length
		a.size = f.Size
	}
	if a.token() != token {
		return moved(f)
	}
	return nil
}

// webBody gives errors of a body their kind.
type webBody struct {
	s   *web
	ctx context.Context
	io.ReadCloser
}

func (b *webBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = httpx.Failed(b.ctx, err)
	}
	return n, err
}

// refusal is the kind of a status. What the server wrote with it is not repeated.
func (s *web) refusal(res *http.Response) error {
	kind := httpx.KindOf(res.StatusCode)
	way := map[fault.Kind]string{
		fault.Missing:   "correct the address, or put the file there",
		fault.Denied:    "let this token read the file, or name the variable that holds one that may",
		fault.Conflict:  "run the command again: it looks at the source anew",
		fault.Transient: "try again later",
		fault.Invalid:   "see that the address is that of a file",
	}[kind]
	return fault.WithHint(fault.New(kind, "%s answers %d %s", res.Request.URL.Host, res.StatusCode, http.StatusText(res.StatusCode)), "%s", way)
}
