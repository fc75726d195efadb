// Package served is what a pod that serves is brought: the release, which its pod names by digest, and a
// ticket with where its content is read, which ends and is made anew. Fetch is what brings it, in the pod.
package served

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/attest"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Folders of a release in a pod.
const (
	ModelDir   = "model/"
	CodeDir    = "code/"
	InputsDir  = "inputs/"
	ParamsFile = "params.json"
)

// Version is that of both formats here.
const Version = 1

// Release is a release as a pod is brought it. It holds no secret and ends never: what a pod serves
// follows from the digest of this, which stands in the pod itself.
type Release struct {
	Version int    `json:"version"`
	Ref     string `json:"ref"` // for people
	// Files are all of it: below code/, model/ and inputs/, and params.json.
	Files digest.Manifest `json:"files"`
	// Signature is of the model's files, by one of Keys; in PEM.
	Signature digest.Digest `json:"signature"`
	Keys      []string      `json:"keys"`
}

// Ticket is what a pod is lent to bring a release. It is secret.
type Ticket struct {
	Version int    `json:"version"`
	Release []byte `json:"release"` // a Release, as its digest is of
	// Read is where content is read, by its name; Inline is content that is in the ticket.
	Read   map[digest.Digest]string `json:"read"`
	Inline map[digest.Digest][]byte `json:"inline,omitempty"`
	Until  time.Time                `json:"until"`
}

// Pack writes a ticket, small.
func (t Ticket) Pack() ([]byte, error) {
	raw, err := json.Marshal(t)
	if err != nil {
		return nil, fault.New(fault.Internal, "write the ticket of a release: %w", err)
	}
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err == nil {
		_, err = z.Write(raw)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return nil, fault.New(fault.Internal, "write the ticket of a release: %w", err)
	}
	return out.Bytes(), nil
}

// mostTicket bounds a ticket that was unpacked, in bytes.
const mostTicket = 64 << 20

// ReadTicket reads what Pack wrote, and the release in it, which has to be the one of that digest.
func ReadTicket(packed []byte, want digest.Digest) (Ticket, Release, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return Ticket{}, Release{}, fault.WithHint(fault.New(fault.Corrupt, "the ticket of a release cannot be read: %w", err), "run vishwa apply: it writes the ticket anew")
	}
	raw, err := io.ReadAll(io.LimitReader(z, mostTicket+1))
	if err != nil || len(raw) > mostTicket {
		return Ticket{}, Release{}, fault.WithHint(fault.New(fault.Corrupt, "the ticket of a release cannot be read, or is larger than %d bytes", mostTicket), "run vishwa apply: it writes the ticket anew")
	}
	t, err := decode("ticket", raw, func(t Ticket) int { return t.Version })
	if err != nil {
		return t, Release{}, err
	}
	if got := digest.Of(t.Release); got != want {
		return t, Release{}, fault.WithHint(fault.New(fault.Denied, "the ticket is for release %s, and this pod is of %s", got.Short(), want.Short()), "somebody changed the Secret of this pod: run vishwa apply")
	}
	r, err := decode("release", t.Release, func(r Release) int { return r.Version })
	if err != nil {
		return t, r, err
	}
	if err := r.Files.Check(); err != nil {
		return t, r, fault.New(fault.Corrupt, "the files of the release: %w", err)
	}
	return t, r, nil
}

// decode reads one of the formats, of this version alone.
func decode[T any](what string, raw []byte, version func(T) int) (v T, err error) {
	if err := json.Unmarshal(raw, &v); err != nil {
		return v, fault.New(fault.Corrupt, "read the %s: %w", what, err)
	}
	if n := version(v); n != Version {
		return v, fault.WithHint(fault.New(fault.Invalid, "the %s is of version %d, and what is read here is version %d", what, n, Version), "give the pods a worker of the same version as the controller")
	}
	return v, nil
}

// Model are the files of the model, by their paths in its folder.
func (r Release) Model() (out digest.Manifest) {
	for _, f := range r.Files {
		if rest, ok := strings.CutPrefix(f.Path, ModelDir); ok {
			f.Path = rest
			out = append(out, f)
		}
	}
	return out
}

// Verify tells whether a trusted key signed exactly the model's files.
func (r Release) Verify(signature []byte) error {
	const way = "do not serve it: vishwa ledger verify and vishwa explain tell where it came from"
	keys := make([][]byte, len(r.Keys))
	for i, k := range r.Keys {
		keys[i] = []byte(k)
	}
	said, err := attest.Verify(signature, keys)
	if err != nil {
		return fault.WithHint(fault.New(fault.Denied, "the signature of the model of %s: %w", r.Ref, err), way)
	}
	m, err := attest.ParseModel(said)
	if err != nil {
		return fault.WithHint(fault.New(fault.Denied, "the signature of the model of %s: %w", r.Ref, err), way)
	}
	if wrong := m.Differences(r.Model()); len(wrong) > 0 {
		return fault.WithHint(fault.New(fault.Denied, "the model of %s is not what was signed: %s", r.Ref, strings.Join(wrong[:min(len(wrong), 3)], "; ")), way)
	}
	return nil
}
