// Images and artifacts for others to fetch: their blobs, manifests, tags, and what refers to them.

package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	oci "oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Artifacts is a repository of a registry.
type Artifacts struct{ b *repository }

// OpenArtifacts opens the repository of this name, as registry.example.com/team/churn. Nothing
// is asked of it yet. o.URL is not read.
func OpenArtifacts(o Options, name string) (*Artifacts, error) {
	ref, err := oci.ParseReference(name)
	if err != nil || ref.Reference != "" || ref.Repository == "" {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%q is not the name of a repository in a registry", name), "write it as registry.example.com/team/churn, without a tag")
	}
	b, err := imagesAt(o, ref)
	if err != nil {
		return nil, err
	}
	return &Artifacts{b}, nil
}

// Host is the registry, as it is declared; Repository the rest of the name.
func (a *Artifacts) Host() string       { return a.b.at.name }
func (a *Artifacts) Repository() string { return a.b.repo.Reference.Repository }

// HasBlob tells whether a blob of this size is there.
func (a *Artifacts) HasBlob(ctx context.Context, d godigest.Digest, size int64) (bool, error) {
	return a.b.has(ctx, d.String(), ocispec.Descriptor{Digest: d, Size: size})
}

// Mount has the registry take a blob over from another of its repositories. False: it does
// not, and the blob is to be sent.
func (a *Artifacts) Mount(ctx context.Context, d godigest.Digest, from string) (bool, error) {
	b := a.b
	ctx = auth.AppendRepositoryScope(a.pushing(ctx), oci.Reference{Registry: b.repo.Reference.Registry, Repository: from}, auth.ActionPull)
	resp, err := a.do(ctx, http.MethodPost, a.address("uploads/?"+url.Values{"mount": {d.String()}, "from": {from}}.Encode()))
	if err != nil {
		return false, b.classed(ctx, d.String(), err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusCreated:
		return true, nil
	case http.StatusAccepted: // it began an upload instead
		if at, err := a.led(resp); err == nil {
			if ended, err := a.do(ctx, http.MethodDelete, at); err == nil {
				ended.Body.Close()
			}
		}
		return false, nil
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusBadRequest:
		return false, nil // whoever may push need not be let read elsewhere
	}
	return false, b.classed(ctx, d.String(), answered(resp))
}

// PushBytes sends a small blob, where it is not there.
func (a *Artifacts) PushBytes(ctx context.Context, raw []byte) error {
	_, err := a.b.part(ctx, godigest.FromBytes(raw).String(), io.NewSectionReader(bytes.NewReader(raw), 0, int64(len(raw))), false)
	return err
}

// PushManifest keeps a manifest or an index, under its digest, or under a tag.
func (a *Artifacts) PushManifest(ctx context.Context, d ocispec.Descriptor, raw []byte, tag string) error {
	m := a.b.repo.Manifests()
	at := tag
	if tag == "" {
		at = d.Digest.String()
	}
	d.Annotations, d.Platform = nil, nil
	err := m.PushReference(ctx, d, bytes.NewReader(raw), at)
	if err == nil {
		return nil
	}
	if lost(err) {
		return LostBlob(fault.WithHint(fault.New(fault.Transient, "%s: the registry does not have a blob that was sent to it", a.b.name(at)), "run the command again; if it stays so, see whether its garbage collection runs while bytes are sent"))
	}
	if tag != "" && stuck(err) {
		return fault.WithHint(fault.New(fault.Conflict, "%s: the registry does not let this tag name something else", a.b.name(at)), "take the tag out of the declaration, or let the registry move it; the package is there by its digest")
	}
	return a.b.classed(ctx, at, err)
}

// Manifest reads a manifest or an index, and holds it against its digest. Absent is Missing.
func (a *Artifacts) Manifest(ctx context.Context, reference string) (ocispec.Descriptor, []byte, error) {
	raw, kind, err := a.b.document(ctx, reference)
	return ocispec.Descriptor{MediaType: kind, Digest: godigest.FromBytes(raw), Size: int64(len(raw))}, raw, err
}

// Resolve is what a tag, or a digest, names; none is Missing.
func (a *Artifacts) Resolve(ctx context.Context, reference string) (d ocispec.Descriptor, err error) {
	err = a.b.tried(ctx, reference, func() error {
		d, err = a.b.repo.Manifests().Resolve(ctx, reference)
		return err
	})
	return d, err
}

// Answers tells why nothing could be sent there, as far as it shows before anything is: that nobody answers, or does not let these
// credentials in. A repository that is not there yet may be made by what is sent.
func (a *Artifacts) Answers(ctx context.Context) error {
	_, err := a.Resolve(a.pushing(ctx), "latest")
	if err != nil && fault.Of(err) == fault.Missing {
		return nil
	}
	return err
}

// Referrers lists what refers to a manifest.
func (a *Artifacts) Referrers(ctx context.Context, subject ocispec.Descriptor) (out []ocispec.Descriptor, err error) {
	err = a.b.tried(ctx, subject.Digest.String(), func() error {
		out = nil
		return a.b.repo.Referrers(ctx, subject, "", func(some []ocispec.Descriptor) error {
			if out = append(out, some...); len(out) > mostReferrers {
				return fault.WithHint(fault.New(fault.Invalid, "more than %d manifests refer to it", mostReferrers), "remove those in the registry that nobody needs")
			}
			return nil
		})
	})
	if fault.Of(err) == fault.Missing {
		return nil, nil
	}
	return out, err
}

const mostReferrers = 2000

// Blob reads a blob from its beginning to its end, gone on with where it was cut off. Bytes
// that are not its are Corrupt in place of io.EOF.
func (a *Artifacts) Blob(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	if d.Size <= 0 {
		return nil, fault.New(fault.Invalid, "%s: a blob has no size", a.b.name(d.Digest.String()))
	}
	body := &reader{b: a.b, ctx: ctx, key: d.Digest.String(), pieces: pieces([]ocispec.Descriptor{d}, 0, d.Size)}
	if err := body.begin(); err != nil {
		return nil, err
	}
	return body, nil
}

// pushing is a context whose requests may push.
func (a *Artifacts) pushing(ctx context.Context) context.Context {
	return auth.AppendRepositoryScope(ctx, a.b.repo.Reference, auth.ActionPull, auth.ActionPush)
}

// address is that of the repository's blobs.
func (a *Artifacts) address(rest string) string {
	scheme := "https"
	if a.b.repo.PlainHTTP {
		scheme = "http"
	}
	return fmt.Sprintf("%s://%s/v2/%s/blobs/%s", scheme, a.b.at.host, a.b.repo.Reference.Repository, rest)
}

// do asks, with credentials where the registry wants them.
func (a *Artifacts) do(ctx context.Context, method, at string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, at, http.NoBody)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s: an address cannot be read", a.b.at.name)
	}
	return a.b.repo.Client.Do(req)
}

// led is where a registry says that an upload goes on: at the registry itself, as credentials
// go with it.
func (a *Artifacts) led(resp *http.Response) (string, error) {
	to, err := resp.Location()
	if err != nil {
		return "", fault.WithHint(fault.New(fault.Invalid, "%s does not say where to send bytes", a.b.at.name), "ask who runs the registry: it answers uploads otherwise than the OCI distribution specification says")
	}
	own := func(u *url.URL) string {
		port := u.Port()
		if port == "" {
			port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
		}
		return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
	}
	if own(to) != own(resp.Request.URL) {
		return "", fault.WithHint(fault.New(fault.Denied, "the registry %s leads an upload to %s://%s, which is not safe", a.b.at.name, to.Scheme, to.Host), "have the registry name itself in Location")
	}
	return to.String(), nil
}

// lostBlob is an error about what a registry was sent and does not have.
type lostBlob struct{ error }

func (l lostBlob) Unwrap() error { return l.error }

// LostBlob marks err as one about bytes that were sent and are not there: Lost knows it again.
func LostBlob(err error) error { return lostBlob{err} }

// Lost tells whether what was sent before is to be sent again.
func Lost(err error) bool { return errors.As(err, new(lostBlob)) }
