// One look at many objects: the first few of a kind are asked for each by itself, and from then on all that there are of the
// kind at once, for everybody who takes part in the look.

package kube

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// alone is how many questions about a kind are asked one by one before all of it is: few objects of ours in a namespace of many
// others are found faster so.
const alone = 4

// Whoever may make objects in a namespace gives them labels as ours have: beyond these, each is asked for by its name.
const (
	mostGathered      = 5000     // objects of a kind
	mostGatheredBytes = 64 << 20 // of all kinds of a look
)

// together is what a look has asked for so far.
type together struct {
	labels string
	mu     sync.Mutex
	kinds  map[Resource]*gathered
	bytes  atomic.Int64 // that are kept
}

// gathered are the objects of a kind.
type gathered struct {
	mu      sync.Mutex
	asked   int
	whole   bool // they were asked for; without byName the server did not give them, or they are too many
	items   []item
	byName  map[string]json.RawMessage
	version string
}

type item struct {
	labels map[string]string
	raw    json.RawMessage
}

// Together is a client for one look at objects that have these labels, NAME=VALUE by commas. What it answers was asked after this
// call, and may have been asked once for several: it is for as long as that is one look, and not for what waits for a change.
func (c *Client) Together(labels string) *Client {
	out := &Client{
		Namespace: c.Namespace, at: c.at, base: c.base, http: c.http, patience: c.patience, env: c.env, rights: c.rights, want: c.want,
		together: &together{labels: labels, kinds: map[Resource]*gathered{}},
	}
	out.ahead.Store(c.ahead.Load())
	out.uid.Store(c.uid.Load())
	return out
}

// gather are the objects of a kind, where it is time to ask for all of them; false where each is asked for by itself.
func (c *Client) gather(ctx context.Context, r Resource) (*gathered, bool) {
	if c.together == nil || r.Wide {
		return nil, false
	}
	c.together.mu.Lock()
	g := c.together.kinds[r]
	if g == nil {
		g = &gathered{}
		c.together.kinds[r] = g
	}
	c.together.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.asked++; g.asked <= alone {
		return nil, false
	}
	if g.whole {
		return g, g.byName != nil
	}
	var items []item
	byName, size := map[string]json.RawMessage{}, int64(0)
	fits := true
	version, err := pages(ctx, c, r, Select{Labels: c.together.labels}, mostGatheredBytes, func(page []json.RawMessage) bool {
		for _, one := range page {
			var meta struct {
				Metadata struct {
					Name   string            `json:"name"`
					Labels map[string]string `json:"labels"`
				} `json:"metadata"`
			}
			size += int64(len(one))
			if fits = json.Unmarshal(one, &meta) == nil && len(items) < mostGathered && c.together.bytes.Load()+size <= mostGatheredBytes; !fits {
				return false
			}
			items = append(items, item{meta.Metadata.Labels, one})
			byName[meta.Metadata.Name] = one
		}
		return true
	})
	g.whole = fault.Of(err) != fault.Cancelled || err == nil
	if err != nil || !fits { // each of them tells what is wrong
		return nil, false
	}
	c.together.bytes.Add(size)
	g.version, g.items, g.byName = version, items, byName
	return g, true
}

// known reads an object that the look has; one that it has not, as its labels may be others, is to be asked for.
func (c *Client) known(ctx context.Context, r Resource, name string, into any) bool {
	g, ok := c.gather(ctx, r)
	if !ok || g.byName[name] == nil {
		return false
	}
	return json.Unmarshal(g.byName[name], into) == nil
}

// among are the objects of s that the look has; false where they are to be asked for.
func among[T any](ctx context.Context, c *Client, r Resource, s Select) (all []T, version string, ok bool) {
	if c.together == nil || s.Fields != "" {
		return nil, "", false
	}
	want := strings.Split(s.Labels, ",")
	for _, label := range strings.Split(c.together.labels, ",") {
		if !slices.Contains(want, label) {
			return nil, "", false
		}
	}
	g, ok := c.gather(ctx, r)
	if !ok {
		return nil, "", false
	}
	for _, one := range g.items {
		if !slices.ContainsFunc(want, func(label string) bool {
			name, value, equals := strings.Cut(label, "=")
			has, there := one.labels[name]
			return !there || !equals || has != value
		}) {
			var object T
			if err := json.Unmarshal(one.raw, &object); err != nil {
				return nil, "", false
			}
			all = append(all, object)
		}
	}
	return all, g.version, true
}
