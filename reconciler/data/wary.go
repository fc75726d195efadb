// Remotes that nobody here vouched for: those that a pull request, or another repository,
// names in its .dvc/config. They lead neither into this machine or its network, nor to
// what its credentials open.

package data

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/data/transfer"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Wary opens remotes of a configuration that was not reviewed.
type Wary struct {
	Whose string // the configuration is, for people: "this pull request"
	// Known is the configuration that was reviewed: what it says, too, is opened as
	// ever. Nil is none.
	Known func(ctx context.Context) (*dvc.Config, error)
	Allow []string // hosts and networks that may be reached although they are private, and with our credentials
}

// Open opens a remote of config; "" is its default.
func (w Wary) Open(ctx context.Context, config *dvc.Config, name string, env port.Env) (*transfer.Remote, error) {
	rc, err := config.Remote(name)
	if err != nil {
		return nil, err
	}
	known, err := w.known(ctx, rc)
	if err != nil {
		return nil, err
	}
	if known {
		return OpenRemote(config, name, "", env, 0)
	}
	o, err := w.options(rc, env)
	if err != nil {
		return nil, err
	}
	if err := env.MayAsk(rc.URL); err != nil {
		return nil, err
	}
	if !o.Anonymous {
		if err := env.MayUse(schemas.S3{URL: rc.URL, Endpoint: o.Endpoint}.Address()); err != nil {
			return nil, err
		}
	}
	b, err := bucket.S3(o)
	if err != nil {
		return nil, err
	}
	return &transfer.Remote{Name: rc.Name, Bucket: b, Pieces: true}, nil
}

func (w Wary) known(ctx context.Context, rc dvc.RemoteConfig) (bool, error) {
	if w.Known == nil {
		return false, nil
	}
	config, err := w.Known(ctx)
	if err != nil || config == nil {
		return false, err
	}
	r, err := config.Remote(rc.Name)
	return err == nil && r.URL == rc.URL && maps.Equal(r.Options, rc.Options), nil // one that it does not know is no fault
}

// ours are options that name what is on this machine.
var ours = []string{"credentialpath", "profile", "configpath", "keyfile", "gdrive_service_account_json_file_path", "cafile"}

// options are those of a bucket that is opened with care.
func (w Wary) options(rc dvc.RemoteConfig, env port.Env) (bucket.S3Options, error) {
	denied := func(what, way string, args ...any) error {
		return fault.WithHint(fault.New(fault.Denied, "the remote %s of %s %s", rc.Name, w.Whose, what), way, args...)
	}
	rest, ok := strings.CutPrefix(rc.URL, "s3://")
	if !ok {
		if scheme, _, other := strings.Cut(rc.URL, "://"); other && scheme != "file" {
			_, err := openBucket(rc, "", env, 0) // says what it is, and opens nothing
			return bucket.S3Options{}, err
		}
		return bucket.S3Options{}, denied("is a folder of this machine", "use a remote that others can reach, such as s3, or have it reviewed first: on the tracked branch")
	}
	for _, name := range ours {
		if rc.Options[name] != "" {
			return bucket.S3Options{}, denied("names a file or a profile of this machine ("+name+")", "take the option out, or have it reviewed first: on the tracked branch")
		}
	}
	if v := rc.Options["ssl_verify"]; v != "" && v != "true" && v != "false" {
		return bucket.S3Options{}, denied("names a file of this machine (ssl_verify)", "take the option out, or have it reviewed first: on the tracked branch")
	}
	o, err := s3Options(rc, rest, env, 0)
	if err != nil || o.Endpoint == "" {
		// Amazon's: its names are public, and what our credentials open there is not a pull request's.
		o.Anonymous = o.Anonymous || w.Known != nil && o.AccessKey == ""
		return o, err
	}
	o.Guarded, o.Allow = true, w.Allow
	if o.AccessKey == "" && !allows(w.Allow, hostOf(o.Endpoint)) {
		o.Anonymous = true // ours are not for whoever answers there
	}
	return o, nil
}

func hostOf(endpoint string) string {
	if u, err := url.Parse(endpoint); err == nil && u.Host != "" {
		return u.Hostname()
	}
	if host, _, err := net.SplitHostPort(endpoint); err == nil {
		return host
	}
	return endpoint
}

// allows tells whether allow names host, or a network that its address is of.
func allows(allow []string, host string) bool {
	g, err := dial.NewGuard(host, allow)
	if err != nil {
		return false
	}
	at, _ := netip.ParseAddr(host)
	return g.Allows(host, at)
}
