// A log of predictions in a topic: how the brokers are reached, by what its declaration names.

package server

import (
	"crypto/tls"
	"crypto/x509"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/topic"
	"github.com/vishwaops/vishwa/schemas"
)

// predictionTopic is how the topic of a log is reached.
func predictionTopic(at *schemas.LogTopic, by Access) (topic.Options, error) {
	out := topic.Options{Brokers: at.Brokers, Topic: at.Topic, Unguarded: !by.Guarded, Allow: by.Allow}
	for _, address := range at.Addresses() {
		if err := by.Env.MayUse(address); err != nil {
			return out, err
		}
	}
	values := map[string]string{}
	for _, name := range at.Variables() {
		for _, b := range at.Brokers {
			if err := by.Env.MaySend(name, "kafka://"+b); err != nil {
				return out, err
			}
		}
		v, ok := by.Env.Lookup(name)
		if !ok || v == "" {
			return out, fault.WithHint(fault.New(fault.Denied, "the topic of the log: the variable %s is not set", name), "set it, for whoever runs vishwa apply or the controller")
		}
		values[name] = v
	}
	if s := at.SASL; s != nil {
		out.Login = &topic.Login{Mechanism: s.Mechanism, User: values[s.User], Password: values[s.Password]}
	}
	t := at.TLS
	if t == nil {
		return out, nil
	}
	out.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		out.TLS.RootCAs = x509.NewCertPool()
		if !out.TLS.RootCAs.AppendCertsFromPEM([]byte(values[t.CA])) {
			return out, fault.WithHint(fault.New(fault.Invalid, "the topic of the log: %s holds no certificate", t.CA), "set it to PEM")
		}
	}
	if t.Certificate != "" {
		ours, err := tls.X509KeyPair([]byte(values[t.Certificate]), []byte(values[t.Key]))
		if err != nil { // which may quote what it read
			return out, fault.WithHint(fault.New(fault.Invalid, "the topic of the log: %s and %s hold no certificate with its private key", t.Certificate, t.Key), "set them to PEM")
		}
		out.TLS.Certificates = []tls.Certificate{ours}
	}
	return out, nil
}
