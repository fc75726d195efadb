// A store in the repository's DVC remote, beside the data that is there.

package app

import (
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// besideDVC is the folder of the store in a remote. DVC's own objects are in files/md5, and
// in folders of two digits beside it: dvc gc looks at nothing else.
const besideDVC = "vishwa"

func inDVC(p StoreRef) *away {
	if p.Away.DVC == nil || p.DVC == nil {
		return nil
	}
	return &away{"DVC remote " + p.DVC.Name, bucket.Variables, func(env port.Env) (port.Bucket, error) {
		return p.DVC.Open(env, besideDVC)
	}}
}
