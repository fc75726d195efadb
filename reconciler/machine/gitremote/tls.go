// Certificates that do not hold: nobody is spoken to who cannot prove who they are, and
// it is no use to try again before a person has looked.

package gitremote

import (
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// distrust is what Go's and Git's libraries (GnuTLS, OpenSSL) say of a certificate.
var distrust = []string{
	"x509: ", "failed to verify certificate", "certificate verification failed", "ssl certificate problem",
	"does not match target host name", "no alternative certificate subject name matches",
}

// Untrusted tells whether what was said is of a certificate that does not hold.
func Untrusted(said string) bool {
	low := strings.ToLower(said)
	return slices.ContainsFunc(distrust, func(s string) bool { return strings.Contains(low, s) })
}

// NotTrusted is the error for it.
func NotTrusted(what, said string) error {
	return fault.WithHint(fault.New(fault.Denied, "%s: its certificate is not trusted: %s", what, said),
		"where the certificate is its own and of an authority of yours, name the authority's PEM file in SSL_CERT_FILE; else find out who answers there")
}
