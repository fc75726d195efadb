// What a remote has: asked object by object, or listed, whichever takes fewer
// requests.

package transfer

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

const (
	few      = 256  // objects that are asked for one by one without another thought
	page     = 1000 // objects that a listing returns at once (S3's ListObjectsV2)
	prefixes = 256  // of two hexadecimal digits, by which the objects are laid out
)

// Answers tells why nothing could be asked of the remote; whether anything is there does not matter.
func (r *Remote) Answers(ctx context.Context) error {
	_, err := r.Bucket.Stat(ctx, r.fan("00")+strings.Repeat("0", 30))
	if err == nil || fault.Of(err) == fault.Missing && !errors.Is(err, port.ErrAbsent) {
		return nil
	}
	return fault.WithHint(fault.New(fault.Of(err), "remote %s cannot be reached: %w", r.Name, err), "%s", fault.HintOf(err))
}

// Present tells which of oids the remote has, and their sizes in bytes there.
func (r *Remote) Present(ctx context.Context, oids []dvc.OID) (map[dvc.OID]int64, error) {
	var there map[dvc.OID]int64
	list, err := r.cheaper(ctx, len(oids))
	switch {
	case err != nil:
	case list:
		there, err = r.listed(ctx, oids)
	default:
		there, err = r.asked(ctx, oids)
	}
	if err != nil {
		return nil, fmt.Errorf("look into remote %s: %w", r.Name, err)
	}
	return there, nil
}

// cheaper tells whether listing the remote takes fewer requests than n. One of its
// folders says how large it is: names are MD5 and spread evenly.
func (r *Remote) cheaper(ctx context.Context, n int) (bool, error) {
	if n <= few {
		return false, nil
	}
	inOne := 0
	for _, err := range r.Bucket.List(ctx, r.fan("00")) {
		if err != nil {
			return false, err
		}
		if inOne++; prefixes*(1+inOne/page) > n {
			return false, nil
		}
	}
	return true, nil
}

// fan is what the keys of objects begin with whose names begin with two digits.
func (r *Remote) fan(digits string) string {
	if r.Legacy {
		return digits + "/"
	}
	return "files/md5/" + digits + "/"
}

func (r *Remote) asked(ctx context.Context, oids []dvc.OID) (map[dvc.OID]int64, error) {
	there := make(map[dvc.OID]int64, len(oids))
	var mu sync.Mutex
	return there, r.each(ctx, oids, func(ctx context.Context, oid dvc.OID) error {
		o, err := r.Bucket.Stat(ctx, r.key(oid))
		if fault.Of(err) == fault.Missing && err != nil {
			return nil
		}
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		there[oid] = o.Size
		return nil
	})
}

// listed goes through the folders that the objects would be in.
func (r *Remote) listed(ctx context.Context, oids []dvc.OID) (map[dvc.OID]int64, error) {
	wanted := make(map[string]map[dvc.OID]bool, prefixes)
	for _, o := range oids {
		if wanted[string(o[:2])] == nil {
			wanted[string(o[:2])] = map[dvc.OID]bool{}
		}
		wanted[string(o[:2])][o] = true
	}
	there := make(map[dvc.OID]int64, len(oids))
	var mu sync.Mutex
	g, ctx := routine.WithContext(ctx)
	g.SetLimit(r.jobs())
	for prefix, want := range wanted {
		g.Start(func() error {
			for o, err := range r.Bucket.List(ctx, r.fan(prefix)) {
				if err != nil {
					return err
				}
				if oid := dvc.OID(prefix + path.Base(o.Key)); want[oid] {
					mu.Lock()
					there[oid] = o.Size
					mu.Unlock()
				}
			}
			return nil
		})
	}
	return there, g.Wait()
}
