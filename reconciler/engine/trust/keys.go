// Keys are taken only in the forms that are strong and mean one thing.

package trust

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// minRSA is the shortest RSA modulus taken, in bits (NIST SP 800-131A rev. 2).
const minRSA = 2048

var sshKinds = []string{
	ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384,
	ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKECDSA256, ssh.KeyAlgoRSA,
}

// sshKey reads one authorized_keys line. Options are refused: cert-authority would
// let a key stand for others, and no option here does what it does for a login.
func sshKey(line string) (ssh.PublicKey, error) {
	if strings.Contains(line, "PRIVATE KEY") {
		return nil, errors.New("is a private key; put the public key here, and treat the private one as lost")
	}
	key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	switch {
	case err != nil:
		return nil, errors.New("is not an SSH public key; copy the one line of your .pub file")
	case len(options) > 0:
		return nil, fmt.Errorf("carries the option %q; keep only the key's type, the key and a comment", options[0])
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, errors.New("holds more than one key; make it one list item a key")
	case !slices.Contains(sshKinds, key.Type()):
		return nil, fmt.Errorf("is of type %s, which is not taken; use ssh-ed25519", key.Type())
	}
	if c, ok := key.(ssh.CryptoPublicKey); ok {
		if k, ok := c.CryptoPublicKey().(*rsa.PublicKey); ok && k.N.BitLen() < minRSA {
			return nil, fmt.Errorf("is an RSA key of %d bits, which is weak; use ssh-ed25519, or RSA of at least %d bits", k.N.BitLen(), minRSA)
		}
	}
	return key, nil
}

// pemKey reads an ECDSA P-256 public key, the kind that cosign makes. The PEM is
// returned as its one canonical encoding, with an id that other encodings share.
func pemKey(s string) (canonical []byte, id string, err error) {
	block, rest := pem.Decode([]byte(s))
	switch {
	case block == nil:
		return nil, "", errors.New("is not PEM; copy the whole of the .pub file, from BEGIN PUBLIC KEY to END PUBLIC KEY")
	case strings.Contains(block.Type, "PRIVATE"):
		return nil, "", errors.New("is a private key; put the public key here, and treat the private one as lost")
	case block.Type != "PUBLIC KEY" || len(block.Headers) > 0:
		return nil, "", fmt.Errorf("is a PEM block of type %q; want PUBLIC KEY without headers", block.Type)
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, "", errors.New("holds something after the key; keep one PEM block")
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, "", errors.New("is not a public key; make one with vishwa keys generate")
	}
	k, ok := pub.(*ecdsa.PublicKey)
	if !ok || k.Curve != elliptic.P256() {
		return nil, "", errors.New("is not an ECDSA P-256 key; make one with vishwa keys generate")
	}
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		return nil, "", fmt.Errorf("encode key: %w", err)
	}
	// An SSH key may be the same pair as a PEM key: both go by the SSH wire form.
	wire, err := ssh.NewPublicKey(k)
	if err != nil {
		return nil, "", fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), string(wire.Marshal()), nil
}
