// A panic as an error: what breaks one step ends that step, and not the process.

package fault

import (
	"fmt"
	"path"
	"runtime"
	"strings"
)

// Panicked is the error that p comes to, which the deferred function that calls it has recovered. It tells
// where the panic came from.
func Panicked(p any) error {
	text := fmt.Sprintf("panic: %v", p)
	if at := panickedAt(); len(at) > 0 {
		text += ", in " + strings.Join(at, ", called by ")
	}
	return WithHint(New(Internal, "%s", text), "it is a fault of Vishwa: report it with this message")
}

// mostPlaces is how many callers a panic is told with.
const mostPlaces = 4

// panickedAt lists the functions that panicked, the innermost first, and after that one only our own.
func panickedAt() (out []string) {
	const ours = "github.com/vishwaops/vishwa/"
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	for panicking, more := false, true; more && len(out) < mostPlaces; {
		var f runtime.Frame
		f, more = frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			panicking = true
		case !panicking || strings.HasPrefix(f.Function, "runtime."):
		case len(out) == 0 || strings.HasPrefix(f.Function, ours):
			out = append(out, fmt.Sprintf("%s (%s:%d)", strings.TrimPrefix(f.Function, ours), path.Base(strings.ReplaceAll(f.File, `\`, "/")), f.Line))
		}
	}
	return out
}
