// The way over HTTP to a remote of the user's own clone, as Git's configuration has it:
// through its proxy, with its headers, authorities and client certificate, and with the
// login that Git's credential helpers give. A mirror goes by none of it.

package gitremote

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os/exec"
	"strconv"
	"strings"

	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Road is how at is reached, which the clone may know as the remote of that name.
func (o *Clone) Road(ctx context.Context, remote, at string) (http.RoundTripper, error) {
	if known, ok := o.roads.Load(remote + " " + at); ok {
		return known.(http.RoundTripper), nil
	}
	set, err := o.Settings(ctx)
	if err != nil {
		return nil, err
	}
	asked := Settings{}
	for name := range set {
		if strings.HasPrefix(name, "http.") { // which of them are for this address, Git knows
			out, err := o.Ask(ctx, nil, "config", "--includes", "-z", "--get-urlmatch", "http", at)
			if left := (*exec.ExitError)(nil); errors.As(err, &left) && left.ExitCode() == 1 {
				break // all of them are for other addresses
			}
			if err != nil {
				return nil, err
			}
			asked = parsed(out)
			break
		}
	}
	by, err := o.transport(ctx, set, asked, remote, at)
	if err != nil {
		return nil, err
	}
	o.roads.Store(remote+" "+at, by)
	return by, nil
}

// transport is the connections that the settings of an address ask for.
func (o *Clone) transport(ctx context.Context, all, asked Settings, remote, at string) (http.RoundTripper, error) {
	t := Direct.Clone()
	var err error
	if t.Proxy, err = o.proxy(ctx, all, asked, remote); err != nil {
		return nil, err
	}
	if t.TLSClientConfig, err = asked.tls(); err != nil {
		return nil, err
	}
	lines, err := o.headers(ctx, all, at)
	if err != nil || len(lines) == 0 {
		return t, err
	}
	to, err := url.Parse(at)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the address of remote %s cannot be read", remote), "correct it: git remote set-url %s URL", remote)
	}
	return headed{t, lines, to.Host}, nil
}

// headers are the lines of http.extraHeader that Git would send to at. Git adds one to those
// before it unless it is said of less than they are; an empty one takes all back.
func (o *Clone) headers(ctx context.Context, all Settings, at string) (lines []string, err error) {
	if !all.names("http.", ".extraheader") {
		return nil, nil
	}
	listed, err := o.Ask(ctx, nil, "config", "--list", "-z", "--includes")
	if err != nil {
		return nil, err
	}
	var file strings.Builder
	for line := range strings.SplitSeq(string(listed), "\x00") {
		name, value, _ := strings.Cut(line, "\n")
		of, ok := strings.CutPrefix(name, "http.")
		if of, ok = cutSuffix("."+of, ".extraheader", ok); !ok {
			continue
		}
		mine := strconv.Itoa(len(lines)) + ":" + strconv.Itoa(file.Len()) // as no other is called
		file.WriteString("[http")
		if of = strings.TrimPrefix(of, "."); of != "" {
			file.WriteString(` "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(of) + `"`)
		}
		file.WriteString("]\n\textraHeader = " + mine + "\n")
		said, err := o.Ask(ctx, []byte(file.String()), "config", "--file", "-", "--get-urlmatch", "http.extraHeader", at)
		if left := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &left) || left.ExitCode() != 1) {
			return nil, err
		}
		switch {
		case strings.TrimSpace(string(said)) != mine: // it is said of another address, or of less than one before it
		case value == "":
			lines = nil
		default:
			lines = append(lines, value)
		}
	}
	return lines, nil
}

// names tells whether there is a setting whose name begins and ends so.
func (s Settings) names(begin, end string) bool {
	for name := range s {
		if strings.HasPrefix(name, begin) && strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// headed sends headers along that Git would, to one host and to nobody that it redirects to.
type headed struct {
	next  http.RoundTripper
	lines []string
	host  string
}

func (h headed) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host != h.host {
		return h.next.RoundTrip(req)
	}
	req = req.Clone(req.Context())
	for _, line := range h.lines {
		if name, value, ok := strings.Cut(line, ":"); ok {
			req.Header.Set(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
	return h.next.RoundTrip(req)
}

// Admission is what Git's credential helpers know of an address (git-credential(1)).
type Admission struct {
	Auth   *githttp.BasicAuth
	answer []byte // in Git's own words, for the helpers
}

// Fill asks the helpers, and where they know nothing, the person at the terminal.
func (o *Clone) Fill(ctx context.Context, at string) (*Admission, error) {
	if strings.ContainsAny(at, "\n\x00") {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the address of the remote holds a line break"), "correct it: git remote set-url origin URL")
	}
	out, err := o.Ask(ctx, []byte("url="+at+"\n\n"), "credential", "fill")
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Denied, "nobody gives a login for %s", Redact(at)), "set up a credential helper of Git's: git help credentials")
	}
	l := &Admission{Auth: &githttp.BasicAuth{}, answer: out}
	for line := range strings.SplitSeq(string(out), "\n") {
		switch name, value, _ := strings.Cut(line, "="); name {
		case "username":
			l.Auth.Username = value
		case "password":
			l.Auth.Password = value
		}
	}
	return l, nil
}

// ReportLogin has the helpers keep a login that did, or forget one that did not.
func (o *Clone) ReportLogin(ctx context.Context, l *Admission, did bool) {
	word := "reject"
	if did {
		word = "approve"
	}
	_, _ = o.Ask(ctx, l.answer, "credential", word) // they keep it, or ask again
}
