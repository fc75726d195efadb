// Keys are opened when they are first needed, because each costs a third of a
// second of scrypt, and most commands sign nothing.
package signer

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/sigstore/pkg/signature"
	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Keys are a controller's private keys in a folder, as Generate makes them. It is
// a port.Signer, and safe for use by several goroutines.
type Keys struct {
	dir   string
	ask   func() ([]byte, error)
	roles map[port.Role]*slot

	password struct {
		sync.Mutex
		right []byte // has opened a key: asked for once
	}
	ledger struct {
		sync.Mutex
		signer ssh.Signer
	}
}

type slot struct {
	sync.Mutex
	pair *pair
}

var _ port.Signer = (*Keys)(nil)

// Open gives the keys in dir. Neither are they read nor is the password asked for
// before something is to be signed.
func Open(dir string, password func() ([]byte, error)) *Keys {
	k := &Keys{dir: dir, ask: password, roles: map[port.Role]*slot{}}
	for _, r := range Roles {
		k.roles[r] = &slot{}
	}
	return k
}

// SSH is the key that signs the ledger's commits.
func (k *Keys) SSH() (ssh.Signer, error) {
	k.ledger.Lock()
	defer k.ledger.Unlock()
	if k.ledger.signer != nil {
		return k.ledger.signer, nil
	}
	err := k.unlock(LedgerKey, func(text, password []byte) error {
		raw, err := ssh.ParseRawPrivateKeyWithPassphrase(text, password)
		if errors.Is(err, x509.IncorrectPasswordError) {
			return errPassword
		}
		if err != nil {
			return err
		}
		k.ledger.signer, err = ssh.NewSignerFromKey(raw)
		return err
	})
	return k.ledger.signer, err
}

func (k *Keys) pair(ctx context.Context, role port.Role) (*pair, error) {
	s, ok := k.roles[role]
	if !ok {
		return nil, fault.New(fault.Invalid, "sign: there is no role %q", role)
	}
	s.Lock()
	defer s.Unlock()
	if s.pair != nil {
		return s.pair, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	err := k.unlock(keyFile(role), func(text, password []byte) (err error) {
		s.pair, err = openPair(text, password)
		return err
	})
	return s.pair, err
}

var errPassword = errors.New("wrong password")

// unlock reads a key file and opens it with the password. What went wrong is said
// without a word of the key or the password.
func (k *Keys) unlock(name string, open func(text, password []byte) error) error {
	text, err := os.ReadFile(filepath.Join(k.dir, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.Hint(fault.New(fault.Missing, "open key: %s is not in the folder of keys", name),
			"bring it back from a backup, or make new keys with vishwa keys generate and name them in trust.yaml")
	case errors.Is(err, fs.ErrPermission):
		return fault.Hint(fault.New(fault.Denied, "open key: %s cannot be read: permission denied", name), "run as the user whose keys they are")
	case err != nil:
		return fmt.Errorf("open key %s: %w", name, err)
	}
	k.password.Lock()
	defer k.password.Unlock()
	password := k.password.right
	if password == nil {
		if password, err = k.ask(); err != nil {
			return fmt.Errorf("ask for the password of %s: %w", name, err)
		}
	}
	err = errPassword
	if len(password) > 0 {
		err = open(text, password)
	}
	switch {
	case errors.Is(err, errPassword):
		return fault.Hint(fault.New(fault.Denied, "open key: the password does not open %s", name),
			"give the password that the keys were generated with, in VISHWA_KEY_PASSWORD or when asked; where it is right, the file is damaged: bring it back from a backup")
	case err != nil:
		return fault.Hint(fault.New(fault.Corrupt, "open key: %s is no key as vishwa keys generate makes it", name), "bring it back from a backup")
	}
	k.password.right = password
	return nil
}

// pair is an open key, and what bundles say of it.
type pair struct {
	signature.SignerVerifier
	public *ecdsa.PublicKey
	pem    []byte
	hint   string
}

func openPair(text, password []byte) (*pair, error) {
	sv, err := cosign.LoadPrivateKey(text, password, nil)
	if err != nil {
		// cosign's library has no error value for it; "encrypted:" is what opening says.
		if strings.Contains(err.Error(), "decryption failed") {
			return nil, errPassword
		}
		return nil, err
	}
	public, err := sv.PublicKey()
	if err != nil {
		return nil, err
	}
	k, encoded, err := strong(public)
	if err != nil {
		return nil, err
	}
	return &pair{sv, k, encoded, Hint(encoded)}, nil
}

// strong takes ECDSA P-256 alone: every reader of the formats knows it, with SHA-256.
func strong(public crypto.PublicKey) (*ecdsa.PublicKey, []byte, error) {
	k, ok := public.(*ecdsa.PublicKey)
	if !ok || k.Curve != elliptic.P256() {
		return nil, nil, errors.New("not an ECDSA P-256 key")
	}
	encoded, err := encodePublic(k)
	return k, encoded, err
}
