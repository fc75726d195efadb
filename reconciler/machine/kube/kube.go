// Package kube asks the API server of a Kubernetes cluster: which one, as whom, and what its
// answers mean. Objects go over as JSON and are read into what the asker knows of them, so
// that nothing of the rest is kept. client-go finds and renews the credentials, and no more of
// it is linked: its typed clients alone would weigh 15 MB.
package kube

import (
	"errors"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Options say which cluster. Cluster and Env are needed.
type Options struct {
	Cluster schemas.Cluster
	Env     port.Env
	// Account is where a pod finds the token of its service account; empty is the usual folder.
	Account string
	// Patience bounds one question; zero is 30 seconds. A watch has none.
	Patience time.Duration
	// Rights is the file that gives an account what is asked for, for people; empty is that of the launcher.
	Rights string
}

// Client asks one cluster about one namespace.
type Client struct {
	Namespace string

	at       string // which cluster, for people: context NAME, or: the cluster that Vishwa runs in
	base     *url.URL
	http     *http.Client
	patience time.Duration
	env      port.Env
	rights   string
	want     string       // the uid of kube-system that the declaration names
	ahead    atomic.Int64 // of the server's clock before ours
	silent   atomic.Int64 // when it did not answer last, by our clock
	uid      atomic.Pointer[string]
	versions sync.Map               // of API groups
	server   atomic.Pointer[string] // its version
	together *together
}

const account = "/var/run/secrets/kubernetes.io/serviceaccount"

// Open finds the cluster and what it is asked with. Nothing is asked yet.
func Open(o Options) (*Client, error) {
	config, at, err := find(o)
	if err != nil {
		return nil, err
	}
	config.UserAgent = "vishwa"
	if config.ExecProvider != nil { // nobody is there to answer it
		config.ExecProvider.StdinUnavailable = true
	}
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s: its server cannot be an address", at), "correct clusters.server of the kubeconfig: https://HOST:PORT")
	}
	if base.Scheme != "https" && !dial.Loopback(base.Hostname()) {
		return nil, fault.WithHint(fault.New(fault.Denied, "%s: its server is asked without TLS, and secrets would go over the network as they are", at), "give it an address that begins with https://")
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s: its certificates or keys cannot be read: %s", at, unreadable(err)), "correct the certificates that the kubeconfig holds or names: kubectl --context NAME get ns says the same")
	}
	// A server that sends elsewhere would have our credentials sent there.
	client := &http.Client{Transport: renewing{transport}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if err := o.Env.MayAsk(base.String()); err != nil {
		client.Transport = silent{err}
	}
	if o.Patience == 0 {
		o.Patience = 30 * time.Second
	}
	if o.Rights == "" {
		o.Rights = "templates/kubernetes/launcher.yaml"
	}
	base.Path = strings.TrimSuffix(base.Path, "/")
	return &Client{
		rights:    o.Rights,
		Namespace: o.Cluster.Namespace, at: at, base: base, http: client, patience: o.Patience, env: o.Env, want: o.Cluster.UID,
	}, nil
}

// find reads the kubeconfig or, where there is none and a pod's account is, that.
func find(o Options) (*rest.Config, string, error) {
	files := kubeconfigs(o.Env)
	rules := &clientcmd.ClientConfigLoadingRules{Precedence: files}
	config, err := rules.Load()
	if err != nil {
		return nil, "", fault.WithHint(fault.New(fault.Invalid, "read the kubeconfig %s: %s", strings.Join(files, " and "), unreadable(err)), "correct the file, or set KUBECONFIG to another one")
	}
	if host, ok := o.Env.Lookup("KUBERNETES_SERVICE_HOST"); len(config.Contexts) == 0 && ok && o.Cluster.Context == "" {
		port, _ := o.Env.Lookup("KUBERNETES_SERVICE_PORT")
		dir := o.Account
		if dir == "" {
			dir = account
		}
		return &rest.Config{
			Host: "https://" + net.JoinHostPort(host, port), BearerTokenFile: filepath.Join(dir, "token"),
			TLSClientConfig: rest.TLSClientConfig{CAFile: filepath.Join(dir, "ca.crt")},
		}, "the cluster that Vishwa runs in", nil
	}
	return chosen(config, files, o.Cluster.Context)
}

// chosen is what a context of a kubeconfig means.
func chosen(config *clientcmdapi.Config, files []string, name string) (*rest.Config, string, error) {
	if name == "" {
		name = config.CurrentContext
	}
	if len(config.Contexts) == 0 || name == "" {
		err := fault.New(fault.Missing, "no cluster is known: no context is set in %s", strings.Join(files, " or "))
		if name != "" {
			return nil, "", fault.WithHint(err, "set KUBECONFIG to the file that has the context %s", name)
		}
		return nil, "", fault.WithHint(err, "set KUBECONFIG, or name a context in spec.clusters of the project")
	}
	if config.Contexts[name] == nil {
		err := fault.New(fault.Invalid, "the kubeconfig %s has no context %q", strings.Join(files, " and "), name)
		names := slices.Sorted(maps.Keys(config.Contexts))
		if near := schemas.Nearest(name, names); near != "" {
			return nil, "", fault.WithHint(err, "did you mean %s?", near)
		}
		return nil, "", fault.WithHint(err, "it has %s", strings.Join(names, ", "))
	}
	out, err := clientcmd.NewNonInteractiveClientConfig(*config, name, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
	if err != nil {
		return nil, "", fault.WithHint(fault.New(fault.Invalid, "context %s of the kubeconfig: %s", name, unreadable(err)), "correct what the context names: kubectl config view --minify --context %s shows it", name)
	}
	return out, "context " + name, nil
}

// kubeconfigs are the files that kubectl would read.
func kubeconfigs(env port.Env) []string {
	if list, ok := env.Lookup("KUBECONFIG"); ok && list != "" {
		return filepath.SplitList(list)
	}
	home, _ := env.Lookup("HOME")
	return []string{filepath.Join(home, ".kube", "config")}
}

// unreadable says what is wrong with a file of credentials, without a word of what is in it:
// a parser quotes what it does not understand.
func unreadable(err error) string {
	var path *fs.PathError
	switch {
	case errors.As(err, &path):
		return path.Error()
	case clientcmd.IsConfigurationInvalid(err), clientcmd.IsEmptyConfig(err):
		return harmless.Line(err.Error()) // names of contexts, users and files
	default:
		return "it is not what kubectl understands; kubectl config view says more"
	}
}

// silent asks nobody.
type silent struct{ why error }

func (s silent) RoundTrip(*http.Request) (*http.Response, error) { return nil, s.why }

// renewing asks a second time what is refused for its credentials: they may have ended a
// moment ago, and what gives them has been told by now.
type renewing struct{ next http.RoundTripper }

func (r renewing) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.next.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || req.Body != nil && req.GetBody == nil {
		return resp, err
	}
	again := req.Clone(req.Context())
	if req.Body != nil {
		if again.Body, err = req.GetBody(); err != nil {
			return resp, nil
		}
	}
	_ = resp.Body.Close()
	return r.next.RoundTrip(again)
}
