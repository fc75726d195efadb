// What a command is told of proxies: its own where it has one, and never the machine's behind a wall.

package wall

import (
	"fmt"
	"slices"
	"strings"
)

// withVariable is env with one variable set.
func withVariable(env []string, name, value string) []string {
	kept := make([]string, 0, len(env)+1)
	for _, v := range env {
		if !strings.HasPrefix(v, name+"=") {
			kept = append(kept, v)
		}
	}
	return append(kept, name+"="+value)
}

// proxied is env with the egress proxy as the only one.
func proxied(env []string) []string {
	env = unproxied(env) // PIP_PROXY and the like
	for _, name := range []string{"NO_PROXY", "no_proxy", "FTP_PROXY", "ftp_proxy"} {
		env = withVariable(env, name, "")
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		env = withVariable(env, name, fmt.Sprintf("http://127.0.0.1:%d", ProxyPort))
	}
	return env
}

// unproxied is env without the machine's own proxies: their addresses may hold a
// password, and lead nowhere from within.
func unproxied(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return strings.HasSuffix(strings.ToUpper(name), "_PROXY")
	})
}
