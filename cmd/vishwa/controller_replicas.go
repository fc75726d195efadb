// What replicas of one controller have in common: where they find each other, and the key that seals their notes.

package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/controller"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
)

// roll is where this controller's replicas find each other; nil: it has none.
func (o opener) roll() (controller.Roll, error) {
	r, has := o.config.Meeting()
	if !has {
		return nil, nil
	}
	s := app.ManagedOptions{Name: r.Title(), URL: cmp.Or(r.URL, r.Path), Env: o.env}
	if r.GitHub != nil {
		client, err := o.gitHub(context.Background(), r)
		if err != nil {
			return nil, err
		}
		s.Credentials = client.Credentials
	}
	roll, err := app.Roll(s, strings.ToLower(rand.Text()[:20]), o.config.Lease.Name)
	if err != nil {
		return nil, err
	}
	return roll, nil
}

// seal is what the sealing keys are made of; the zero key: each state folder has one of its own.
func (o opener) seal() (seal.Key, error) {
	if o.config.SealKey == nil {
		return seal.Key{}, nil
	}
	text, err := o.config.SealKey.Read(o.cli.lookup)
	if err != nil {
		return seal.Key{}, err
	}
	k, err := seal.KeyOf(text)
	if err != nil {
		return seal.Key{}, fault.WithHint(err, "give sealKey 32 random characters or more: openssl rand -hex 32")
	}
	return k, nil
}
