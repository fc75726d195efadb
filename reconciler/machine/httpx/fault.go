// What went wrong, by its kind.

package httpx

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
)

// KindOf is the kind of a status that is an error (RFC 9110, 15).
func KindOf(status int) fault.Kind {
	switch status {
	case http.StatusNotFound, http.StatusGone:
		return fault.Missing
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return fault.Denied
	case http.StatusConflict, http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable:
		return fault.Conflict
	case http.StatusTooManyRequests, http.StatusRequestTimeout, http.StatusTooEarly:
		return fault.Transient
	}
	if status >= 500 {
		return fault.Transient
	}
	return fault.Invalid
}

// Untrusted tells that whoever answered could not prove who they are: they are not asked
// again.
func Untrusted(err error) bool {
	var unproven *tls.CertificateVerificationError
	return errors.As(err, &unproven)
}

// Failed gives an error of the line its kind. It leaves out the address, whose query may
// hold a secret, and what a server sent instead of HTTP. What has a kind keeps it.
func Failed(ctx context.Context, err error) error {
	var known *fault.Error
	var at *url.Error
	var unproven *tls.CertificateVerificationError
	switch {
	case ctx.Err() != nil:
		return fault.New(fault.Cancelled, "%w", ctx.Err())
	case errors.As(err, &known):
		return fault.WithHint(known, "%s", fault.HintOf(err))
	case errors.As(err, &unproven):
		return fault.WithHint(fault.New(fault.Denied, "the server's certificate is not trusted: %w", unproven.Err), "correct the host's name, or trust its authority: name the authority's PEM file in SSL_CERT_FILE")
	case errors.As(err, &at):
		err = at.Err
	}
	var name *net.DNSError
	if errors.As(err, &name) && name.IsNotFound {
		return fault.WithHint(fault.New(fault.Transient, "no host has the name %s", name.Name), "correct the host's name, or try again when the name server knows it")
	}
	const way = "check the address, and that the server runs; try again when it answers"
	var slow *dial.Slow
	var late *dial.Late
	switch {
	case errors.As(err, &slow):
		return fault.WithHint(fault.New(fault.Transient, "%w", slow), way)
	case errors.As(err, &late):
		return fault.WithHint(fault.New(fault.Transient, "%w", late), way)
	}
	var line *net.OpError
	if errors.As(err, &line) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fault.WithHint(fault.New(fault.Transient, "the connection failed: %w", err), way)
	}
	return fault.WithHint(fault.New(fault.Transient, "the server's answer could not be read"), way) // others quote what it sent
}
