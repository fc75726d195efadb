// Which requests a shadow is sent as well, and the header that says so.

package server

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/port"
)

// HeaderShadow says that a request was answered by another release, and that nobody gets this answer: who serves it leaves out what is not to be
// done twice. Nobody else can send it.
const HeaderShadow = "X-Vishwa-Shadow"

// inferencePaths are the last parts of paths that predictions are asked for at: of the Open Inference Protocol, TensorFlow Serving,
// MLflow, Seldon, TorchServe and OpenAI.
var inferencePaths = []string{"infer", "predict", "predictions", "invocations", "score", "embeddings", "completions"}

// shadowed tells whether a request is one that may be sent twice: it asks for a prediction, and changes nothing that is known of.
func shadowed(how port.Shadow, r *http.Request) bool {
	if r.Method != http.MethodPost && r.Method != http.MethodGet || r.Header.Get("Upgrade") != "" || r.Header.Get(HeaderRelease) != "" {
		return false
	}
	path, ok := plainly(r.URL)
	if !ok {
		return false
	}
	if len(how.Paths) > 0 {
		return slices.ContainsFunc(how.Paths, func(p string) bool {
			start, open := strings.CutSuffix(p, "*")
			start = (&url.URL{Path: start}).EscapedPath()
			return path == start || open && strings.HasPrefix(path, start)
		})
	}
	at := strings.LastIndexAny(path, "/:")
	if path[at] == ':' && !strings.Contains(path[:at], "/models/") && !strings.Contains(path[:at], "/endpoints/") {
		return false // what stands behind it may be part of a name
	}
	return slices.Contains(inferencePaths, path[at+1:])
}

// plainly is the path of u as it is sent; false where a program that cleans or decodes it may take it for another one.
func plainly(u *url.URL) (path string, ok bool) {
	path = u.EscapedPath()
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' && i+2 < len(path) {
			n, err := strconv.ParseUint(path[i+1:i+3], 16, 8)
			if c = byte(n); err != nil || c < ' ' || c == 0x7f || strings.IndexByte("/\\.;?#%:", c) >= 0 {
				return "", false
			}
			continue
		}
		if c == ';' || c == '\\' {
			return "", false
		}
	}
	for i, part := range strings.Split(path, "/") {
		if part == "." || part == ".." || part == "" && i > 0 && i < strings.Count(path, "/") {
			return "", false
		}
	}
	return path, strings.HasPrefix(path, "/")
}

// unsaid takes out of h what the header of a shadow's request is called by those who hand headers on as variables, where any other letter is a _:
// nobody else can say it. So it is with all of our names.
func unsaid(h http.Header) {
	for name := range h {
		plain := strings.Map(func(c rune) rune {
			if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
				return c
			}
			return '-'
		}, name)
		if strings.EqualFold(plain, HeaderShadow) || plain != name && len(plain) > len(ours) && strings.EqualFold(plain[:len(ours)], ours) {
			delete(h, name)
		}
	}
}

// ours is what our headers begin with.
const ours = "X-Vishwa-"
