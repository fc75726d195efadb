// The same checks with others' programs: what a reader types who does not take
// Vishwa's word for it.

package signer

import (
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/attest"
)

// Offered says where the files lie that others' programs are given.
type Offered struct {
	Dir         string // the released model's folder
	PublicKey   string // PEM file of the key that signed
	TrustedRoot string // a file that holds TrustedRoot
}

// Commands are the command lines, for a POSIX shell, with which cosign v2.6.5 and
// the Python program model_signing verify the released model that r is about.
// All of them have to succeed: cosign is told the digest of the signed list of
// files, and hashes one file after the other against the provenance; model_signing
// hashes all files, and finds those that were added.
func Commands(o Offered, r Report) []string {
	cosign := func(bundle, kind string, what ...string) string {
		return line(append([]string{
			"cosign", "verify-blob-attestation", "--key", o.PublicKey, "--bundle", bundle, "--type", kind,
			"--trusted-root", o.TrustedRoot, "--private-infrastructure", "--insecure-ignore-tlog",
		}, what...)...)
	}
	byDigest := func(d digest.Digest) []string { return []string{"--digest", d.Hex(), "--digestAlg", "sha256"} }

	out := []string{
		line("model_signing", "verify", "key", o.Dir, "--signature", SignaturePath(o.Dir), "--no-ignore-git-paths", "--public_key", o.PublicKey),
		cosign(SignaturePath(o.Dir), attest.ModelSignature, byDigest(r.Root)...),
		cosign(ProvenancePath(o.Dir), attest.ProvenanceType, byDigest(r.Digest)...),
	}
	for _, f := range r.Paths {
		out = append(out, cosign(ProvenancePath(o.Dir), attest.ProvenanceType, o.Dir+"/"+f))
	}
	return out
}

// PackageCommands are those with which cosign v2.6.5 verifies a package in a registry: that its
// digest was signed, and how the model in it came to be.
func PackageCommands(o Offered, reference string) []string {
	with := []string{"--key", o.PublicKey, "--new-bundle-format", "--trusted-root", o.TrustedRoot, "--private-infrastructure", "--insecure-ignore-tlog"}
	return []string{
		line(append(append([]string{"cosign", "verify"}, with...), reference)...),
		line(append(append([]string{"cosign", "verify-attestation", "--type", attest.ProvenanceType}, with...), reference)...),
	}
}

// line quotes words for a POSIX shell.
func line(words ...string) string {
	out := make([]string, len(words))
	for i, w := range words {
		if w == "" || strings.Trim(w, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_") != "" {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		out[i] = w
	}
	return strings.Join(out, " ")
}
