// What a run made is held against what was made before: bytes that differ for no reason
// have all that needs them made again, on the next machine and after the next change.

package execute

import (
	"context"
	"fmt"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
)

// OtherBytes is the rule of a warning about bytes that differ.
const OtherBytes = "run/other-bytes"

// compare notes in e, which records a run, what its outputs are but for dates, and warns of
// those that differ from what was made before in nothing else, or under the very same key.
func (a *execution) compare(ctx context.Context, j *job, e *ledger.Entry) {
	varies := map[string][]string{}
	for _, out := range e.Outputs {
		name := out.As
		d, v, err := a.Undated(ctx, out.Artifact)
		if err != nil {
			a.sendEvent(j.Ref, Output, fmt.Sprintf("warning: the output %s is not compared with earlier ones: %v", name, err))
			continue
		}
		if d == "" {
			continue
		}
		if e.Run.Undated == nil {
			e.Run.Undated = map[string]digest.Digest{}
		}
		e.Run.Undated[name], varies[name] = d, v
	}
	before := a.Facts.Under(e.Key)
	if last := a.latest(j.Ref); last != nil && last.Key != e.Key {
		before = append(before, last)
	}
	for _, out := range e.Outputs {
		if f := differs(e, out.As, varies[out.As], before); f != nil {
			a.sendEvent(j.Ref, Output, "warning: "+f.Message+"; "+f.Hint)
			e.Findings = append(e.Findings, *f)
		}
	}
}

// differs is the warning about an output that is not the bytes of any of those before, though
// it holds what one of them does, or was made under its key; nil is none.
func differs(e *ledger.Entry, name string, varies []string, before []*ledger.Entry) *ledger.Finding {
	out := ledger.Finding{Rule: OtherBytes, Level: ledger.Warn, Ref: e.Ref}
	now := e.Outputs.Named(name).Digest
	for _, was := range before {
		then, made := was.Outputs.Find(name)
		if !made || was.Run == nil {
			continue
		}
		if then.Digest == now {
			return nil
		}
		if d := was.Run.Undated[name]; d != "" && d == e.Run.Undated[name] {
			out.Message = fmt.Sprintf("%s differs from what entry %d made only in %s", name, was.Seq, strings.Join(varies, " and "))
			out.Hint = "write them fixed, so that the same model is the same bytes (docs/guide.md, The same bytes each time)"
			return &out
		}
		if was.Key == e.Key && out.Message == "" {
			out.Message = fmt.Sprintf("%s is not the bytes that entry %d made with the same key: something that is no input decides on it", name, was.Seq)
			out.Hint = "fix the seeds and the number of threads, and write no times (docs/guide.md, The same bytes each time)"
		}
	}
	if out.Message == "" {
		return nil
	}
	return &out
}
