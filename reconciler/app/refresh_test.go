// What another repository's configuration may make us ask.

package app

import (
	"context"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// TestOthersRemotesStayOutside: a repository of elsewhere does not have us read this
// machine's folders, or show our credentials to a server of its choice.
func TestOthersRemotesStayOutside(t *testing.T) {
	for name, c := range map[string]struct {
		repo, config string
		allow        []string
		refused      bool
	}{
		"a folder":                  {"https://example.org/data.git", "[core]\nremote = r\n['remote \"r\"']\nurl = /srv/secrets\n", nil, true},
		"a folder beside":           {"https://example.org/data.git", "[core]\nremote = r\n['remote \"r\"']\nurl = ../x\n", nil, true},
		"their own server":          {"https://example.org/data.git", "[core]\nremote = r\n['remote \"r\"']\nurl = s3://bucket/p\nendpointurl = http://10.0.0.7:9000\n", nil, true},
		"their own server, allowed": {"https://example.org/data.git", "[core]\nremote = r\n['remote \"r\"']\nurl = s3://bucket/p\nendpointurl = http://10.0.0.7:9000\n", []string{"10.0.0.7"}, false},
		"Amazon's":                  {"https://example.org/data.git", "[core]\nremote = r\n['remote \"r\"']\nurl = s3://bucket/p\n", nil, false},
		"of a repository here":      {"/srv/other", "[core]\nremote = r\n['remote \"r\"']\nurl = /srv/remote\n", nil, false},
	} {
		config, err := dvc.ParseConfig("config", []byte(c.config))
		if err != nil {
			t.Fatal(err)
		}
		at, err := RefreshOptions{Allow: c.allow}.remote(t.Context(), config, "", schemas.DataSource{DVC: &schemas.DVC{Path: "x", Repo: c.repo}})
		if err == nil && c.refused { // where it leads is seen when it is asked
			_, err = at.Stat(t.Context(), "x")
		}
		if refused := fault.Of(err) == fault.Denied && err != nil; refused != c.refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAnEndpointOfADeclarationIsReachedAsAWebServerIs: in S3 as over HTTP, and Amazon's
// own is no declaration's to say.
func TestAnEndpointOfADeclarationIsReachedAsAWebServerIs(t *testing.T) {
	for name, c := range map[string]struct {
		endpoint string
		allow    []string
		refused  bool
	}{
		"private":               {"http://127.0.0.1:1", nil, true},
		"the cloud's own":       {"http://169.254.169.254", []string{"127.0.0.1"}, true},
		"allowed":               {"http://127.0.0.1:1", []string{"127.0.0.0/8"}, false},
		"another is allowed":    {"http://127.0.0.1:1", []string{"10.0.0.0/8"}, true},
		"by its other spelling": {"http://[::ffff:127.0.0.1]:1", nil, true},
	} {
		o := RefreshOptions{Env: port.Env{Lookup: func(string) (string, bool) { return "", false }}, Allow: c.allow}
		from, err := o.open(schemas.DataSource{S3: &schemas.S3{URL: "s3://bucket/data/", Endpoint: c.endpoint, Anonymous: true}}, "")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond) // where it may be asked, nobody answers
		_, err = from.Inspect(ctx)
		cancel()
		if refused := err != nil && fault.Of(err) == fault.Denied; refused != c.refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}
