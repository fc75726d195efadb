// Where a declaration may have predictions kept.

package server

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/schemas"
)

func TestNoLogIsKeptOrReadWhereItMustNotBe(t *testing.T) {
	home := t.TempDir()
	state := filepath.Join(home, "state", "vishwa")
	own := filepath.Join(state, "abc", "serving")
	keys, shown, free := filepath.Join(home, "keys"), filepath.Join(home, "scratch"), filepath.Join(home, "free")
	for _, dir := range []string{own, keys, shown, free, filepath.Join(state, "another")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(home, "link")
	if err := os.Symlink(filepath.Join(state, "another"), link); err != nil {
		t.Fatal(err)
	}
	apart := wall.Policy{Hidden: []string{home, state, keys}, Read: []string{shown}}
	for dir, fine := range map[string]bool{
		free: true, filepath.Join(home, "not", "there"): true,
		filepath.Join(state, "another", "serving", "predictions"): false, filepath.Dir(state): false, link: false, filepath.Join(link, "not", "there"): false,
		keys: false, shown: false, "/usr/lib/x": false,
	} {
		name := "one"
		if dir == filepath.Dir(state) {
			name = "vishwa" // the folder of the state itself
		}
		_, err := logFolder(own, dir, name, apart)
		if (err == nil) != fine || err != nil && (fault.Of(err) != fault.Denied || fault.HintOf(err) == "") {
			t.Errorf("%s: %v", dir, err)
		}
	}
	_, _, err := OpenPredictions(own, "one", &schemas.PredictionLog{Dir: filepath.Join(state, "another", "serving", "predictions")}, Access{})
	if fault.Of(err) != fault.Denied {
		t.Errorf("another repository's log is read: %v", err)
	}
}
