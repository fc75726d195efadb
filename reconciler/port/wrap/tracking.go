// Trackers are shown things where the owner of the machine lets them: a declaration names the address that
// gets its credential, and whoever may commit to one repository is not to have that of another's sent to
// a server of their own.

package wrap

import (
	"context"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// TrackingTo lets t, which is at url, be asked where that is one of these addresses, or below one.
func TrackingTo(t port.Tracker, url string, addresses []string) port.Tracker {
	if slices.ContainsFunc(addresses, func(a string) bool { return at(a, url) }) {
		return t
	}
	return trackingNowhere{}
}

type trackingNowhere struct{}

func (trackingNowhere) Record(context.Context, port.Projection, bool) (port.Recorded, error) {
	return port.Recorded{}, fault.WithHint(fault.New(fault.Denied, "the controller's file does not let this repository show anything at the declared address"),
		"have whoever runs the controller add the address to trackers of this repository in the controller's file")
}
