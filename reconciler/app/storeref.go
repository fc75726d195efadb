// Where the store of artifacts is: told on the command line to processes that outlive
// this one.

package app

import (
	"encoding/json"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/adapter/store"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// StoreRef is a folder of this machine, before a bucket where there is one.
type StoreRef struct {
	Dir string `json:"dir"`
	// Shared is set where a declaration names the folder: others may use it, too.
	Shared bool        `json:"shared,omitempty"`
	S3     *schemas.S3 `json:"s3,omitempty"`
}

// String is what ParseStorePlace reads. It holds no secret.
func (p StoreRef) String() string {
	b, _ := json.Marshal(p) // of strings: never fails
	return string(b)
}

// ParseStoreRef reads a place.
func ParseStoreRef(text string) (p StoreRef, err error) {
	if err := json.Unmarshal([]byte(text), &p); err != nil || p.Dir == "" {
		return p, fault.New(fault.Invalid, "%q is no place of a store", text)
	}
	return p, nil
}

// variables are those that hold the bucket's credentials.
func (p StoreRef) variables() []string {
	if p.S3 == nil {
		return nil
	}
	return bucket.Variables
}

// shelf is where objects with names of their own are kept beside the store's content,
// and what to call it; nil where the store is this machine's alone.
func (p StoreRef) shelf(env port.Env) (b port.Bucket, name string, err error) {
	switch {
	case p.S3 != nil:
		b, err := p.bucket(env)
		return b, "the store at " + p.S3.URL, err
	case p.Shared:
		b, err := bucket.Dir(p.Dir)
		return b, "the store at " + p.Dir, err
	}
	return nil, "", nil
}

// OpenStore opens the store at p.
func OpenStore(p StoreRef, env port.Env) (port.Store, error) {
	open := store.Dir
	if p.Shared {
		open = store.Shared
	}
	near, err := open(p.Dir)
	if err != nil || p.S3 == nil {
		return near, err
	}
	b, err := p.bucket(env)
	if err != nil {
		return nil, err
	}
	return store.On(b, near), nil
}

func (p StoreRef) bucket(env port.Env) (port.Bucket, error) {
	name, prefix, _ := strings.Cut(strings.TrimPrefix(p.S3.URL, "s3://"), "/")
	return bucket.S3(bucket.S3Options{Bucket: name, Prefix: strings.Trim(prefix, "/"), Endpoint: p.S3.Endpoint, Region: p.S3.Region, Profile: p.S3.Profile, PathStyle: p.S3.PathStyle, Lookup: env.Lookup})
}
