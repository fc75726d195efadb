// Which repository a Git remote's address names.

package forge

import (
	"net/url"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Parse reads https://HOST/OWNER/NAME.git, ssh://git@HOST/OWNER/NAME.git and
// git@HOST:OWNER/NAME.git. Credentials in it are ignored and never repeated.
func Parse(remote string) (host, owner, repo string, err error) {
	bad := fault.WithHint(fault.New(fault.Invalid, "read the address of a Git remote: it names no repository of a forge"), "give it as https://HOST/OWNER/NAME or git@HOST:OWNER/NAME")
	path := ""
	if strings.Contains(remote, "://") {
		u, err := url.Parse(remote)
		if err != nil {
			return "", "", "", bad
		}
		switch u.Scheme {
		case "https", "http":
			host = u.Host
		case "ssh", "git+ssh", "ssh+git":
			host = u.Hostname() // the port is SSH's, not the API's
		default:
			return "", "", "", bad
		}
		path = u.Path
	} else {
		var found bool
		if host, path, found = strings.Cut(remote, ":"); !found {
			return "", "", "", bad
		}
		host = host[strings.LastIndex(host, "@")+1:]
	}
	host = strings.ToLower(host)
	path = strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/"), ".git")
	owner, repo, found := strings.Cut(path, "/")
	if !found || !plainName(owner) || !plainName(repo) || host == "" || strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-._:[]") != "" {
		return "", "", "", bad
	}
	return host, owner, repo, nil
}
