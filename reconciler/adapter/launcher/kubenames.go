// What the objects of a task are called.

package launcher

import (
	"crypto/rand"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// names are what a task's objects are called. The Secret and the Service have a name that no
// other try has: what is found under it is this one's, and need not be read.
type names struct{ object, secret, service string }

// objectName is the task's name, and one that leaves room for the numbers of its nodes: their
// names are host names too.
func objectName(t port.Task, room int) string {
	if len(t.Name)+room <= 63 {
		return t.Name
	}
	mark := digest.Of([]byte(t.Name)).Hex()[:10]
	return strings.TrimRight(t.Name[:63-room-len(mark)-1], "-") + "-" + mark
}

func newNames(object string) names {
	try := strings.ToLower(rand.Text()[:12])
	return names{object: object, secret: object[:min(len(object), 50)] + "-" + try, service: "vishwa-" + try}
}
