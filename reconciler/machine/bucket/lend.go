// Lending: requests that are signed ahead, so that a worker without credentials reads a few
// objects and writes below one prefix, for a while.

package bucket

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// mostLent is how long S3 takes a request that was signed ahead.
const mostLent = 7 * 24 * time.Hour

var _ port.Lender = (*s3)(nil)

// Lend signs a GET for each key, and a POST policy for the prefix.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
func (b *s3) Lend(ctx context.Context, loan port.Loan) (port.Grant, error) {
	if !strings.HasSuffix(loan.Write, "/") || checkKey(strings.TrimSuffix(loan.Write, "/")) != nil {
		return port.Grant{}, fault.New(fault.Internal, "lend: %q is not a prefix", loan.Write)
	}
	now := time.Now()
	until := loan.Until
	if most := now.Add(mostLent - time.Minute); until.After(most) {
		until = most
	}
	v, err := b.c.GetCreds()
	if err == nil && loan.Anew && !v.Expiration.IsZero() && v.Expiration.Before(until) {
		b.creds.Expire()
		v, err = b.c.GetCreds()
	}
	if err != nil {
		return port.Grant{}, fmt.Errorf("lend of %s: %w", b.bucket, err)
	} else if !v.Expiration.IsZero() && v.Expiration.Before(until) {
		until = v.Expiration // what is signed ends with what signs it
	}
	if !until.After(now) {
		return port.Grant{}, fault.WithHint(fault.New(fault.Transient, "lend of %s: the credentials end at %s", b.bucket, until.Format(time.RFC3339)), "give the controller credentials that live longer than a run, or a profile that renews them")
	}
	g := port.Grant{Read: make(map[string]string, len(loan.Read)), Until: until}
	for _, key := range loan.Read {
		if err := checkKey(key); err != nil {
			return port.Grant{}, err
		}
		u, err := b.c.PresignedGetObject(ctx, b.bucket, b.prefix+key, until.Sub(now), nil)
		if err != nil {
			return port.Grant{}, fmt.Errorf("lend %s: %w", key, err)
		}
		g.Read[key] = u.String()
	}
	policy := minio.NewPostPolicy()
	prefix := b.prefix + loan.Write
	for _, err := range []error{policy.SetBucket(b.bucket), policy.SetKeyStartsWith(prefix), policy.SetExpires(until), policy.SetContentLengthRange(0, 5<<30)} {
		if err != nil {
			return port.Grant{}, fault.New(fault.Internal, "lend below %s: %w", loan.Write, err)
		}
	}
	u, fields, err := b.c.PresignedPostPolicy(ctx, policy)
	if err != nil {
		return port.Grant{}, fmt.Errorf("lend below %s: %w", loan.Write, err)
	}
	g.Write = port.WriteGrant{URL: u.String(), Fields: fields, Prefix: prefix}
	return g, nil
}
