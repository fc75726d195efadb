// Training again with the same data: where earlier runs show that it gives the same model, byte for
// byte, a round of it answers nothing.

package watch

import (
	"encoding/json"
	"fmt"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/schemas"
)

// Repeats says why another round of a training is none, "" where nothing shows it: the newest run
// of each of its candidates made the bytes that the same run of another round had made.
func Repeats(facts *ledger.Facts, training schemas.Ref) string {
	if facts == nil {
		return ""
	}
	newest := map[schemas.Ref]*ledger.Entry{}
	all := map[schemas.Ref][]*ledger.Entry{}
	for e := range facts.Made() {
		if !e.Ran() || e.Ref.Whole() != training || !e.HasRecipe() {
			continue
		}
		all[e.Ref] = append(all[e.Ref], e)
		if last := newest[e.Ref]; last == nil || e.Seq > last.Seq {
			newest[e.Ref] = e
		}
	}
	text := ""
	for ref, e := range newest {
		same := alike(e, all[ref])
		if same == nil {
			return ""
		}
		if why := fmt.Sprintf("entries %d and %d", min(e.Seq, same.Seq), max(e.Seq, same.Seq)); text == "" || why < text {
			text = why
		}
	}
	if text == "" {
		return ""
	}
	return "no data has moved, and training again with the same data gave the same model, byte for byte (" + text + ")"
}

// alike is a run that differs from e in its round alone, and made the same bytes.
func alike(e *ledger.Entry, all []*ledger.Entry) *ledger.Entry {
	is, ok := withoutRound(e)
	for _, other := range all {
		was, too := withoutRound(other)
		if ok && too && other.Key != e.Key && was == is && e.Outputs.Named("model").Digest != "" && other.Outputs.Named("model").Digest == e.Outputs.Named("model").Digest {
			return other
		}
	}
	return nil
}

// withoutRound names a run but for its round.
func withoutRound(e *ledger.Entry) (digest.Digest, bool) {
	r := *e.Recipe()
	var spec map[string]json.RawMessage
	if err := json.Unmarshal(r.Spec, &spec); err != nil {
		return "", false
	}
	delete(spec, "round")
	raw, err := digest.Canonical(spec)
	if err != nil {
		return "", false
	}
	r.Spec = raw
	key, err := r.Key()
	return key, err == nil
}
