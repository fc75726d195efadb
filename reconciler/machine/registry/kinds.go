// What a registry's answers mean.

package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
)

// status is that of an answer; 0 where there is none.
func status(err error) int {
	var e *errcode.ErrorResponse
	if errors.As(err, &e) {
		return e.StatusCode
	}
	return 0
}

// coded tells whether a registry gives one of these codes as its reason.
func coded(err error, codes ...string) bool {
	var e *errcode.ErrorResponse
	return errors.As(err, &e) && slices.ContainsFunc(e.Errors, func(e errcode.Error) bool { return slices.Contains(codes, e.Code) })
}

// codeShape is what a code looks like: what else a registry says is not told on.
var codeShape = lazyregexp.New(`^[A-Z_]{1,40}$`)

// classed gives what went wrong its kind. Nothing of a query or a token is told.
func (b *repository) classed(ctx context.Context, key string, err error) error {
	if err == nil {
		return nil
	}
	name := b.name(key)
	var known *fault.Error
	var answer *errcode.ErrorResponse
	var unreached *url.Error
	var network net.Error
	var lost *net.DNSError
	switch {
	case ctx.Err() != nil:
		return fault.New(fault.Cancelled, "%s: %w", name, ctx.Err())
	case errors.As(err, &known):
		if strings.HasPrefix(known.Error(), name) || strings.HasPrefix(known.Error(), "read "+name) {
			return known
		}
		return fault.WithHint(fault.New(known.Kind, "%s: %w", name, known), "%s", fault.HintOf(known))
	case errors.As(err, &answer):
		return b.refused(name, answer)
	case errors.Is(err, errdef.ErrNotFound):
		return fault.WithHint(fault.New(fault.Missing, "%s: it is not there", name), "correct the name, the tag or the digest; or push it there again")
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return b.denied(name + ": there are no credentials for the registry")
	case strings.Contains(err.Error(), "bearer realm"), strings.Contains(err.Error(), "blob upload Location"): // oras-go has no type for them
		return fault.WithHint(fault.New(fault.Denied, "%s: the registry leads to an address that is not safe", name), "have the registry name itself, or addresses that begin with https")
	case httpx.Untrusted(err):
		return fault.WithHint(fault.New(fault.Denied, "%s: the registry's certificate is not trusted", name), "name the file of its authority in VISHWA_OCI_CA_FILE")
	case errors.As(err, &lost) && lost.IsNotFound:
		return fault.WithHint(fault.New(fault.Transient, "%s: no host has the name %s", name, lost.Name), "correct the registry's name, or try again when the name server knows it")
	case errors.As(err, &unreached): // its address holds the query
		return fault.WithHint(fault.New(fault.Transient, "%s: the registry does not answer: %w", name, unreached.Err), "try again when the registry answers")
	case !errors.As(err, &network) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF):
		return fault.WithHint(fault.New(fault.Invalid, "%s: the answer is no registry's", name), "correct the address, or ask who runs %s", b.at.name)
	}
	return fault.WithHint(fault.New(fault.Transient, "%s: %w (%v)", name, errCut, err), "try again when the registry answers")
}

func (b *repository) denied(text string) error {
	return fault.WithHint(fault.New(fault.Denied, "%s", text),
		"sign in with docker login %s, or set VISHWA_OCI_REGISTRY, VISHWA_OCI_USERNAME and VISHWA_OCI_PASSWORD, and allow these credentials to pull and push", b.at.name)
}

func (b *repository) refused(name string, e *errcode.ErrorResponse) error {
	text := fmt.Sprintf("%s: the registry answers %d", name, e.StatusCode)
	for _, one := range e.Errors {
		if codeShape.MatchString(one.Code) {
			text += " " + one.Code
		}
	}
	switch code := e.StatusCode; {
	case writes(e.Method) && code < 500 && full(e):
		return fault.WithHint(fault.New(fault.Denied, "%s: it has no room left for this repository", text), "raise its quota in the registry, or remove there what nobody needs; then run the command again")
	case coded(e, "DIGEST_INVALID", "SIZE_INVALID"):
		return fault.WithHint(fault.New(fault.Transient, "%s: what arrived was not what was sent", text), "try again; if it stays, look for a proxy that changes what passes, and check the machine's memory")
	case coded(e, "BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"), code == http.StatusRequestedRangeNotSatisfiable && e.Method != http.MethodGet:
		return fault.WithHint(fault.New(fault.Transient, "%s: the upload was lost", text), "try again; if it stays, have all requests of one upload reach the same server of the registry")
	case e.Method == http.MethodPut && code == http.StatusUnauthorized:
		return fault.WithHint(fault.New(fault.Transient, "%s: its token ended while bytes were sent", text), "try again")
	case coded(e, "NAME_UNKNOWN") && e.Method != http.MethodGet && e.Method != http.MethodHead:
		return fault.WithHint(fault.New(fault.Missing, "%s", text), "make the repository in the registry, or correct its name")
	case code == http.StatusNotFound && (e.Method == http.MethodGet || e.Method == http.MethodHead):
		return fault.New(fault.Missing, "%s", text)
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return b.denied(text)
	case code == http.StatusInsufficientStorage:
		return fault.WithHint(fault.New(fault.Transient, "%s: it has no room left", text), "make room there, then run the command again")
	case code == http.StatusRequestEntityTooLarge:
		return fault.WithHint(fault.New(fault.Invalid, "%s", text), "allow the registry, and any proxy before it, parts of %d MiB", leastPart>>20)
	case writes(e.Method) && code == http.StatusMethodNotAllowed: // so answers one whose garbage is collected, and one that has no pushes at all
		return fault.WithHint(fault.New(fault.Transient, "%s: it takes nothing at present", text), "try again when the registry may be written to: it is read-only while its garbage is collected; one that only keeps copies of another takes nothing ever")
	case writes(e.Method) && coded(e, "MANIFEST_INVALID"):
		return fault.WithHint(fault.New(fault.Invalid, "%s: it does not take such a manifest", text), "use a registry of OCI 1.1, such as distribution 3, or ask who runs %s which artifacts it takes", b.at.name)
	case code >= 500, code == http.StatusTooManyRequests, code == http.StatusRequestTimeout:
		return fault.WithHint(fault.New(fault.Transient, "%s", text), "try again when the registry answers")
	}
	return fault.WithHint(fault.New(fault.Invalid, "%s", text), "correct the address, or ask who runs %s", b.at.name)
}

// writes tells whether a request sends something.
func writes(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// says tells whether a registry gives a reason with one of these words. What it says is read for this alone, and not told on.
func says(err error, words ...string) bool {
	var e *errcode.ErrorResponse
	return errors.As(err, &e) && slices.ContainsFunc(e.Errors, func(e errcode.Error) bool {
		text := strings.ToLower(e.Message)
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
	})
}

// full tells that a repository has no room left.
func full(err error) bool {
	return coded(err, "LIMIT_EXCEEDED", "QUOTA_EXCEEDED") || says(err, "quota", "exceed")
}

// stuck tells that a registry does not let a tag move. Harbor answers 412 to what has no room, too.
func stuck(err error) bool {
	if full(err) {
		return false
	}
	switch status(err) {
	case http.StatusConflict, http.StatusPreconditionFailed:
		return true
	case http.StatusBadRequest, http.StatusForbidden, http.StatusMethodNotAllowed:
		return coded(err, "TAG_INVALID", "IMMUTABLE_TAG", "TAG_IMMUTABLE") || says(err, "immutable", "already exists")
	}
	return false
}
