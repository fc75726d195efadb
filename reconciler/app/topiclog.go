// A log of another program that is in a Kafka topic, brought into a folder to be read there.

package app

import (
	"context"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/source"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// FetchTopic brings what a topic holds of a time, at kafka://HOST:PORT/TOPIC, as JSON lines into dir. The
// address is the caller's own word, and so may be private.
func FetchTopic(ctx context.Context, env port.Env, address, dir string, from, until time.Time) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "kafka" || u.Port() == "" || u.User != nil || u.RawQuery != "" || strings.Trim(u.Path, "/") == "" {
		return fault.WithHint(fault.New(fault.Invalid, "the topic's address cannot be read"), "write it as kafka://HOST:PORT/TOPIC; declare a dataset of a topic that asks for a password")
	}
	spec := schemas.Kafka{Brokers: []string{net.JoinHostPort(u.Hostname(), u.Port())}, Topic: strings.Trim(u.Path, "/")}
	if !from.IsZero() {
		spec.From = from.UTC().Format(time.RFC3339)
	}
	if !until.IsZero() {
		spec.Until = until.UTC().Format(time.RFC3339)
	}
	topic, err := source.Open(schemas.DataSource{Kafka: &spec}, source.Options{Env: env, Allow: []string{u.Hostname()}})
	if err != nil {
		return err
	}
	look, err := topic.Inspect(ctx)
	if err != nil {
		return err
	}
	return topic.Fetch(ctx, look, dir, nil)
}
