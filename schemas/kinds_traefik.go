// What Traefik is told of a deployment that is served by a container.

package schemas

import (
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// Traefik is what Traefik is told by labels of a container.
type Traefik struct {
	// Host is the host name that requests are for.
	Host string `json:"host" jsonschema:"required" part:"key"`
	// Path begins the path of requests.
	Path string `json:"path,omitempty" jsonschema:"pattern=^/,default=/" part:"key"`
	// EntryPoints are those of Traefik's that take the requests; without any, its defaults.
	EntryPoints []string `json:"entryPoints,omitempty" part:"key"`
	// Middlewares are those of Traefik's that requests pass first, each with its provider, as auth@file.
	Middlewares []string `json:"middlewares,omitempty" part:"key"`
	// CertResolver is who of Traefik's fetches the host's certificate; requests come by TLS then.
	CertResolver string `json:"certResolver,omitempty" part:"key"`
}

// check reports what Traefik could not be told by labels, or would take for more than one.
func (r *Traefik) check(d *document, field string, of *DockerTarget) {
	if r == nil {
		return
	}
	field += ".traefik"
	claimed(d, field, r.Host, r.Path)
	if r.CertResolver != "" && !traefikName.MatchString(r.CertResolver) {
		d.problem(field+".certResolver", "%s cannot be the name of a resolver of Traefik's; use letters, digits, hyphens and underscores", short(r.CertResolver))
	}
	for _, name := range r.EntryPoints {
		if !traefikName.MatchString(name) {
			d.problem(field+".entryPoints", "%s cannot be the name of an entry point of Traefik's; use letters, digits, hyphens and underscores", short(name))
		}
	}
	for _, name := range r.Middlewares {
		if !traefikMiddleware.MatchString(name) {
			d.problem(field+".middlewares", "%s names no middleware of Traefik's with its provider; write it as auth@file", short(name))
		}
	}
	if !d.has(strings.TrimSuffix(field, "traefik") + "port") {
		d.problem(field, "has Traefik send requests to the public port, which is not known before it serves; declare one, as port: 8080")
	}
	if scheme, _, is := strings.Cut(of.Host, "://"); is && scheme != "unix" {
		d.problem(field, "has Traefik send requests to the public port, which is on this machine, and the engine is on another; remove it, or have a Traefik of this machine send to the port by its own file")
	}
}

var (
	traefikName       = lazyregexp.New(`^[A-Za-z0-9][-_A-Za-z0-9]{0,62}$`)
	traefikMiddleware = lazyregexp.New(`^[A-Za-z0-9][-_A-Za-z0-9]{0,62}@[a-z]+$`)
)
