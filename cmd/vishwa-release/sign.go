// The sums of a release's files, and one signature over them: a DSSE envelope in a
// Sigstore bundle, made by a build key, so that cosign verifies it as well.

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/attest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// The files of a release that are about the others.
const (
	sumsFile   = "SHA256SUMS"
	bundleFile = "SHA256SUMS.sigstore.json"
	keyFile    = "vishwa-release.pub" // for convenience: whom to trust is told elsewhere
)

// keys are the keys that sign a release.
type keys struct {
	*signer.Keys
	public []byte // of the key that builds are signed with
}

func openKeys(lookup func(string) (string, bool)) (*keys, error) {
	const way = "set VISHWA_KEYS to a folder of keys as vishwa keys generate makes them, and VISHWA_KEY_PASSWORD to their password"
	dir, named := lookup("VISHWA_KEYS")
	password, given := lookup("VISHWA_KEY_PASSWORD")
	if !named || !given {
		return nil, fault.WithHint(fault.New(fault.Denied, "a release is signed, and no keys are given to sign it with"), way)
	}
	public, err := os.ReadFile(filepath.Join(dir, string(port.Build)+".pub"))
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Missing, "read the public key: %w", err), way)
	}
	k := &keys{signer.Open(dir, func() ([]byte, error) { return []byte(password), nil }), public}
	return k, k.Ready(context.Background())
}

// seal writes the sums of all files in dir, the signature over them and the public key.
func (k *keys) seal(ctx context.Context, dir, version string) error {
	files, err := digests(dir)
	if err != nil {
		return err
	}
	sums := sumsOf(files)
	statement, err := attest.StateRelease(version, signed(sums, files))
	if err != nil {
		return fault.New(fault.Invalid, "%w", err)
	}
	bundle, err := k.Sign(ctx, port.Build, statement)
	if err != nil {
		return err
	}
	for name, raw := range map[string][]byte{sumsFile: sums, bundleFile: bundle, keyFile: k.public} {
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o644); err != nil {
			return fault.New(fault.Invalid, "write %s: %w", name, err)
		}
	}
	return nil
}

// verify holds the files in dir against the signature over them by the key at path.
func verify(ctx context.Context, dir, path, version string) error {
	const way = "do not use these files; download them again from the release's page"
	public, err := os.ReadFile(path)
	if err != nil {
		return fault.WithHint(fault.New(fault.Missing, "read the public key: %w", err), "name it with --key")
	}
	v, err := signer.NewVerifier([]signer.Trusted{{Name: "release", Role: port.Build, PEM: public}})
	if err != nil {
		return err
	}
	bundle, err := os.ReadFile(filepath.Join(dir, bundleFile))
	if err != nil {
		return fault.WithHint(fault.New(fault.Missing, "read the signature: %w", err), way)
	}
	statement, _, err := v.Verify(ctx, bundle)
	if err != nil {
		return fault.WithHint(err, way)
	}
	sums, err := os.ReadFile(filepath.Join(dir, sumsFile))
	if err != nil {
		return fault.WithHint(fault.New(fault.Missing, "read the sums: %w", err), way)
	}
	files, err := digests(dir)
	if err != nil {
		return err
	}
	if !bytes.Equal(sums, sumsOf(files)) {
		return fault.WithHint(fault.New(fault.Denied, "%s names other files, or other bytes, than are in %s", sumsFile, dir), way)
	}
	if err := attest.CheckRelease(statement, version, signed(sums, files)); err != nil {
		return fault.WithHint(fault.New(fault.Denied, "%w", err), way)
	}
	return nil
}

// signed are the files that a release's statement names: the sums, and what they name.
func signed(sums []byte, files []attest.File) []attest.File {
	return append([]attest.File{{Path: sumsFile, Digest: digest.Of(sums)}}, files...)
}

// digests are the files of dir that a release consists of, by name.
func digests(dir string) (files []attest.File, err error) {
	found, err := os.ReadDir(dir)
	if err != nil {
		return nil, fault.New(fault.Missing, "read the release: %w", err)
	}
	for _, e := range found {
		if slices.Contains([]string{sumsFile, bundleFile, keyFile}, e.Name()) {
			continue
		}
		if !e.Type().IsRegular() {
			return nil, fault.WithHint(fault.New(fault.Denied, "%s in %s is not a file", e.Name(), dir), "a release holds files alone: remove it")
		}
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, fault.New(fault.Missing, "read the release: %w", err)
		}
		d, _, err := digest.Reader(f)
		f.Close()
		if err != nil {
			return nil, fault.New(fault.Missing, "read %s: %w", e.Name(), err)
		}
		files = append(files, attest.File{Path: e.Name(), Digest: d})
	}
	return files, nil
}

// sumsOf are the sums as sha256sum -c reads them.
func sumsOf(files []attest.File) []byte {
	var out bytes.Buffer
	for _, f := range files {
		fmt.Fprintf(&out, "%s  %s\n", f.Digest.Hex(), f.Path)
	}
	return out.Bytes()
}
