// What of a machine's the declarations of one repository may use: several repositories share a controller's environment, its
// credentials and its folders, and whoever may commit to one is not to have what is another's.

package port

import (
	"errors"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
)

// Bounds refuse what the owner of a machine does not let a repository's declarations have. What they refuse is Denied, with what
// is to be added where.
type Bounds interface {
	// Variable refuses to pass a variable of the machine's environment to what a declaration runs.
	Variable(name string) error
	// Token refuses to send the value of a variable to an address that a declaration names, such as https://host/path.
	Token(name, address string) error
	// Place refuses a place that a declaration names and this machine's credentials or rights open: s3://BUCKET/KEY, or at an endpoint
	// of its own https://HOST/BUCKET/KEY; oci://REGISTRY/NAME; the address of a repository of Git; or a folder.
	Place(address string) error
	// Host refuses requests that a declaration has a front, which others share, send to what it serves.
	Host(claim schemas.Claim) error
	// Network refuses a run that may reach all that the machine does.
	Network(all bool) error
}

// MayPass refuses the first of the variables that may not be passed on.
func (e Env) MayPass(names ...string) error {
	if e.Bounds == nil {
		return nil
	}
	for _, name := range names {
		if err := e.Bounds.Variable(name); err != nil {
			return err
		}
	}
	return nil
}

// MayReach refuses a run that may reach all that the machine does.
func (e Env) MayReach(all bool) error {
	if e.Bounds == nil {
		return nil
	}
	return e.Bounds.Network(all)
}

// MaySend refuses to send a variable's value to an address.
func (e Env) MaySend(name, address string) error {
	if err := e.MayAsk(address); err != nil {
		return err
	}
	if e.Bounds == nil {
		return nil
	}
	return e.Bounds.Token(name, address)
}

// Unasked is the error of a place that nobody asked, and why.
type Unasked struct{ Why string }

func (u Unasked) Error() string { return u.Why }

// WasUnasked tells whether err is of a place that nobody asked.
func WasUnasked(err error) bool { return errors.As(err, new(Unasked)) }

// MayAsk refuses to ask whoever is at an address, where nobody is to be asked: see Bounds for what addresses look like. Folders and
// sockets of this machine are no one else's.
func (e Env) MayAsk(address string) error {
	scheme, rest, named := strings.Cut(address, "://")
	host, _, short := strings.Cut(address, ":") // HOST:PATH, as Git has it
	switch {
	case !e.Offline:
		return nil
	case named && (scheme == "file" || scheme == "unix"), !named && (!short || strings.Contains(host, "/")):
		return nil
	case named:
		host = rest
		if i := strings.IndexAny(host, "/?#"); i >= 0 {
			host = host[:i]
		}
	}
	host = host[strings.LastIndexByte(host, '@')+1:] // a user may be a token
	return fault.WithHint(fault.New(fault.Transient, "%w", Unasked{host + " was not asked: --offline asks nobody"}), "run the command without --offline")
}

// MayUse refuses a place that this machine's credentials or rights open.
func (e Env) MayUse(address string) error {
	if err := e.MayAsk(address); err != nil {
		return err
	}
	if e.Bounds == nil {
		return nil
	}
	return e.Bounds.Place(address)
}
