// How far data has come that a pass fetches.

package app

import "github.com/vishwaops/vishwa/reconciler/data"

// Hear has heard told, now and then, how far the data of a dataset has come that is fetched
// from a cache or a remote; before a pass begins.
func (h *Repository) Hear(heard func(data.Progress)) {
	if d, ok := h.Data.(data.Fetcher); ok {
		d.Heard = heard
		h.Data = d
	}
}
