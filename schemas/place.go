// Places: how environments are told apart. A guard that stood on the spelling of a name
// would fall with it, so there is one way to compare them, for rules, ledger and forge.

package schemas

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// production is the place that needs an approval whatever the project says.
const production = "production"

// alike maps letters that look like a Latin one to it, after case is folded and marks
// are dropped: Cyrillic, Greek, Armenian, Latin's own variants, and zero.
var alike = map[rune]rune{
	'а': 'a', 'в': 'b', 'с': 'c', 'ԁ': 'd', 'е': 'e', 'һ': 'h', 'і': 'i', 'ј': 'j', 'к': 'k', 'м': 'm', 'н': 'h', 'п': 'n', 'о': 'o', 'р': 'p', 'ѕ': 's', 'т': 't', 'ս': 'u', 'ц': 'u', 'х': 'x', 'у': 'y',
	'α': 'a', 'β': 'b', 'ϲ': 'c', 'ε': 'e', 'η': 'n', 'ι': 'i', 'κ': 'k', 'ν': 'v', 'ο': 'o', 'σ': 'o', 'ρ': 'p', 'τ': 't', 'υ': 'u', 'χ': 'x',
	'օ': 'o', 'ո': 'n', 'հ': 'h', 'ց': 'g', 'ı': 'i', 'ɩ': 'i', 'ꞓ': 'c', 'ᴄ': 'c', 'ᴅ': 'd', 'ɗ': 'd', 'đ': 'd', 'ɴ': 'n', 'ᴏ': 'o', 'ø': 'o', 'ᴘ': 'p', 'ʀ': 'r', 'ɾ': 'r', 'г': 'r', 'ᴛ': 't', 'ŧ': 't', 'ᴜ': 'u', 'ʋ': 'u', '0': 'o',
}

// Place is the name by which an environment is known, however it is spelt: case,
// spaces, invisible signs, accents and look-alike letters make no other place. It is
// for comparing, and never shown.
func Place(environment string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(strings.ToLower(norm.NFKC.String(environment))) {
		r = unicode.ToLower(r)
		if to, ok := alike[r]; ok {
			r = to
		}
		switch {
		case unicode.IsSpace(r), unicode.Is(unicode.M, r), unicode.Is(unicode.C, r), unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r):
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Production tells whether an environment is the one that is named production.
func Production(environment string) bool { return Place(environment) == production }

// Needs is how many people must approve a release into the environment of this name.
func (e Environment) Needs(name string) int {
	if Production(name) {
		return max(e.Approvals, 1)
	}
	return e.Approvals
}

// Approvers are the roles whose approval counts.
func (e Environment) Approvers() []string {
	if len(e.Roles) == 0 {
		return []string{"approver"}
	}
	return e.Roles
}

// What a change by authors whom nobody knows needs.
const (
	UnknownTwo    = "two"
	UnknownOther  = "other"
	UnknownRefuse = "refuse"
)
