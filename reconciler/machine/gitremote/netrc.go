// The login of a file ~/.netrc, which Git's own library (curl) tries before Git asks its
// credential helpers.

package gitremote

import (
	"net/url"
	"os"
	"strings"

	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// netrcMost bytes of it are read, as curl does.
const netrcMost = 128 << 10

// Netrc is the login that the user's ~/.netrc has for an address; nil: none.
func Netrc(at string) *githttp.BasicAuth {
	to, err := url.Parse(at)
	if err != nil || to.Scheme != "http" && to.Scheme != "https" {
		return nil
	}
	info, err := os.Stat(Home("~/.netrc"))
	if err != nil || !info.Mode().IsRegular() || info.Size() > netrcMost {
		return nil
	}
	text, err := os.ReadFile(Home("~/.netrc"))
	if err != nil {
		return nil
	}
	return netrcLogin(string(text), to.Hostname(), to.User.Username())
}

// netrcLogin is the first of a netrc for host, and for user where one is asked for.
func netrcLogin(text, host, user string) *githttp.BasicAuth {
	words := netrcWords(text)
	next := func() (w string) {
		if len(words) > 0 {
			w, words = words[0], words[1:]
		}
		return w
	}
	var at *githttp.BasicAuth // of the entry that is read; nil: it is another host's
	fits := func() bool {
		return at != nil && at.Password != "" && (user == "" || at.Username == "" || at.Username == user)
	}
	for len(words) > 0 {
		switch w := next(); w {
		case "machine", "default":
			if fits() {
				return filled(at, user)
			}
			at = nil
			if w == "default" || strings.EqualFold(next(), host) {
				at = &githttp.BasicAuth{}
			}
		case "login", "password", "account":
			v := next()
			switch {
			case at == nil:
			case w == "login":
				at.Username = v
			case w == "password":
				at.Password = v
			}
		}
	}
	if fits() {
		return filled(at, user)
	}
	return nil
}

func filled(at *githttp.BasicAuth, user string) *githttp.BasicAuth {
	if at.Username == "" {
		at.Username = user
	}
	return at
}

// netrcWords are the words of a netrc: without comments and macros, and with quotes undone.
func netrcWords(text string) (words []string) {
	macro := false
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		if macro = macro && line != ""; macro || strings.HasPrefix(line, "#") {
			continue
		}
		for line != "" {
			var w string
			if w, line = netrcWord(line); w == "macdef" {
				macro = true
				break
			}
			words = append(words, w)
			line = strings.TrimSpace(line)
		}
	}
	return words
}

// netrcWord is the first word of a line and what follows it.
func netrcWord(line string) (word, rest string) {
	if line[0] != '"' {
		if i := strings.IndexAny(line, " \t"); i >= 0 {
			return line[:i], line[i:]
		}
		return line, ""
	}
	var b strings.Builder
	for i := 1; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			return b.String(), line[i+1:]
		case c == '\\' && i+1 < len(line):
			i++
			switch line[i] {
			case 'n':
				b.WriteByte('\n')
			case 'r':
				b.WriteByte('\r')
			case 't':
				b.WriteByte('\t')
			default:
				b.WriteByte(line[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}
