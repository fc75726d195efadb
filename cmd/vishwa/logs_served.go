// What the processes of a deployment wrote, without the health checks that would hide the rest.

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/adapter/server"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/schemas"
)

// servedLog prints what the processes of a deployment wrote.
func (a *cli) servedLog(ctx context.Context, s *station, ref schemas.Ref, show shownLog) error {
	w := &withoutChecks{w: a.out}
	if !show.all {
		w.checks = checksOf(s.readyPaths(ctx, ref))
	}
	if err := server.Output(ctx, w, s.Paths.Serving(), ref.Name, show.follow); err != nil {
		return err
	}
	if err := w.end(); err != nil {
		return err
	}
	switch {
	case w.left > 0:
		fmt.Fprintf(a.err, "Left out: %s of health checks that %s answered. To see them: vishwa logs %[2]s --all\n", plural.Of(w.left, "line"), ref)
	case w.n == 0 && !show.follow:
		fmt.Fprintf(a.err, "%s has written nothing yet.\n", ref)
	}
	return nil
}

// readyPaths are the paths at which ref is asked whether it is ready, as it is declared at the tracked revision and in the work tree.
func (s *station) readyPaths(ctx context.Context, ref schemas.Ref) []string {
	paths := []string{"/v2/health/live", schemas.ReadyPath}
	add := func(decls []schemas.Declaration) {
		for _, d := range decls {
			if spec, is := d.Spec.(schemas.Checked); is && d.Ref() == ref {
				paths = append(paths, spec.ReadyAt())
			}
		}
	}
	if _, in, err := s.Head(ctx); err == nil {
		add(in.Decls)
	}
	if in, err := s.Intent(ctx); err == nil { // what is broken is no reason to hide a log
		add(in.Decls)
	}
	return paths
}

// checksOf matches a line of an access log that says that a check of one of the paths was answered: one that was not is news.
func checksOf(paths []string) *regexp.Regexp {
	for i := range paths {
		paths[i] = regexp.QuoteMeta(paths[i])
	}
	return regexp.MustCompile(`"(GET|HEAD) (` + strings.Join(paths, "|") + `) HTTP/[0-9.]+" 2[0-9][0-9]( |$)`)
}

// mostHeld is how long a line is looked at as a whole.
const mostHeld = 64 << 10

// withoutChecks passes on whole lines, but for those of health checks, which it counts.
type withoutChecks struct {
	w      io.Writer
	checks *regexp.Regexp // nil: all lines are passed on
	rest   []byte         // of a line that has not ended
	within bool           // a long line is under way
	n      int            // what was passed on
	left   int
}

func (q *withoutChecks) Write(p []byte) (int, error) {
	q.rest = append(q.rest, p...)
	var out []byte
	for {
		line, after, whole := bytes.Cut(q.rest, []byte("\n"))
		if !whole && q.checks != nil && len(q.rest) < mostHeld {
			break
		}
		if !whole {
			after = nil
		}
		if !q.within && whole && q.checks != nil && q.checks.Match(line) {
			q.left++
		} else {
			out = append(out, q.rest[:len(q.rest)-len(after)]...)
		}
		q.within, q.rest = !whole && (q.within || len(line) > 0), after
		if len(after) == 0 {
			break
		}
	}
	return len(p), q.pass(out)
}

func (q *withoutChecks) pass(out []byte) error {
	if len(out) == 0 {
		return nil
	}
	n, err := q.w.Write(out)
	q.n += n
	return err
}

// end passes on a last line without an end.
func (q *withoutChecks) end() error { return q.pass(q.rest) }
