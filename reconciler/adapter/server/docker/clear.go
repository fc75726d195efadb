// What is left of containers is taken away.

package docker

import (
	"context"
	"encoding/json"
	"time"

	"github.com/moby/moby/client"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dockerengine"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Clear takes away whatever serves for owner under name.
func (s *starter) Clear(ctx context.Context, raw json.RawMessage, owner port.Owner, name string) error {
	at, api, err := s.engine(raw)
	if err != nil {
		return err
	}
	defer api.Close()
	return clear(ctx, api.Client, at.owner(owner), name, func(string) bool { return false })
}

// clear takes away an owner's containers of one name, but for the releases that are kept. The engine
// is asked by labels, and believed by none: a container that lacks one of them is not ours.
func clear(ctx context.Context, api *client.Client, owner, name string, kept func(unit string) bool) error {
	filters := make(client.Filters).Add("label", labelOwner+"="+owner).Add("label", labelName+"="+name)
	all, err := api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		return dockerengine.Classed(ctx, "list containers", err)
	}
	for _, c := range all.Items {
		if c.Labels[labelOwner] != owner || c.Labels[labelName] != name || c.Labels[labelUnit] == "" || kept(c.Labels[labelUnit]) {
			continue
		}
		if err := remove(ctx, api, c.ID); err != nil {
			return err
		}
	}
	return nil
}

// remove returns when the container is gone.
func remove(ctx context.Context, api *client.Client, id string) error {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		_, err := api.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		if err = dockerengine.Classed(ctx, "remove a container", err); err == nil || fault.Of(err) == fault.Missing {
			return nil
		}
		if fault.Of(err) != fault.Conflict { // somebody is removing it: until it is gone
			return err
		}
		select {
		case <-ctx.Done():
			return fault.New(fault.Cancelled, "wait for a container to be removed: %w", context.Cause(ctx))
		case <-time.After(wait):
		}
	}
}
