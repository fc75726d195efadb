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

// objectName is the task's name or, where that leaves no room for the numbers of its nodes or
// begins with a digit, one that does not: the names of nodes are host names too.
func objectName(t port.Task, room int) string {
	letter := t.Name[0] >= 'a'
	if len(t.Name)+room <= 63 && (letter || room == 0) {
		return t.Name
	}
	mark := digest.Of([]byte(t.Name)).Hex()[:10]
	return "t" + strings.TrimRight(t.Name[:min(len(t.Name), 63-room-len(mark)-2)], "-") + "-" + mark
}

func newNames(object string) names {
	try := strings.ToLower(rand.Text()[:12])
	return names{object: object, secret: object[:min(len(object), 50)] + "-" + try, service: "vishwa-" + try}
}
