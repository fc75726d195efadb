// The keys of the stories: real ones, made once. The programs of the stories open them without the work, and the memory,
// that scrypt is made to take, which is a quarter of what the stories cost; other programs open them as any keys, and so do
// those of the stories where a story makes keys of its own, as keys and terms do.
package main

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
)

// quickKeys gives a test a copy of the keys, in a folder of its own.
func quickKeys(t *testing.T) string {
	t.Helper()
	made, err := quickOnes()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "keys")
	for name, text := range made {
		if err := write(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// quickOnes are generated keys, encrypted anew with the least work that their readers take.
var quickOnes = sync.OnceValues(func() (map[string][]byte, error) {
	dir, err := os.MkdirTemp("", "vishwa-keys-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := signer.Generate(dir, []byte(password)); err != nil {
		return nil, err
	}
	ledger := filepath.Join(dir, signer.LedgerKey)
	if out, err := exec.Command("ssh-keygen", "-q", "-p", "-a", "1", "-P", password, "-N", password, "-f", ledger).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("ssh-keygen: %w: %s", err, out)
	}
	all, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	made := map[string][]byte{}
	for _, f := range all {
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return nil, err
		}
		if block, _ := pem.Decode(text); block != nil && filepath.Ext(f.Name()) == ".key" {
			if text, err = quicker(block); err != nil {
				return nil, fmt.Errorf("%s: %w", f.Name(), err)
			}
		}
		made[f.Name()] = text
	}
	return made, nil
})

func quicker(block *pem.Block) ([]byte, error) {
	plain, err := encrypted.Decrypt(block.Bytes, []byte(password))
	if err != nil {
		return nil, err
	}
	if block.Bytes, err = encrypted.EncryptWithCustomKDFParameters(plain, []byte(password), encrypted.Legacy); err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(block), pem.EncodeToMemory(&pem.Block{Type: opened, Bytes: plain})...), nil
}

// opened is the block behind that of cosign, which nothing else reads.
const opened = "OPENED BY STORIES"

// unlockQuick opens the keys that quickKeys gives, and others as cosign does.
func unlockQuick(file, pass []byte) (signature.SignerVerifier, error) {
	_, rest := pem.Decode(file)
	block, _ := pem.Decode(rest)
	if block == nil || block.Type != opened || string(pass) != password {
		return cosign.LoadPrivateKey(file, pass, nil)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	return signature.LoadSignerVerifier(key, crypto.SHA256)
}
