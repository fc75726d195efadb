// Following objects: all that there are, then every change, for as long as somebody wants to
// know, through ends of a watch and times without a server.

package kube

import (
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Follower is told what there is. Its calls come one at a time.
type Follower[T any] struct {
	All    func(all []T)             // at the beginning, and again after changes may have been missed
	Change func(object T, gone bool) // one was made, changed or is gone
	Lost   func(err error)           // the server cannot be asked; it is asked again
	Back   func()                    // the server tells of changes, from where it was left
}

// How long to wait before asking again, from the first time to the last.
const firstPause, lastPause = 500 * time.Millisecond, 15 * time.Second

// Follow tells of the objects of s until ctx ends.
func Follow[T any](ctx context.Context, c *Client, r Resource, s Select, f Follower[T]) {
	pause, at := firstPause, place{}
	for ctx.Err() == nil {
		from, err := goOn(ctx, c, r, s, at, f)
		at.version, at.cut = from, err != nil
		begun := c.env.Now()
		if err == nil {
			at, err = watch(ctx, c, r, s, from, f)
		}
		if ctx.Err() != nil {
			return
		}
		lasted := c.env.Now().Sub(begun)
		if lasted > lastPause || err == nil && lasted > time.Second {
			pause = firstPause
			if err == nil { // the server ends a watch from time to time
				continue
			}
		}
		if err != nil {
			f.Lost(err)
		}
		timer := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		pause = min(2*pause, lastPause)
	}
}

// place is where a watch ended: after which version ("" is none that the server knows), and
// whether it was cut off, so that nobody knows what the server went through since.
type place struct {
	version string
	cut     bool
}

// goOn is the version from which to watch on from a place. A server whose store was restored
// counts again from where the store was: it tells a watch from a later version of nothing until
// it has counted up to that, and never of what the store forgot. So the server is asked where
// it is and, where it may have gone back, for everything.
func goOn[T any](ctx context.Context, c *Client, r Resource, s Select, at place, f Follower[T]) (string, error) {
	if at.version != "" && !at.cut {
		now, err := c.version(ctx, r)
		if err != nil {
			return at.version, err
		}
		if before, same := compare(now, at.version); same && !before {
			return at.version, nil
		}
	}
	all, now, err := List[T](ctx, c, r, s)
	if err != nil {
		return at.version, err
	}
	f.All(all)
	// From the earlier one: how an object ended that is gone by now is told by its changes alone.
	if before, same := compare(at.version, now); same && before {
		return at.version, nil
	}
	return now, nil
}

// compare tells whether one version is before another, and whether they can be compared: a
// server may have versions that are no numbers.
func compare(one, other string) (before, same bool) {
	a, err := strconv.ParseUint(one, 10, 64)
	b, err2 := strconv.ParseUint(other, 10, 64)
	return a < b, err == nil && err2 == nil
}

// event is a line of a watch.
type event struct {
	Type   string          `json:"type"`
	Object json.RawMessage `json:"object"`
}

// watched is how long one watch is asked for.
const watched = 5 * time.Minute

// watch tells of changes after version, and where it ended.
func watch[T any](ctx context.Context, c *Client, r Resource, s Select, version string, f Follower[T]) (place, error) {
	q := s.values()
	q.Set("watch", "true")
	q.Set("resourceVersion", version)
	q.Set("allowWatchBookmarks", "true")
	q.Set("timeoutSeconds", strconv.Itoa(int(watched/time.Second)))
	asked := question{verb: "watch", resource: r, method: http.MethodGet, query: q}
	// A server that went away without a word is asked again after its own time is over.
	within, stop := context.WithTimeout(ctx, watched+30*time.Second)
	defer stop()
	begun := c.env.Now()
	resp, err := c.send(within, asked)
	if err != nil {
		return place{version, true}, c.unheard(ctx, asked, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		if resp.StatusCode == http.StatusGone {
			return place{}, nil
		}
		return place{version, true}, c.refused(asked, resp)
	}
	f.Back()
	events := json.NewDecoder(resp.Body)
	for {
		var e event
		if err := events.Decode(&e); err != nil {
			if err == io.EOF || err == io.ErrUnexpectedEOF || within.Err() != nil {
				if c.env.Now().Sub(begun) < watched-10*time.Second {
					c.quiet() // before the time that was asked for: it may have gone away
				}
				return place{version, err != io.EOF}, nil
			}
			return place{version, true}, c.unheard(ctx, asked, err)
		}
		var meta struct {
			Metadata struct {
				ResourceVersion string `json:"resourceVersion"`
			} `json:"metadata"`
		}
		if err := json.Unmarshal(e.Object, &meta); err != nil {
			return place{}, fault.WithHint(fault.New(fault.Corrupt, "%s: %s sends what is no event of Kubernetes", asked, c.at), "see that the context of the kubeconfig leads to the API server of a cluster")
		}
		switch e.Type {
		case "ADDED", "MODIFIED", "DELETED":
			var object T
			if err := json.Unmarshal(e.Object, &object); err != nil {
				return place{}, fault.WithHint(fault.New(fault.Corrupt, "%s: %s sends what is no object of Kubernetes", asked, c.at), "see that the context of the kubeconfig leads to the API server of a cluster")
			}
			f.Change(object, e.Type == "DELETED")
		case "BOOKMARK":
		default: // an error: most often, that the version is forgotten
			return place{}, nil
		}
		version = meta.Metadata.ResourceVersion
	}
}
