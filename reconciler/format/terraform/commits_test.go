// A module that is named by a commit is that commit, whatever branches its repository has.

package terraform

import (
	"fmt"
	"testing"
	"testing/fstest"
)

func TestAModuleIsAtTheCommitThatItsAddressNames(t *testing.T) {
	const commit, other = "a88e71c38c82ec874904ed0c760df0668bfdf3cb", "d62ab1979565095c4a149c3d25b462ad9e605218"
	git := func(repository string) string { return "git::https://git.example/" + repository + "?ref=" + commit }
	for name, c := range map[string]struct {
		modules, heads map[string]string // by key
		want           string
	}{
		"none":                              {nil, nil, "[]"},
		"at it":                             {map[string]string{"net": git("net.git")}, map[string]string{"net": commit}, "[]"},
		"a branch of its name":              {map[string]string{"net": git("net.git")}, map[string]string{"net": "ref: refs/heads/" + commit}, fmt.Sprintf("[{net %s ref: refs/heads/%[1]s}]", commit)},
		"another commit":                    {map[string]string{"a.net": git("net.git//sub")}, map[string]string{"a.net": other}, fmt.Sprintf("[{a.net %s %s}]", commit, other)},
		"one fetched, and copied":           {map[string]string{"net": git("net.git"), "sub": git("net.git//sub")}, map[string]string{"net": commit}, "[]"},
		"of which nothing is told":          {map[string]string{"sub": git("net.git//sub")}, nil, fmt.Sprintf("[{sub %s }]", commit)},
		"a copy of another repository":      {map[string]string{"net": git("net.git"), "sub": git("other.git//sub")}, map[string]string{"net": commit}, fmt.Sprintf("[{sub %s }]", commit)},
		"a tag, which a rule warns of":      {map[string]string{"net": "git::https://git.example/net.git?ref=v1.2.0"}, map[string]string{"net": other}, "[]"},
		"a registry's, and one of the tree": {map[string]string{"net": "registry.terraform.io/acme/net/aws", "own": "./own"}, nil, "[]"},
		"over SSH":                          {map[string]string{"net": "git::ssh://git@git.example/net.git?ref=" + commit}, map[string]string{"net": other}, fmt.Sprintf("[{net %s %s}]", commit, other)},
		"encoded":                           {map[string]string{"net": "git::https://git.example/net.git?ref=%61" + commit[1:]}, map[string]string{"net": other}, fmt.Sprintf("[{net %s %s}]", commit, other)},
	} {
		root := fstest.MapFS{}
		doc := ""
		for key, source := range c.modules {
			doc += fmt.Sprintf(`,{"Key":%q,"Source":%q,"Dir":%q}`, key, source, ".terraform/modules/"+key)
		}
		root[".terraform/modules/modules.json"] = &fstest.MapFile{Data: []byte(`{"Modules":[{"Key":"","Source":"","Dir":"."}` + doc + `]}`)}
		for key, head := range c.heads {
			root[".terraform/modules/"+key+"/.git/HEAD"] = &fstest.MapFile{Data: []byte(head + "\n")}
		}
		got, err := CheckCommits(root)
		if err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%s: %v, %v; want %s", name, got, err, c.want)
		}
	}
}
