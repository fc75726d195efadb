// A panic as an error: what breaks one step ends that step, and not the process.

package fault

import (
	"errors"
	"fmt"
	"path"
	"runtime"
	"strings"
)

// Guard calls f, and makes a panic of it an error.
func Guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = Panicked(p)
		}
	}()
	return f()
}

// Go calls f beside the caller. A go statement whose function panics ends the process, whoever else it serves: here the panic ends f alone,
// and told gets it as an error, after all that f has deferred. Whoever waits for f must hear of it there.
func Go(f func(), told func(error)) {
	go func() {
		err := Guard(func() error { f(); return nil })
		if err != nil {
			_ = Guard(func() error { told(err); return nil }) // it may be the telling that panics
		}
	}()
}

// Panicked is the error that p comes to, which the deferred function that calls it has recovered. It tells
// where the panic came from. What was raised again comes to the error that it first was.
func Panicked(p any) error {
	var before *panicked
	if err, is := p.(error); is && errors.As(err, &before) {
		return err
	}
	at := panickedAt()
	text, told := "panic: "+said(p), 0
	for i, f := range at {
		switch {
		case i == 0:
			text += ", in " + f.String()
		case told < mostCallers && strings.HasPrefix(f.Function, ours): // a library's own say little of what was asked of it
			text, told = text+", called by "+f.String(), told+1
		}
	}
	return WithHint(New(Internal, "%w", &panicked{text, stack(at)}), "it is a fault of Vishwa: report it with this message")
}

// Stack lists the calls that led to the panic that err comes from, the innermost first; "" where it comes from none. It holds names of
// functions and lines, and none of what they were called with.
func Stack(err error) string {
	var p *panicked
	if !errors.As(err, &p) {
		return ""
	}
	return p.stack
}

type panicked struct{ text, stack string }

func (p *panicked) Error() string { return p.text }

// said is what a panic says of itself. Other values are shown by their type: nobody wrote them to be read, and their fields may be secrets.
func said(p any) string {
	switch p := p.(type) {
	case error:
		return p.Error()
	case fmt.Stringer:
		return p.String()
	case string:
		return p
	default:
		return fmt.Sprintf("a value of %T", p)
	}
}

const (
	mostCallers = 3 // of ours, that a panic is told with
	ours        = "github.com/vishwaops/vishwa/"
)

// frame is one call.
type frame struct{ runtime.Frame }

func (f frame) String() string {
	return fmt.Sprintf("%s (%s:%d)", strings.TrimPrefix(f.Function, ours), path.Base(strings.ReplaceAll(f.File, `\`, "/")), f.Line)
}

func stack(at []frame) string {
	lines := make([]string, len(at))
	for i, f := range at {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// panickedAt lists the calls that led to a panic, the innermost first.
func panickedAt() (out []frame) {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	for panicking, more := false, true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			panicking = true
		case panicking && !strings.HasPrefix(f.Function, "runtime."):
			out = append(out, frame{f})
		}
	}
	return out
}
