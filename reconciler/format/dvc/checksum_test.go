// DVC's own files say what the checksum is.

package dvc

import "testing"

// TestAnImportHasTheChecksumThatDVCGivesIt: of files that dvc 3.67.1 wrote.
func TestAnImportHasTheChecksumThatDVCGivesIt(t *testing.T) {
	const lock = "9004b8a999d6c7d3d396cc6ef1bb34400b70e391"
	for want, p := range map[string]*Pointer{
		"cdc7f9088bf6c6d3b70021656cdb8026": {Frozen: true, Deps: []Dep{{Path: "data", Size: -1, NFiles: -1, Repo: &RepoRef{URL: "/srv/data", RevLock: lock}}},
			Outs: []Out{{OID: "c37f8bc8917fdf64a45bb6010380cdab.dir", Size: 4, NFiles: 2, Hash: "md5", Path: "data"}}},
		"19720c60180ea2d2399abc611180a366": {Frozen: true, Deps: []Dep{{Path: "data/a", Size: -1, NFiles: -1, Repo: &RepoRef{URL: "/srv/data", Rev: "main", RevLock: lock}}},
			Outs: []Out{{OID: "b026324c6904b2a9cb4b88d6d61c81d1", Size: 2, NFiles: -1, Hash: "md5", Path: "d2"}}},
		"a5f316cd5a9c8ffc8c4a956cd5e5429f": {Frozen: true, Deps: []Dep{{Checksum: "105426492977567394257608286032819342665", Size: 2, NFiles: -1, Hash: "md5", Path: "http://127.0.0.1:8765/other/plain.txt"}},
			Outs: []Out{{OID: "401b30e3b8b5d629635a5c613cdb7919", Size: 2, NFiles: -1, Hash: "md5", Path: "web.txt"}}},
	} {
		if got := p.Checksum(); got != want {
			t.Errorf("%s, want %s:\n%s", got, want, p.Bytes())
		}
	}
}
