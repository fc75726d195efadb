// Who packs models for others.

package app

import (
	"github.com/vishwaops/vishwa/reconciler/adapter/packager"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// packs opens the packager. What is looked at for a pull request has none: it declares which
// registry is asked, with this machine's credentials, and nobody has reviewed that.
func packs(o Options, kept port.Store) port.Packager {
	if o.Isolation != nil {
		return nil
	}
	return packager.OCI(o.Env, kept)
}

// Packages reads packages, with the credentials of whoever calls.
func Packages(env port.Env) port.PackageReader { return packager.Reader(env) }
