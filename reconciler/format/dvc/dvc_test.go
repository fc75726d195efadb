// DVC's formats: what DVC wrote is read and written back to the byte.

package dvc

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// TestManifestsAreDVCs: manifests that DVC made come out as they went in, with DVC's name.
func TestManifestsAreDVCs(t *testing.T) {
	b, err := os.ReadFile("testdata/manifests.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases map[string]struct{ Manifest, OID string }
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	for name, c := range cases {
		tree, err := ParseTree([]byte(c.Manifest))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := string(tree.Bytes()); got != c.Manifest {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, c.Manifest)
		}
		if got := string(tree.OID()); got != c.OID {
			t.Errorf("%s is named %s, want %s", name, got, c.OID)
		}
	}
}

// TestManifestsDoNotClimbOut: no path of a manifest leads out of its folder.
func TestManifestsDoNotClimbOut(t *testing.T) {
	for _, p := range []string{"../x", "/etc/passwd", "a/../../x", "", ".", "a//b", ".git/config", "sub/.GIT/x", "a\u0000b"} {
		raw, err := json.Marshal([]map[string]string{{"md5": "37b51d194a7513e45b56f6524f2d51f2", "relpath": p}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseTree(raw); fault.Of(err) != fault.Invalid || err == nil {
			t.Errorf("%q: %v, want it Invalid", p, err)
		}
	}
	for _, two := range [][2]string{{"a", "a"}, {"a", "a/b"}} {
		raw, _ := json.Marshal([]map[string]string{{"md5": "37b51d194a7513e45b56f6524f2d51f2", "relpath": two[0]}, {"md5": "37b51d194a7513e45b56f6524f2d51f2", "relpath": two[1]}})
		if _, err := ParseTree(raw); err == nil {
			t.Errorf("%v stand beside each other", two)
		}
	}
}

// TestTreesHaveOneName: the order in which files are found does not matter.
func TestTreesHaveOneName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		paths := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z é😀"\\]{1,6}`), 1, 20, rapid.ID[string]).Draw(t, "paths")
		var tree Tree
		for _, p := range paths {
			tree = append(tree, File{Path: p, OID: "37b51d194a7513e45b56f6524f2d51f2", Size: -1})
		}
		tree.Sort()
		again, err := ParseTree(tree.Bytes())
		if err != nil || !slices.Equal(again, tree) {
			t.Fatalf("%v\ngot  %v\nwant %v", err, again, tree)
		}
		shuffled := slices.Clone(tree)
		slices.Reverse(shuffled)
		shuffled.Sort()
		if shuffled.OID() != tree.OID() {
			t.Fatal("the order names it")
		}
	})
}

const pointer = `# kept by the data team
desc: raw survey
outs:
- md5: 5ea40360f5b4ec688df672a4db9c17d1.dir
  size: 6
  nfiles: 2
  hash: md5
  path: data
  desc: as it came
  labels:
  - raw
  meta:
    owner: asha # on leave
meta:
  mine: x
`

// TestWhatIsSaidOfOtherDataIsPassedOver: DVC moves its own name and size, and leaves
// what stands below meta as it was.
func TestWhatIsSaidOfOtherDataIsPassedOver(t *testing.T) {
	p, err := ParsePointer("data.dvc", []byte(pointer))
	if err != nil {
		t.Fatal(err)
	}
	p.Outs[0].SHA256, p.Outs[0].Stats = digest.Of(nil), map[string]string{"rows": "3"}
	ours := string(p.Bytes())
	for text, known := range map[string]bool{
		ours: true,
		strings.Replace(ours, "5ea40360f5b4ec688df672a4db9c17d1.dir", "af687dcd67309d92d8fcf8907c0513db.dir", 1): false,
		strings.Replace(ours, "      md5: 5ea40360f5b4ec688df672a4db9c17d1.dir\n", "", 1):                        false,
	} {
		p, err := ParsePointer("data.dvc", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if o := p.Outs[0]; (o.SHA256 != "") != known || (o.Stats["rows"] == "3") != known {
			t.Errorf("known %v, and it is %q, %v:\n%s", known, o.SHA256, o.Stats, text)
		}
		if again := string(p.Bytes()); strings.Contains(again, "vishwa:") != known {
			t.Errorf("written again it is\n%s", again)
		}
	}
}

// TestEditsKeepTheRest: a pointer comes out as it went in, and a change of its
// content changes nothing else.
func TestEditsKeepTheRest(t *testing.T) {
	p, err := ParsePointer("data.dvc", []byte(pointer))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(p.Bytes()); got != pointer {
		t.Errorf("got\n%swant\n%s", got, pointer)
	}
	p.Outs[0].OID, p.Outs[0].Size = "af687dcd67309d92d8fcf8907c0513db.dir", 7
	p.Outs[0].SHA256 = digest.Of(nil)
	want := strings.NewReplacer("5ea40360f5b4ec688df672a4db9c17d1.dir", "af687dcd67309d92d8fcf8907c0513db.dir", "size: 6", "size: 7",
		"    owner: asha # on leave\n", "    owner: asha # on leave\n    vishwa:\n      md5: af687dcd67309d92d8fcf8907c0513db.dir\n      sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n").Replace(pointer)
	if got := string(p.Bytes()); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	again, err := ParsePointer("data.dvc", []byte(want))
	if err != nil || again.Outs[0].SHA256 != digest.Of(nil) {
		t.Errorf("%v, %v", again, err)
	}
}

// TestPointersSayWhatIsWrong: with the file and the line.
func TestPointersSayWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "data.dvc: is empty",
		"outs: []\n":                    "outs is missing",
		"outs:\n- path: x\n  md6: a\n":  `data.dvc:3: "md6" is not a key that DVC knows here`,
		"outs:\n- path: x\n  md5: zz\n": "data.dvc:3: \"zz\" is not an MD5 name",
		"outs:\n- md5: 5ea40360f5b4ec688df672a4db9c17d1\n": "has no path",
		"outs:\n- path: x\n  size: -4\n":                   "size is not a count",
		"outs: 3\n":                                        "outs is not a list",
		"a: [\n":                                           "data.dvc",
	} {
		_, err := ParsePointer("data.dvc", []byte(text))
		if err == nil || fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// TestPointersStayInside: an output outside of the repository is refused.
func TestPointersStayInside(t *testing.T) {
	for _, at := range []string{"/abs", "../../x", "s3://bucket/x"} {
		if _, err := (&Pointer{}).Place("data/x.dvc", Out{Path: at}); err == nil {
			t.Errorf("%s is taken", at)
		}
	}
	if at, err := (&Pointer{WDir: ".."}).Place("data/x.dvc", Out{Path: "y"}); err != nil || at != "y" {
		t.Errorf("%q, %v", at, err)
	}
}

const lock = `schema: '2.0'
stages:
  train:
    cmd: python train.py
    deps:
    - path: data
      hash: md5
      md5: 5ea40360f5b4ec688df672a4db9c17d1.dir
      size: 6
      nfiles: 2
    params:
      params.yaml:
        train.epochs: 10
        train.lr: 0.001
    outs:
    - path: model.pkl
      hash: md5
      md5: 37b51d194a7513e45b56f6524f2d51f2
      size: 3
`

func TestLocksAreRead(t *testing.T) {
	l, err := ParseLock("dvc.lock", []byte(lock))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(l.Bytes()); got != lock {
		t.Errorf("got\n%swant\n%s", got, lock)
	}
	if o, ok := l.Out("model.pkl"); !ok || o.OID != "37b51d194a7513e45b56f6524f2d51f2" || o.Size != 3 {
		t.Errorf("%+v, %v", o, ok)
	}
}

// TestConfigKeepsItsLines: an option changes its own line and no other.
func TestConfigKeepsItsLines(t *testing.T) {
	text := "# ours\n[core]\n    remote = storage\n    autostage = true\n['remote \"storage\"']\n    url = s3://bucket/prefix # the old one\n    endpointurl = http://minio:9000\n"
	c, err := ParseConfig("config", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if string(c.Bytes()) != text {
		t.Errorf("got\n%s", c.Bytes())
	}
	r, err := c.Remote("")
	if err != nil || r.Name != "storage" || r.URL != "s3://bucket/prefix" || r.Options["endpointurl"] != "http://minio:9000" {
		t.Errorf("%+v, %v", r, err)
	}
	c.Set(RemoteSection("storage"), "region", "eu-west-1")
	c.Set("core", "remote", "other")
	c.Set(RemoteSection("other"), "url", "/data")
	want := strings.Replace(text, "remote = storage", "remote = other", 1) + "    region = eu-west-1\n['remote \"other\"']\n    url = /data\n"
	if string(c.Bytes()) != want {
		t.Errorf("got\n%swant\n%s", c.Bytes(), want)
	}
	if _, err := ParseConfig("config", []byte("x = 1\n")); err == nil {
		t.Error("an option without a section is read")
	}
	over, _ := ParseConfig("local", []byte("[core]\nremote = mine\n"))
	if got, _ := Merge(c, over).Get("core", "remote"); got != "mine" {
		t.Errorf("core.remote is %q", got)
	}
}

// TestRemotesBelowOthers: as DVC has it, with the options of the one that it is below but for its own.
func TestRemotesBelowOthers(t *testing.T) {
	c, err := ParseConfig("config", []byte("['remote \"a\"']\nurl = s3://b/p/\nregion = eu\nprofile = x\n['remote \"below\"']\nurl = remote://a/deep/er\nprofile = y\n['remote \"twice\"']\nurl = remote://below\n"+
		"['remote \"lost\"']\nurl = remote://none/x\n['remote \"round\"']\nurl = remote://round/x\n"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"below": "s3://b/p/deep/er eu y", "twice": "s3://b/p/deep/er/ eu y", "a": "s3://b/p/ eu x"} {
		r, err := c.Remote(name)
		if got := r.URL + " " + r.Options["region"] + " " + r.Options["profile"]; err != nil || r.Name != name || got != want {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	for name, says := range map[string]string{"lost": `remote lost is below the remote "none"`, "round": "or below itself"} {
		if _, err := c.Remote(name); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzTree(f *testing.F) {
	f.Add([]byte(`[{"md5": "37b51d194a7513e45b56f6524f2d51f2", "relpath": "bar"}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		tree, err := ParseTree(b)
		if err != nil {
			return
		}
		again, err := ParseTree(tree.Bytes())
		if err != nil || again.OID() != tree.OID() {
			t.Fatalf("%q: %v", b, err)
		}
	})
}

func FuzzPointer(f *testing.F) {
	f.Add([]byte(pointer))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePointer("x.dvc", b)
		if err != nil {
			return
		}
		if _, err := ParsePointer("x.dvc", p.Bytes()); err != nil {
			t.Fatalf("%q became %q: %v", b, p.Bytes(), err)
		}
	})
}

func FuzzLock(f *testing.F) {
	f.Add([]byte(lock))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = ParseLock("dvc.lock", b) })
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte("[core]\n    remote = storage\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseConfig("config", b)
		if err != nil {
			return
		}
		c.Set("core", "remote", "x")
		if again, err := ParseConfig("config", c.Bytes()); err != nil {
			t.Fatalf("%q: %v", c.Bytes(), err)
		} else if v, _ := again.Get("core", "remote"); v != "x" {
			t.Fatalf("%q: core.remote is %q", c.Bytes(), v)
		}
	})
}

// TestAManifestHasNoFileThatIsAFolder, also where another name sorts between the two.
func TestAManifestHasNoFileThatIsAFolder(t *testing.T) {
	for _, names := range [][]string{{"a", "a/b"}, {"a", "a!b", "a/b"}, {"x/a", "x/a!", "x/a/b/c"}} {
		var files []string
		for _, n := range names {
			files = append(files, `{"md5": "d41d8cd98f00b204e9800998ecf8427e", "relpath": "`+n+`"}`)
		}
		if _, err := ParseTree([]byte("[" + strings.Join(files, ", ") + "]")); fault.Of(err) != fault.Invalid || err == nil {
			t.Errorf("%q: %v, want Invalid", names, err)
		}
	}
}
