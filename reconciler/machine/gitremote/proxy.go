// The proxy that a remote of the user's own clone is reached through, as Git goes: what is set
// for the remote, then for its address, then the environment's; NO_PROXY has the last word.

package gitremote

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"os"
	"strings"

	"golang.org/x/net/http/httpproxy"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// proxy names the proxy for a request; asked are the settings of the remote's address.
func (o *Clone) proxy(ctx context.Context, all, asked Settings, remote string) (func(*http.Request) (*url.URL, error), error) {
	env := httpproxy.FromEnvironment()
	given := append(asked["http.proxy"], all["remote."+remote+".proxy"]...)
	if len(given) == 0 {
		both := cmp.Or(os.Getenv("ALL_PROXY"), os.Getenv("all_proxy"))
		env.HTTPProxy, env.HTTPSProxy = cmp.Or(env.HTTPProxy, both), cmp.Or(env.HTTPSProxy, both)
	} else {
		through, err := proxied(given[len(given)-1]) // the last has the word
		if err != nil {
			return nil, err
		}
		if through != nil && through.User != nil {
			if _, has := through.User.Password(); !has {
				known, err := o.Fill(ctx, through.String())
				if err != nil {
					return nil, err
				}
				through.User = url.UserPassword(known.Auth.Username, known.Auth.Password)
			}
		}
		if through == nil || env.NoProxy == "" {
			return http.ProxyURL(through), nil
		}
		env = &httpproxy.Config{HTTPProxy: through.String(), HTTPSProxy: through.String(), NoProxy: env.NoProxy}
	}
	by := env.ProxyFunc()
	return func(r *http.Request) (*url.URL, error) { return by(r.URL) }, nil
}

// proxied is the proxy that a setting names; nil: none, whatever the environment says.
func proxied(at string) (*url.URL, error) {
	if at == "" {
		return nil, nil
	}
	if !strings.Contains(at, "://") {
		at = "http://" + at
	}
	u, err := url.Parse(strings.Replace(at, "socks5h://", "socks5://", 1))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5" {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the proxy of Git's configuration cannot be used: %s", Redact(at)), "write an http, https or socks5 URL: git config --show-origin --get-all http.proxy")
	}
	return u, nil
}
