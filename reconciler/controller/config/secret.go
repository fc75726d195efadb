// Where secrets are: what reads one, and which files and variables hold them.

package config

import (
	"io"
	"os"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

const maxSecret = 64 << 10

// Read fetches the secret, without the line break at its end.
func (s Secret) Read(lookup func(string) (string, bool)) ([]byte, error) {
	var text string
	if s.File != "" {
		f, err := os.Open(s.File)
		if err != nil {
			return nil, fault.WithHint(fault.New(fault.Missing, "read the secret: %w", err), "put it there, or correct the configuration")
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
		if err != nil || len(b) > maxSecret {
			return nil, fault.WithHint(fault.New(fault.Invalid, "read the secret %s: it cannot be read, or is larger than 64 KiB", s.File), "put nothing but the secret there")
		}
		text = string(b)
	} else {
		text, _ = lookup(s.Env)
	}
	if text = strings.TrimRight(text, "\r\n"); text == "" {
		if s.File != "" {
			return nil, fault.WithHint(fault.New(fault.Missing, "the file of the secret, %s, is empty", s.File), "write the secret to it, and nothing else")
		}
		return nil, fault.WithHint(fault.New(fault.Missing, "the variable of the secret, %s, is empty or not set", s.Env), "set it for the controller, or name the secret's file in the configuration")
	}
	return []byte(text), nil
}

// secrets are those that the file names.
func (c *Spec) secrets() (all []*Secret) {
	all = []*Secret{c.KeyPassword, c.SealKey, c.Webhook.Secret, c.Webhook.Previous, c.Notifications.Token, c.Notifications.MLflow}
	for _, r := range c.Repositories {
		if r.GitHub != nil {
			all = append(all, r.GitHub.Token)
			if r.GitHub.App != nil {
				all = append(all, &r.GitHub.App.Key)
			}
		}
	}
	for i := range c.Alerts {
		all = append(all, c.Alerts[i].Secrets()...)
	}
	return slices.DeleteFunc(all, func(s *Secret) bool { return s == nil })
}

// Secrets are the files that hold one: no run may be shown a folder with one of them,
// such as the one around a bin of its PATH.
func (c Spec) Secrets() (files []string) {
	for _, s := range c.secrets() {
		if s.File != "" {
			files = append(files, s.File)
		}
	}
	return files
}

// SecretVariables are the variables that hold one: no declaration has them passed on, or sent.
func (c Spec) SecretVariables() (names []string) {
	for _, s := range c.secrets() {
		if s.Env != "" {
			names = append(names, s.Env)
		}
	}
	return names
}
