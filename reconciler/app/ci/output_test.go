// The laws of what a job writes and holds: no value ends early, and a secret unpacks
// to keys and nothing else.

package ci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// parse reads GITHUB_OUTPUT as the runner does.
func parse(t interface{ Fatalf(string, ...any) }, text string) map[string]string {
	out := map[string]string{}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := 0; i < len(lines) && text != ""; i++ {
		name, end, ok := strings.Cut(lines[i], "<<")
		if !ok {
			t.Fatalf("line %q begins no value", lines[i])
		}
		var value []string
		for i++; i < len(lines) && lines[i] != end; i++ {
			value = append(value, lines[i])
		}
		out[name] = strings.Join(value, "\n")
	}
	return out
}

func TestAValueMayHoldAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		var first bytes.Buffer // what the delimiter would be
		if err := Outputs(&first, map[string]string{"a": ""}, chacha(seed)); err != nil {
			t.Fatal(err)
		}
		_, end, _ := strings.Cut(strings.SplitN(first.String(), "\n", 2)[0], "<<")
		value := rapid.OneOf(rapid.String(), rapid.Just("x\n"+end+"\nverdict<<E\nready\nE")).Draw(t, "value")
		value = strings.ReplaceAll(value, "\r", "")
		var b bytes.Buffer
		if err := Outputs(&b, map[string]string{"a": value, "verdict": "blocked"}, chacha(seed)); err != nil {
			t.Fatal(err)
		}
		got := parse(t, b.String())
		if got["a"] != value || got["verdict"] != "blocked" || len(got) != 2 {
			t.Fatalf("%q became %q", value, got)
		}
	})
}

// FuzzOutputs: the runner reads back each value as it was, whatever it is.
func FuzzOutputs(f *testing.F) {
	for _, v := range []string{"", "x", "a\nb", "x\nEOF\nverdict<<E\nready\nE", "\x1b[2J::error::\u202e", "\n", "vishwa-"} {
		f.Add(v, uint64(1))
	}
	f.Fuzz(func(t *testing.T, value string, seed uint64) {
		var b bytes.Buffer
		if err := Outputs(&b, map[string]string{"a": value, "verdict": "blocked"}, chacha(seed)); err != nil {
			t.Fatal(err)
		}
		if got := parse(t, b.String()); got["a"] != value || got["verdict"] != "blocked" || len(got) != 2 {
			t.Errorf("%q became %q", value, got)
		}
	})
}

func chacha(seed uint64) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}) }

func TestWithoutRandomnessNothingIsWritten(t *testing.T) {
	var b bytes.Buffer
	if err := Outputs(&b, map[string]string{"a": "x"}, strings.NewReader("")); err == nil || b.Len() > 0 {
		t.Error(err, b.String())
	}
	if err := Outputs(&b, map[string]string{"a\nb": "x"}, chacha(1)); err == nil || b.Len() > 0 {
		t.Error(err, b.String())
	}
}

// packed is a folder as the secret holds it.
func packed(t *testing.T, headers ...tar.Header) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, h := range headers {
		if h.Typeflag == tar.TypeReg && h.Size == 0 {
			h.Size = 4
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write(bytes.Repeat([]byte("k"), int(h.Size))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func file(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600} }

func TestASecretUnpacksToKeys(t *testing.T) {
	folder := tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o700}
	archive := packed(t, folder, file("./build.key"), file("./build.pub"), file("./ledger"), file("./trusted-root.json"))
	wrapped := archive[:60] + "\n" + archive[60:] + "\n" // as base64 prints it
	got, err := Keys(wrapped)
	if err != nil || len(got) != 4 || string(got["build.key"]) != "kkkk" || got["ledger"] == nil {
		t.Errorf("%v %v", got, err)
	}
}

func TestASecretUnpacksToNothingElse(t *testing.T) {
	large := file("build.key")
	large.Size = mostKey + 1
	many := make([]tar.Header, mostKeys+1)
	for i := range many {
		many[i] = file("k" + strings.Repeat("a", i))
	}
	for name, archive := range map[string]string{
		"nothing":       "",
		"no base64":     "%%%",
		"no gzip":       base64.StdEncoding.EncodeToString([]byte("secret material")),
		"no tar":        gzipped(t, "secret material"),
		"empty":         packed(t),
		"outside":       packed(t, file("../build.key")),
		"absolute":      packed(t, file("/etc/passwd")),
		"below":         packed(t, file("a/build.key")),
		"hidden":        packed(t, file(".ssh")),
		"a link":        packed(t, tar.Header{Name: "build.key", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}),
		"a hard link":   packed(t, tar.Header{Name: "build.key", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}),
		"twice":         packed(t, file("build.key"), file("./build.key")),
		"a large file":  packed(t, large),
		"many files":    packed(t, many...),
		"a large thing": strings.Repeat("A", mostArchive+1),
	} {
		got, err := Keys(archive)
		if fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" || got != nil {
			t.Errorf("%s: %v %v", name, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret material") {
			t.Errorf("%s: the error shows the secret", name)
		}
	}
}

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func FuzzKeys(f *testing.F) {
	f.Add("H4sIAAAAAAAAA+3BMQEAAADCoPVPbQwfoAAAAAAAAAAAAAAAAAAAAIC3AYbSVKsAQAAA")
	f.Add("")
	f.Fuzz(func(t *testing.T, archive string) {
		got, err := Keys(archive)
		if err != nil {
			return
		}
		for name, raw := range got {
			if strings.ContainsAny(name, `/\`) || strings.HasPrefix(name, ".") || len(raw) > mostKey {
				t.Errorf("%q of %d bytes", name, len(raw))
			}
		}
	})
}
