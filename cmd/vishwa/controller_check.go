// vishwa controller --check: what the controller will need is opened before it runs.

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/controller"
	"github.com/vishwaops/vishwa/reconciler/controller/config"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/plural"
)

// atOnce is how many repositories are looked at side by side.
const atOnce = 8

// examine opens what c's controller will need, and says of each whether it is available.
func (a *cli) examine(ctx context.Context, c config.Spec) error {
	o, err := a.opener(c, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	found := o.own(ctx)
	all := make([][]app.Checked, len(c.Repositories))
	slots := make(chan struct{}, atOnce)
	var wait sync.WaitGroup
	for i, r := range c.Repositories {
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			all[i] = o.repository(ctx, r)
		})
	}
	wait.Wait()
	for _, some := range all {
		found = append(found, some...)
	}
	wrong, first := 0, error(nil)
	for _, f := range found {
		if f.Err == nil {
			fmt.Fprintf(a.out, "ok     %s\n", f.What)
			continue
		}
		wrong++
		if first == nil {
			first = f.Err
		}
		fmt.Fprintf(a.out, "wrong  %s: %s\n", f.What, f.Err)
		fmt.Fprintf(a.out, "       %s\n", fault.WayOut(f.Err))
	}
	if wrong > 0 {
		return fault.WithHint(fault.New(fault.Of(first), "of %s that the controller will need, %d cannot be used", plural.Of(len(found), "thing"), wrong), "fix each as it says above")
	}
	return nil
}

// own opens what is the controller's own.
func (o opener) own(ctx context.Context) []app.Checked {
	out := append([]app.Checked{{What: "keys", Err: o.ready(ctx)}}, addresses(ctx, o.config)...)
	dir, err := o.state()
	if err == nil {
		err = makeable(dir)
	}
	out = append(out, app.Checked{What: "state", Err: err})
	if o.config.SealKey != nil {
		_, err := o.seal()
		out = append(out, app.Checked{What: "sealKey", Err: err})
	}
	for _, a := range o.config.Alerts {
		for _, s := range a.Secrets() {
			_, err := s.Read(o.cli.lookup)
			out = append(out, app.Checked{What: "alerts: " + a.Title(), Err: err})
		}
	}
	for _, s := range []struct {
		what string
		is   *config.Secret
	}{{"webhook.secret", o.config.Webhook.Secret}, {"webhook.previous", o.config.Webhook.Previous}} {
		if s.is != nil && !o.config.Webhook.Off {
			_, err := s.is.Read(o.cli.lookup)
			out = append(out, app.Checked{What: s.what, Err: err})
		}
	}
	return out
}

// addresses takes those that the controller will listen at, for a moment. One that a
// controller at work answers at is its own: a new configuration is looked at beside it.
func addresses(ctx context.Context, c config.Spec) (out []app.Checked) {
	for _, at := range []struct{ field, address string }{{"listen", c.Listen}, {"metrics.listen", c.Metrics.Listen}} {
		if at.address == "" {
			continue
		}
		var listen net.ListenConfig
		l, err := listen.Listen(ctx, "tcp", at.address)
		switch {
		case err == nil:
			err = l.Close()
		case answers(ctx, cmp.Or(c.Metrics.Listen, c.Listen)):
			err = nil
		default:
			err = fault.WithHint(fault.New(fault.Invalid, "%w", err), "free the address %s, or give another one as %s", at.address, at.field)
		}
		out = append(out, app.Checked{What: at.field, Err: err})
	}
	return out
}

// answers tells whether a controller serves its health at address.
func answers(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/healthz", http.NoBody)
	if err != nil {
		return false
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 8))
	return err == nil && resp.StatusCode == http.StatusOK && string(b) == "ok\n"
}

// repository opens one, and what stands behind it.
func (o opener) repository(ctx context.Context, r config.Repository) []app.Checked {
	ctx, cancel := context.WithTimeout(ctx, 10*o.config.Timeout)
	defer cancel()
	site, err := o.open(ctx, r)
	if err != nil {
		return []app.Checked{{What: r.Title(), Err: err}}
	}
	defer site.Close()
	var out []app.Checked
	if s, ok := site.(interface {
		Check(context.Context) []app.Checked
	}); ok {
		out = s.Check(ctx)
	}
	for i := range out {
		out[i].What = r.Title() + ": " + out[i].What
	}
	return out
}

// opener is what opens the repositories of c.
func (a *cli) opener(c config.Spec, log *slog.Logger) (opener, error) {
	env, err := a.env()
	if err != nil {
		return opener{}, err
	}
	env.Log = log
	env.Lookup = func(name string) (string, bool) {
		if name == "VISHWA_KEYS" && c.Keys != "" {
			return c.Keys, true
		}
		return a.lookup(name)
	}
	return opener{cli: a, config: c, env: env, metrics: controller.NewMetrics(nil, versionText()), keys: &signer.Ring{Unlock: a.unlock}}, nil
}
