// Whom a certificate has to convince, as Git's configuration has it, and certificates that do
// not hold: nobody is spoken to who cannot prove who they are, and it is no use to try again
// before a person has looked.

package gitremote

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
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

// tls is whom a server over HTTPS has to convince, by the settings of its address and by the
// variables that Git puts before them.
func (s Settings) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	// As Git would go there for its owner. No mirror comes by here, and an empty value asks for nothing.
	c.InsecureSkipVerify = s.Last("http.sslverify") != "" && !s.On("http.sslverify")
	if _, set := os.LookupEnv("GIT_SSL_NO_VERIFY"); set {
		c.InsecureSkipVerify = true
	}
	var err error
	if c.RootCAs, err = s.authorities(); err != nil {
		return nil, err
	}
	if file := cmp.Or(os.Getenv("GIT_SSL_CERT"), s.Last("http.sslcert")); file != "" {
		key := cmp.Or(os.Getenv("GIT_SSL_KEY"), s.Last("http.sslkey"), file)
		pair, err := tls.LoadX509KeyPair(Home(file), Home(key))
		if err != nil {
			return nil, fault.WithHint(fault.New(fault.Invalid, "read the certificate of http.sslCert: %w", err), "correct http.sslCert and http.sslKey, or GIT_SSL_CERT and GIT_SSL_KEY; a key with a password cannot be used")
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if pin := s.Last("http.pinnedpubkey"); pin != "" {
		known, err := pinned(pin)
		if err != nil {
			return nil, err
		}
		c.VerifyConnection = func(state tls.ConnectionState) error { // asked of no verification too, as curl does
			sum := sha256.Sum256(state.PeerCertificates[0].RawSubjectPublicKeyInfo)
			if slices.ContainsFunc(known, func(k []byte) bool { return bytes.Equal(k, sum[:]) }) {
				return nil
			}
			return fault.WithHint(fault.New(fault.Denied, "x509: its public key is none of http.pinnedPubkey"), "see that no other server answers in its place; if its key was changed on purpose, correct http.pinnedPubkey (git config --show-origin http.pinnedPubkey)")
		}
	}
	return c, nil
}

// authorities are those that are named; nil: the machine's.
func (s Settings) authorities() (*x509.CertPool, error) {
	file, dir := cmp.Or(os.Getenv("GIT_SSL_CAINFO"), s.Last("http.sslcainfo")), cmp.Or(os.Getenv("GIT_SSL_CAPATH"), s.Last("http.sslcapath"))
	if file == "" && dir == "" {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if file != "" {
		text, err := os.ReadFile(Home(file))
		if err != nil || !pool.AppendCertsFromPEM(text) {
			return nil, fault.WithHint(fault.New(fault.Invalid, "read the authorities of http.sslCAInfo: %s holds no certificate that can be read", file), "correct http.sslCAInfo, or GIT_SSL_CAINFO: git config --show-origin http.sslCAInfo")
		}
	}
	if dir != "" {
		list, err := os.ReadDir(Home(dir))
		if err != nil {
			return nil, fault.WithHint(fault.New(fault.Invalid, "read the authorities of http.sslCAPath: %w", err), "correct http.sslCAPath, or GIT_SSL_CAPATH: git config --show-origin http.sslCAPath")
		}
		for _, e := range list {
			if text, err := os.ReadFile(filepath.Join(Home(dir), e.Name())); err == nil {
				pool.AppendCertsFromPEM(text) // what is none of one says nothing
			}
		}
	}
	return pool, nil
}

// pinned are the sums of the public keys that a pin names: sha256//BASE64, several of them
// parted by semicolons, or a file that holds the key.
func pinned(pin string) (sums [][]byte, err error) {
	const way = "write sha256//BASE64, or the path of a public key in PEM or DER: git config --show-origin --get-all http.pinnedPubkey"
	if strings.HasPrefix(pin, "sha256//") {
		for one := range strings.SplitSeq(pin, ";") {
			sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(one, "sha256//"))
			if err != nil || len(sum) != sha256.Size {
				return nil, fault.WithHint(fault.New(fault.Invalid, "http.pinnedPubkey holds %s, which is no sum of a key", one), way)
			}
			sums = append(sums, sum)
		}
		return sums, nil
	}
	text, err := os.ReadFile(Home(pin))
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "read the key of http.pinnedPubkey: %w", err), way)
	}
	if block, _ := pem.Decode(text); block != nil {
		text = block.Bytes
	}
	sum := sha256.Sum256(text)
	return [][]byte{sum[:]}, nil
}
