package ledger

import "github.com/vishwaops/vishwa/reconciler/plural"

// MostOfOne is how many findings of one rule are told of one step: a model may have a hundred thousand files, and each finding is shown to
// people and signed.
const MostOfOne = 10

// Fewer keeps the first findings of each rule, and counts the others; they are sorted by level and rule.
func Fewer(all []Finding) []Finding {
	out := all[:0:0]
	for from := 0; from < len(all); {
		to := from + 1
		for to < len(all) && all[to].Level == all[from].Level && all[to].Rule == all[from].Rule {
			to++
		}
		kept := min(to, from+MostOfOne)
		out = append(out, all[from:kept]...)
		if more := to - kept; more > 0 {
			rest := all[from]
			rest.Message, rest.Hint = "and "+plural.Of(more, "more finding")+" of this rule", "correct what is named here, and plan again: the others are named then"
			out = append(out, rest)
		}
		from = to
	}
	return out
}
