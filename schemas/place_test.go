// There is one production, however its name is written.

package schemas

import "testing"

func TestProductionIsOnePlaceHoweverItIsSpelt(t *testing.T) {
	for _, name := range []string{"production", "Production", "PRODUCTION", " production", "production\u00a0", "pro duction", "prod\u200buction", "prod\u00aduction",
		"\ufeffproduction", "рroduction", "prоduction", "produсtion", "productiοn", "ρroduction", "prоduсtiоn", "ｐｒｏｄｕｃｔｉｏｎ", "𝐩𝐫𝐨𝐝𝐮𝐜𝐭𝐢𝐨𝐧", "pröduction", "production\u0301", "pr0duction", "productıon", "PRODUCTİON", "Ｐroduction", "prod\u034fuction"} {
		if !Production(name) {
			t.Errorf("%q is not production", name)
		}
	}
	for _, name := range []string{"", "staging", "prod", "preproduction", "production-eu", "productions", "production/eu"} {
		if Production(name) {
			t.Errorf("%q is production", name)
		}
	}
}

func TestAPlaceIsItsOwnPlace(t *testing.T) {
	for _, name := range []string{"staging", "eu-1", "Ünïted", "живой", "生产", "a b"} {
		if again := Place(Place(name)); again != Place(name) {
			t.Errorf("%q: %q, and again %q", name, Place(name), again)
		}
	}
	if Place("eu-1") == Place("eu-2") {
		t.Error("two places are one")
	}
}
