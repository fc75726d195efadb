// A controller's keys in a server's secret: a job has no folder of its own to find
// them in, and a secret is one string.

package ci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"io"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// Bounds of an archive of keys; GitHub keeps secrets of up to 48 KiB.
const (
	mostArchive = 256 << 10 // bytes, in base64
	mostKey     = 64 << 10  // bytes of one file
	mostKeys    = 32        // files
)

var keyFile = lazyregexp.New(`^[a-z][a-z0-9-]{0,40}(?:\.(?:key|pub|json))?$`)

// Keys unpacks a folder of keys from the base64 of its tar.gz. Nothing of the
// archive is repeated in an error.
func Keys(archive string) (map[string][]byte, error) {
	bad := func(what string) error {
		return fault.WithHint(fault.New(fault.Invalid, "read the keys: the secret %s", what),
			"make it of the keys' folder: tar -C KEYS -cz . | base64")
	}
	if len(archive) > mostArchive {
		return nil, bad("is larger than 256 KiB")
	}
	raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(archive), ""))
	if err != nil {
		return nil, bad("is not base64")
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, bad("is not a tar.gz")
	}
	out := map[string][]byte{}
	for t := tar.NewReader(io.LimitReader(z, mostKeys*(mostKey+2048))); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, bad("is not a tar.gz")
		}
		name := strings.TrimPrefix(h.Name, "./")
		switch {
		case h.Typeflag == tar.TypeDir && strings.Trim(name, "/.") == "":
			continue
		case h.Typeflag != tar.TypeReg || !keyFile.MatchString(name) || out[name] != nil:
			return nil, bad("holds something besides the files of a folder of keys")
		case h.Size > mostKey || len(out) == mostKeys:
			return nil, bad("holds more than keys")
		}
		if out[name], err = io.ReadAll(t); err != nil {
			return nil, bad("is cut off")
		}
	}
	if len(out) == 0 {
		return nil, bad("holds no keys")
	}
	return out, nil
}
