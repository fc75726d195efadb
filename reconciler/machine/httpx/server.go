package httpx

import (
	"net/url"
	"path"
	"strings"
)

// Server is one spelling of the address that a server was declared by: what differs in case, a usual port or a slash at its end only is one server.
func Server(declared string) string {
	u, err := url.Parse(strings.TrimRight(declared, "/"))
	if err != nil || u.Hostname() == "" {
		return strings.TrimRight(declared, "/")
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if p := u.Port(); p != "" && p != map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		host += ":" + p
	}
	return u.Scheme + "://" + host + strings.TrimRight(path.Clean("/"+u.EscapedPath()), "/")
}
