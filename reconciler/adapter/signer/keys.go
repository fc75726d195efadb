// Keys are opened when they are first needed, because each costs a third of a
// second of scrypt, and most commands sign nothing.

package signer

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/sigstore/sigstore/pkg/signature"
	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Keys are a controller's private keys in a folder, as Generate makes them. It is
// a port.Signer, and safe for use by several goroutines. A key is opened once, and
// again where its file is another one by then.
type Keys struct {
	dir    string
	ask    func() ([]byte, error)
	load   Unlock
	roles  map[port.Role]*slot[*pair]
	ledger slot[ssh.Signer]

	opening *sync.Mutex // one key at a time: each takes 64 MiB while it is opened
	right   []byte      // the password that has opened a key: asked for once
	refused map[string]refusal
}

// slot holds a key, and which bytes of its file it was opened from.
type slot[T any] struct {
	sync.Mutex
	of  digest.Digest
	key T
}

// refusal is a password that did not open a file: it would not the next time.
type refusal struct {
	of       digest.Digest
	password []byte
}

var _ port.Signer = (*Keys)(nil)

// Open gives the keys in dir. Neither are they read nor is the password asked for
// before something is to be signed.
func Open(dir string, password func() ([]byte, error)) *Keys {
	return within(dir, password, &sync.Mutex{})
}

func within(dir string, password func() ([]byte, error), opening *sync.Mutex) *Keys {
	k := &Keys{dir: dir, ask: password, load: unlock, roles: map[port.Role]*slot[*pair]{}, opening: opening, refused: map[string]refusal{}}
	for _, r := range Roles {
		k.roles[r] = &slot[*pair]{}
	}
	return k
}

// SSH is the key that signs the ledger's commits.
func (k *Keys) SSH() (ssh.Signer, error) {
	return held(k, &k.ledger, LedgerKey, openLedgerKey)
}

func (k *Keys) pair(ctx context.Context, role port.Role) (*pair, error) {
	s, ok := k.roles[role]
	if !ok {
		return nil, fault.New(fault.Invalid, "sign: there is no role %q", role)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return held(k, s, keyFile(role), k.openPair)
}

// Ready opens all keys, and tells why one cannot be. It costs next to nothing where
// they are open already.
func (k *Keys) Ready(ctx context.Context) error {
	for _, r := range Roles {
		if _, err := k.pair(ctx, r); err != nil {
			return err
		}
	}
	_, err := k.SSH()
	return err
}

// Usable tells, at the cost of one key, whether the others are to be had as well: their files
// are whole, and the password opens the ledger's, which came with them. Keys of roles are opened too: a file whose bytes
// were changed looks whole.
func (k *Keys) Usable(ctx context.Context, roles ...port.Role) error {
	for _, r := range Roles {
		text, err := k.readKeyFile(keyFile(r))
		if err != nil {
			return err
		}
		if !whole(text) {
			return damaged(keyFile(r))
		}
	}
	for _, r := range roles {
		if _, err := k.pair(ctx, r); err != nil {
			return err
		}
	}
	_, err := k.SSH()
	return err
}

// whole tells whether text has all the parts of a key of a role, as far as that is to be seen without the password.
func whole(text []byte) bool {
	var sealed struct {
		KDF struct {
			Salt []byte `json:"salt"`
		} `json:"kdf"`
		Cipher struct {
			Nonce []byte `json:"nonce"`
		} `json:"cipher"`
		Ciphertext []byte `json:"ciphertext"`
	}
	block, _ := pem.Decode(text)
	return block != nil && json.Unmarshal(block.Bytes, &sealed) == nil &&
		len(sealed.KDF.Salt) > 0 && len(sealed.Cipher.Nonce) > 0 && len(sealed.Ciphertext) > 0
}

// Ahead opens the ledger's key and those of roles before they are asked for. What goes
// wrong is said when they are.
func (k *Keys) Ahead(ctx context.Context, roles ...port.Role) {
	for i, r := range roles {
		if _, err := k.pair(ctx, r); err != nil {
			return
		}
		if i > 0 {
			continue
		}
		if _, err := k.SSH(); err != nil {
			return
		}
	}
}

// held is the key of s, read from the file called name.
func held[T any](k *Keys, s *slot[T], name string, open func(text, password []byte) (T, error)) (T, error) {
	s.Lock()
	defer s.Unlock()
	var none T
	text, err := k.readKeyFile(name)
	if err != nil {
		return none, err
	}
	of := digest.Of(text)
	if s.of == of {
		return s.key, nil
	}
	err = k.unlock(name, of, func(password []byte) (err error) {
		s.key, err = open(text, password)
		return err
	})
	if err != nil {
		s.of, s.key = "", none
		return none, err
	}
	s.of = of
	return s.key, nil
}

var errPassword = errors.New("wrong password")

func (k *Keys) readKeyFile(name string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(k.dir, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.WithHint(fault.New(fault.Missing, "open key: %s is not in the folder of keys", name),
			"bring it back from a backup, or make new keys with vishwa keys generate and name them in trust.yaml")
	case errors.Is(err, fs.ErrPermission):
		return nil, fault.WithHint(fault.New(fault.Denied, "open key: %s cannot be read: permission denied", name), "run as the user whose keys they are")
	case err != nil:
		return nil, fmt.Errorf("open key %s: %w", name, err)
	}
	return text, nil
}

// unlock opens the file called name, whose bytes are of, with the password. What went
// wrong is said without a word of the key or the password.
func (k *Keys) unlock(name string, of digest.Digest, open func(password []byte) error) error {
	k.opening.Lock()
	defer k.opening.Unlock()
	err := errPassword
	if k.right != nil {
		err = k.try(name, refusal{of, k.right}, open)
	}
	if errors.Is(err, errPassword) { // none was right yet, or the files came with another one
		password, asked := k.ask()
		switch {
		case asked != nil:
			return fmt.Errorf("ask for the password of %s: %w", name, asked)
		case len(password) == 0: // no keys are made with such a one
			return fault.WithHint(fault.New(fault.Denied, "open key: the password of %s is empty", name),
				"set VISHWA_KEY_PASSWORD, or type it when asked; in a CI job, an empty variable is a secret that the repository does not have or that the job is not given")
		}
		err = k.try(name, refusal{of, password}, open)
	}
	switch {
	case errors.Is(err, errPassword):
		return fault.WithHint(fault.New(fault.Denied, "open key: the password does not open %s", name),
			"give the password that the keys were generated with, in VISHWA_KEY_PASSWORD or when asked; where it is right, the file is damaged: bring it back from a backup; "+
				"where the password is lost, begin again with new keys: set VISHWA_KEYS to an empty folder, run vishwa keys generate --name NAME with a new name, and commit trust.yaml")
	case err != nil:
		return damaged(name)
	}
	return nil
}

func damaged(name string) error {
	return fault.WithHint(fault.New(fault.Corrupt, "open key: %s is not a key as vishwa keys generate makes it", name), "bring it back from a backup")
}

// try opens with one password, unless it is known not to.
func (k *Keys) try(name string, with refusal, open func(password []byte) error) error {
	last, was := k.refused[name]
	if len(with.password) == 0 || was && last.of == with.of && bytes.Equal(last.password, with.password) {
		return errPassword
	}
	err := open(with.password)
	debug.FreeOSMemory() // what it took to open one key is not kept until the next
	if errors.Is(err, errPassword) {
		k.refused[name] = refusal{with.of, bytes.Clone(with.password)}
		return err
	}
	if err == nil {
		delete(k.refused, name)
		k.right = bytes.Clone(with.password)
	}
	return err
}

func openLedgerKey(text, password []byte) (ssh.Signer, error) {
	raw, err := ssh.ParseRawPrivateKeyWithPassphrase(text, password)
	if errors.Is(err, x509.IncorrectPasswordError) {
		return nil, errPassword
	}
	if err != nil {
		return nil, err
	}
	key, err := ssh.NewSignerFromKey(raw)
	if err != nil {
		return nil, err
	}
	// Its cipher finds no changed bytes: a key of other bytes opens, and nobody would believe what it signs.
	probe := []byte("vishwa ledger")
	signed, err := key.Sign(rand.Reader, probe)
	if err == nil {
		err = key.PublicKey().Verify(probe, signed)
	}
	if err != nil {
		return nil, errors.New("its halves are not of one key: bytes of it were changed")
	}
	return key, nil
}

// pair is an open key, and what bundles say of it.
type pair struct {
	signature.SignerVerifier
	public *ecdsa.PublicKey
	pem    []byte
	hint   string
}

func (k *Keys) openPair(text, password []byte) (*pair, error) {
	sv, err := k.load(text, password)
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
	key, encoded, err := strong(public)
	if err != nil {
		return nil, err
	}
	return &pair{sv, key, encoded, Hint(encoded)}, nil
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
