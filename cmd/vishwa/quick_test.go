// The keys of the stories: real ones, made once, and opened in a fraction of the time that
// the keys of vishwa keys generate take, which the stories keys and terms are told with.
package main

import (
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"

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
	return pem.EncodeToMemory(block), nil
}
