// A store in S3, or what speaks its protocol.

package app

import (
	"strings"

	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func inS3(p StoreRef) *away {
	at := p.Away.S3
	if at == nil {
		return nil
	}
	return &away{at.URL, bucket.Variables, func(env port.Env) (port.Bucket, error) {
		if err := env.MayUse(at.Address()); err != nil {
			return nil, err
		}
		name, prefix, _ := strings.Cut(strings.TrimPrefix(at.URL, "s3://"), "/")
		return bucket.S3(bucket.S3Options{Bucket: name, Prefix: strings.Trim(prefix, "/"), Endpoint: at.Endpoint, Region: at.Region,
			Profile: at.Profile, PathStyle: at.PathStyle, Lookup: env.Lookup})
	}}
}
