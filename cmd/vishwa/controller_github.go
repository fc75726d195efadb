// GitHub for the controller: how the configuration logs in to it.

package main

import (
	"context"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/adapter/forge"
	"github.com/vishwaops/vishwa/reconciler/controller/config"
)

// gitHub is the client of a repository, with the token or the App that it is configured with.
func (o opener) gitHub(_ context.Context, r config.Repository) (*forge.Client, error) {
	owner, name, _ := strings.Cut(r.FullName(), "/")
	c := forge.Config{Owner: owner, Repo: name, API: r.GitHub.API, Env: o.env}
	if app := r.GitHub.App; app != nil {
		key, err := app.Key.Read(o.cli.lookup)
		if err != nil {
			return nil, err
		}
		c.Auth = forge.Auth{App: &forge.App{ID: app.ID, Installation: app.Installation, PrivateKey: key}}
	} else {
		token, err := r.GitHub.Token.Read(o.cli.lookup)
		if err != nil {
			return nil, err
		}
		c.Auth = forge.Auth{Token: string(token)}
	}
	return forge.GitHub(c)
}
