// Package signer signs and verifies with keys in files, in cosign's own format,
// and puts signatures into Sigstore bundles, so that cosign and the reference
// program for model signing verify what it signed.
package signer

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sigstore/cosign/v2/pkg/cosign"
	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Roles are the roles that have a key, each in ROLE.key and ROLE.pub. The ledger's
// commits are signed by the OpenSSH key in LedgerKey.
var Roles = []port.Role{port.Build, port.Deploy, port.Refuse}

// Names of files in a folder of keys.
const (
	LedgerKey = "ledger"
	// TrustedRootFile names no certificate authority and no log: what cosign wants
	// to be given where a key alone is trusted.
	TrustedRootFile = "trusted-root.json"
)

// TrustedRoot is what TrustedRootFile holds.
const TrustedRoot = `{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}` + "\n"

func keyFile(r port.Role) string    { return string(r) + ".key" }
func publicFile(r port.Role) string { return string(r) + ".pub" }

// Generate makes a controller's keys in dir, all under one password: an ECDSA
// P-256 pair a role in cosign's format, and an Ed25519 pair in OpenSSH's for the
// ledger. It overwrites nothing, and leaves nothing where it fails.
func Generate(dir string, password []byte) (err error) {
	if len(password) == 0 {
		return fault.WithHint(fault.New(fault.Invalid, "generate keys: the password is empty"), "set VISHWA_KEY_PASSWORD, or type a password when asked")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return artifact.Disk(fmt.Errorf("generate keys: %w", err), dir)
	}
	names := []string{LedgerKey, LedgerKey + ".pub", TrustedRootFile}
	for _, r := range Roles {
		names = append(names, keyFile(r), publicFile(r))
	}
	for _, name := range names { // before the seconds that encrypting takes
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return taken(dir)
		}
	}
	files, err := makeKeys(password)
	if err != nil {
		return fmt.Errorf("generate keys: %w", err)
	}
	var made []string
	defer func() {
		if err != nil {
			for _, path := range made {
				os.Remove(path)
			}
		}
	}()
	for _, name := range names {
		path := filepath.Join(dir, name)
		err := create(path, files[name])
		if errors.Is(err, fs.ErrExist) {
			return taken(dir)
		}
		made = append(made, path)
		if err != nil {
			return artifact.Disk(fmt.Errorf("generate keys: %w", err), dir)
		}
	}
	return nil
}

// taken: a key that is overwritten is lost, with all that it signed.
func taken(dir string) error {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return fault.WithHint(fault.New(fault.Conflict, "this machine already has keys in %s", dir), "to trust them in this repository: vishwa keys trust; for others, set VISHWA_KEYS to an empty folder")
}

// file is a file to be made.
type file struct {
	text []byte
	mode fs.FileMode
}

func makeKeys(password []byte) (map[string]file, error) {
	out := map[string]file{TrustedRootFile: {[]byte(TrustedRoot), 0o644}}
	for _, r := range Roles {
		pair, err := cosign.GenerateKeyPair(func(bool) ([]byte, error) { return password, nil })
		if err != nil {
			return nil, fmt.Errorf("make key %s: %w", r, err)
		}
		out[keyFile(r)], out[publicFile(r)] = file{pair.PrivateBytes, 0o600}, file{pair.PublicBytes, 0o644}
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make ledger key: %w", err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(private, "vishwa ledger", password)
	if err != nil {
		return nil, fmt.Errorf("encrypt ledger key: %w", err)
	}
	line, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("encode ledger key: %w", err)
	}
	out[LedgerKey] = file{pem.EncodeToMemory(block), 0o600}
	out[LedgerKey+".pub"] = file{append(bytes.TrimSpace(ssh.MarshalAuthorizedKey(line)), " vishwa ledger\n"...), 0o644}
	return out, nil
}

// create writes a file that is not there, and makes sure that the disk has it.
func create(path string, f file) error {
	w, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
	if err != nil {
		return err
	}
	_, err = w.Write(f.text)
	return errors.Join(err, w.Sync(), w.Close())
}
