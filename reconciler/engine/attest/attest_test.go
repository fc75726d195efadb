// Statements say exactly what they are given, and nothing else is taken for one.

package attest

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	slsa "github.com/in-toto/attestation/go/predicates/provenance/v1"
	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func d(s string) digest.Digest { return digest.Of([]byte(s)) }

var manifest = digest.Manifest{
	{Path: "model.json", Digest: d("m"), Size: 1},
	{Path: "sub.txt", Digest: d("s"), Size: 1},
	{Path: "sub/t.txt", Digest: d("t"), Size: 1},
}

func model() port.Artifact {
	return port.Artifact{Name: "enrollment", Digest: manifest.Digest(), Files: manifest}
}

func full() Provenance {
	return Provenance{
		Controller: "main", Version: "v1", Key: d("key"), Repository: "https://example.com/r.git",
		Revision: strings.Repeat("0f", 20), Ref: "training/enrollment", Candidate: "logistic",
		Params: map[string]any{"C": 1.0, "c": "other", "estimator": "logistic"},
		Code:   map[string]digest.Digest{"src/train.py": d("code")},
		Inputs: map[string]digest.Digest{"train": d("train"), "test": d("test")},
		Lock:   d("lock"), Host: "linux/amd64", Python: "3.11.7",
		Isolation: &port.Isolation{Level: "namespaces", Landlock: 6, Network: "none", Limits: "cgroup v2", User: "own"},
		Image:     "registry.example.com/base:1@sha256:" + strings.Repeat("0a", 32), Runner: "gpu", Nodes: 2,
		Started: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Finished: time.Date(2026, 1, 2, 4, 4, 5, 0, time.UTC),
		Metrics: map[string]float64{"test.roc_auc": 0.875, "n": 1e21}, Log: d("log"),
	}
}

// TestTheModelStatementIsTheSpecifications: its very bytes, order by code point,
// root as the specification computes it.
func TestTheModelStatementIsTheSpecifications(t *testing.T) {
	got, err := StateModel("enrollment", manifest)
	if err != nil {
		t.Fatal(err)
	}
	raw := []byte{}
	for _, f := range manifest {
		raw = append(raw, unhex(f.Digest)...)
	}
	want := `{"_type":"https://in-toto.io/Statement/v1","predicate":{"resources":[` +
		`{"algorithm":"sha256","digest":"` + d("m").Hex() + `","name":"model.json"},` +
		`{"algorithm":"sha256","digest":"` + d("s").Hex() + `","name":"sub.txt"},` +
		`{"algorithm":"sha256","digest":"` + d("t").Hex() + `","name":"sub/t.txt"}],` +
		`"serialization":{"allow_symlinks":false,"hash_type":"sha256","method":"files"}},` +
		`"predicateType":"https://model_signing/signature/v1.0",` +
		`"subject":[{"digest":{"sha256":"` + digest.Of(raw).Hex() + `"},"name":"enrollment"}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func unhex(d digest.Digest) (out []byte) {
	for h := d.Hex(); h != ""; h = h[2:] {
		out = append(out, byte(strings.IndexByte("0123456789abcdef", h[0])<<4|strings.IndexByte("0123456789abcdef", h[1])))
	}
	return out
}

// TestAModelStatementThatCouldMislead is refused, and said why.
func TestAModelStatementThatCouldMislead(t *testing.T) {
	good, err := StateModel("enrollment", manifest)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseModel(good); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new, says string }{
		"name twice":          {`"name":"sub.txt"`, `"name":"model.json"`, "does not come after"},
		"out of order":        {`"name":"model.json"`, `"name":"z"`, "does not come after"},
		"leading outside":     {`"name":"model.json"`, `"name":"../m"`, "not a plain relative path"},
		"absolute":            {`"name":"model.json"`, `"name":"/m"`, "not a plain relative path"},
		"file and folder":     {`"name":"sub.txt"`, `"name":"sub"`, "both a file and a directory"},
		"left out":            {`"method":"files"`, `"ignore_paths":["evil.py"],"method":"files"`, "leaves out evil.py"},
		"links":               {`"allow_symlinks":false`, `"allow_symlinks":true`, "symbolic links"},
		"shards":              {`"method":"files"`, `"method":"shards"`, "want files by sha256"},
		"other hash":          {`"algorithm":"sha256"`, `"algorithm":"md5"`, "hashed by md5"},
		"digest with prefix":  {d("m").Hex(), "sha256:" + d("m").Hex(), "not a SHA-256 in hex"},
		"other file":          {d("m").Hex(), d("x").Hex(), "not that of the files listed"},
		"unread field":        {`"serialization"`, `"note":"x","serialization"`, "unknown field"},
		"field in other case": {`"method"`, `"Method"`, "says it otherwise"},
		"key twice":           {`"method":"files"`, `"method":"shards","method":"files"`, `key "method" twice`},
		"key twice, escaped":  {`"method":"files"`, `"m\u0065thod":"shards","method":"files"`, `key "method" twice`},
		"other predicate":     {"signature/v1.0", "signature/v0.9", "its predicate is"},
		"other statement":     {"Statement/v1", "Statement/v0.1", "is of type"},
		"two subjects":        {`"subject":[`, `"subject":[{"digest":{"sha256":"` + d("x").Hex() + `"},"name":"x"},`, "2 subjects"},
		"two digests":         {`"subject":[{"digest":{`, `"subject":[{"digest":{"md5":"x",`, "not that of the files listed"},
		"something after":     {`"name":"enrollment"}]}`, `"name":"enrollment"}]} {}`, "after top-level value"},
	} {
		bad := strings.Replace(string(good), c.old, c.new, 1)
		if bad == string(good) {
			t.Errorf("%s: nothing to replace", name)
		}
		if _, err := ParseModel([]byte(bad)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %q", name, err, c.says)
		}
	}
	// An empty list leaves nothing out.
	if _, err := ParseModel([]byte(strings.Replace(string(good), `"method"`, `"ignore_paths":[],"method"`, 1))); err != nil {
		t.Error(err)
	}
	for name, m := range map[string]digest.Manifest{"empty": {}, "unsorted": {manifest[1], manifest[0]}, ".git": {{Path: ".git/config", Digest: d("")}}} {
		if _, err := StateModel("m", m); err == nil {
			t.Errorf("%s: is stated", name)
		}
	}
}

// TestDifferencesNameEachFile: exactly those added, changed and removed.
func TestDifferencesNameEachFile(t *testing.T) {
	raw, err := StateModel("m", manifest)
	if err != nil {
		t.Fatal(err)
	}
	m, err := ParseModel(raw)
	if err != nil || m.Differences(manifest) != nil {
		t.Fatalf("%v, %v", m.Differences(manifest), err)
	}
	found := digest.Manifest{{Path: "extra", Digest: d("e")}, {Path: "model.json", Digest: d("M")}, manifest[2]}
	want := []string{
		"extra: is not part of the signed model",
		"model.json: was changed: signed " + d("m").Short() + ", found " + d("M").Short(),
		"sub.txt: is missing",
	}
	if got := m.Differences(found); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestProvenanceComesBackAsItWasStated, and in-toto's own types take it as valid.
func TestProvenanceComesBackAsItWasStated(t *testing.T) {
	for name, p := range map[string]Provenance{
		"full": full(),
		"least": {
			Controller: "main", Key: d("k"), Revision: strings.Repeat("0f", 20), Ref: "training/t", Candidate: "default",
			Code: map[string]digest.Digest{}, Inputs: map[string]digest.Digest{},
			Started: time.Unix(1, 0).UTC(), Finished: time.Unix(1, 0).UTC(),
		},
	} {
		raw, err := StateProvenance(p, model())
		if err != nil {
			t.Fatal(err)
		}
		got, err := CheckProvenance(raw, manifest)
		if err != nil || !reflect.DeepEqual(got, p) {
			t.Errorf("%s: got %+v, %v; want %+v", name, got, err, p)
		}
		var s intoto.Statement
		if err := protojson.Unmarshal(raw, &s); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(); err != nil {
			t.Errorf("%s: in-toto: %v", name, err)
		}
		b, _ := json.Marshal(s.Predicate)
		var pred slsa.Provenance
		if err := protojson.Unmarshal(b, &pred); err != nil {
			t.Fatalf("%s: SLSA: %v", name, err)
		}
		if err := pred.Validate(); err != nil {
			t.Errorf("%s: SLSA: %v", name, err)
		}
	}
}

// TestProvenanceThatIsNotTheModels is refused, and said why.
func TestProvenanceThatIsNotTheModels(t *testing.T) {
	good, err := StateProvenance(full(), model())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new, says string }{
		"other predicate":    {"slsa.dev/provenance/v1", "slsa.dev/provenance/v0.2", "its predicate is"},
		"other build type":   {"training-run/v1", "training-run/v2", "its build type is"},
		"other builder":      {"vishwa.dev/controller/main", "example.com/main", "not a controller"},
		"other file":         {d("m").Hex(), d("x").Hex(), "about other files"},
		"other manifest":     {manifest.Digest().Hex(), d("x").Hex(), "about other files"},
		"file renamed":       {"enrollment/sub.txt", "enrollment/sub2.txt", "about other files"},
		"unread field":       {`"externalParameters":{`, `"externalParameters":{"vishwa_more":1,`, "unknown field"},
		"unread dependency":  {`"name":"code:`, `"name":"other:`, "says it otherwise"},
		"metrics not theirs": {`"mediaType":"application/json"`, `"mediaType":"text/plain"`, "says it otherwise"},
		"no digest":          {d("train").Hex(), "", "is not a digest"},
		"no time":            {"2026-01-02T03:04:05.000000006Z", "yesterday", "startedOn"},
		"ends before":        {"2026-01-02T04:04:05Z", "2025-01-02T04:04:05Z", "ends before it begins"},
		"no commit":          {strings.Repeat("0f", 20), "main", "is not a commit"},
	} {
		bad := strings.Replace(string(good), c.old, c.new, 1)
		if bad == string(good) {
			t.Errorf("%s: nothing to replace", name)
		}
		if _, err := CheckProvenance([]byte(bad), manifest); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %q", name, err, c.says)
		}
	}
	if _, err := CheckProvenance(good, manifest[:2]); err == nil {
		t.Error("a file less is fine")
	}
}

// TestProvenanceSaysNothingSecret: a URL with a token in it is refused, unquoted.
func TestProvenanceSaysNothingSecret(t *testing.T) {
	p := full()
	p.Repository = "https://bot:ghp_token@example.com/r.git"
	_, err := StateProvenance(p, model())
	if err == nil || strings.Contains(err.Error(), "ghp_token") {
		t.Errorf("got %v", err)
	}
}

// TestTooManyFilesAreStatedAsOne: verifiers take a thousand subjects, models may have more files.
func TestTooManyFilesAreStatedAsOne(t *testing.T) {
	var m digest.Manifest
	for i := range 2000 {
		m = append(m, digest.File{Path: "f" + strings.Repeat("x", i), Digest: d("x")})
	}
	raw, err := StateProvenance(full(), port.Artifact{Name: "big", Digest: m.Digest(), Files: m})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := CheckProvenance(raw, m); err != nil {
		t.Error(err)
	}
	m[1999].Digest = d("y")
	if _, err := CheckProvenance(raw, m); err == nil {
		t.Error("a changed file is fine")
	}
}

// TestEveryManifestIsStated: whatever a model's files are called, the statement
// comes back with them, and with nothing else.
func TestEveryManifestIsStated(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		paths := rapid.MapOf(rapid.StringMatching(`[a-zA-Z0-9 é日<>&:"._-]{1,8}(/[a-z]{1,3})?`), rapid.String()).Draw(t, "files")
		m := digest.Manifest{}
		for _, p := range slices.Sorted(maps.Keys(paths)) {
			m = append(m, digest.File{Path: p, Digest: d(paths[p])})
		}
		raw, err := StateModel("m", m)
		if m.Check() != nil || len(m) == 0 {
			if err == nil {
				t.Fatal("a manifest that cannot be laid out is stated")
			}
			return
		}
		if err != nil {
			if strings.Contains(err.Error(), "verifiers leave") {
				return
			}
			t.Fatal(err)
		}
		s, err := ParseModel(raw)
		if err != nil || s.Differences(m) != nil || len(s.Files) != len(m) {
			t.Fatalf("%v, %v", s.Differences(m), err)
		}
	})
}

func FuzzParseModel(f *testing.F) {
	good, _ := StateModel("m", manifest)
	f.Add(good)
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://model_signing/signature/v1.0","subject":[{}],"predicate":{}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := ParseModel(raw)
		if err != nil {
			return
		}
		var again digest.Manifest
		for _, f := range m.Files {
			again = append(again, digest.File{Path: f.Path, Digest: f.Digest})
		}
		if err := again.Check(); err != nil || len(again) == 0 {
			t.Errorf("%q: %v", raw, err)
		}
	})
}

func FuzzParseProvenance(f *testing.F) {
	good, _ := StateProvenance(full(), model())
	f.Add(good)
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, name, err := ParseProvenance(raw)
		if err != nil {
			return
		}
		if _, err := StateProvenance(p, port.Artifact{Name: name, Files: manifest}); err != nil {
			t.Errorf("%q: was read, but cannot be stated: %v", raw, err)
		}
	})
}

// FuzzCheckFrame: what passes has each key once by Go's own tokens, too.
func FuzzCheckFrame(f *testing.F) {
	good, _ := StateProvenance(full(), model())
	f.Add(good)
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v1","predicateType":"x","subject":[{"a":{"b":[1,"\"",{"c":"}"}]}}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if CheckFrame(raw) != nil {
			return
		}
		var walk func(dec *json.Decoder)
		walk = func(dec *json.Decoder) {
			tok, err := dec.Token()
			if err != nil {
				t.Fatalf("%q: %v", raw, err)
			}
			if tok != json.Delim('{') && tok != json.Delim('[') {
				return
			}
			seen := map[string]bool{}
			for dec.More() {
				if tok == json.Delim('{') {
					k, _ := dec.Token()
					if seen[k.(string)] {
						t.Fatalf("%q: %q is listed twice", raw, k)
					}
					seen[k.(string)] = true
				}
				walk(dec)
			}
			dec.Token()
		}
		walk(json.NewDecoder(strings.NewReader(string(raw))))
	})
}
