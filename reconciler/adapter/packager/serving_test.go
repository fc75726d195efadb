// An image that serves: over a base of another registry, of the same digest wherever it is built, and nothing is sent where
// something is wrong with the base.

package packager

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/vishwaops/vishwa/reconciler/adapter/store"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/registrytest"
)

const platform = "linux/" + runtime.GOARCH

// python is the version of this machine's, such as 3.11.
func python(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("python3", "-c", `import sys, venv; print("%d.%d" % sys.version_info[:2])`).Output()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("python3 with venv is needed: apt-get install python3 python3-venv")
		}
		t.Skip("python3 with venv is needed: apt-get install python3 python3-venv")
	}
	return strings.TrimSpace(string(out))
}

// base pushes an image of these files to a registry, and gives its name by digest.
func base(t *testing.T, repository, arch string, files ...string) string {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, at := range files {
		if err := errors.Join(w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: at, Mode: 0o755, Size: int64(len(at))}), writeAll(w, at)); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture = "linux", arch
	config.Config = v1.Config{Env: []string{"PATH=/usr/local/bin:/usr/bin", "LANG=C.UTF-8", "VISHWA_MODEL_DIR=/elsewhere"}, Cmd: []string{"sh"}, User: "0", Labels: map[string]string{"vishwa.dev/serves": "theirs"}}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(repository + ":1")
	if err == nil {
		err = remote.Write(ref, image)
	}
	sum, derr := image.Digest()
	if err := errors.Join(err, derr); err != nil {
		t.Fatal(err)
	}
	return repository + ":1@" + sum.String()
}

func writeAll(w io.Writer, text string) error {
	_, err := io.WriteString(w, text)
	return err
}

// wheel packs a distribution with programs into folder, and gives the lock that names it.
func wheel(t *testing.T, folder, name, tag string) string {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	record := ""
	for _, f := range [][2]string{
		{"probe.py", "def main():\n    print('probe')\n"},
		{name + "-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: " + name + "\nVersion: 1.0\n"},
		{name + "-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: " + tag + "\n"},
		{name + "-1.0.dist-info/entry_points.txt", "[console_scripts]\nprobe = probe:main\n"},
		{name + "-1.0.data/scripts/other", "#!python\nimport probe\nprobe.main()\n"},
	} {
		w, err := z.Create(f[0])
		if err := errors.Join(err, writeAll(w, f[1])); err != nil {
			t.Fatal(err)
		}
		record += f[0] + ",,\n"
	}
	w, err := z.Create(name + "-1.0.dist-info/RECORD")
	if err := errors.Join(err, writeAll(w, record+name+"-1.0.dist-info/RECORD,,\n"), z.Close(), os.WriteFile(filepath.Join(folder, name+"-1.0-"+tag+".whl"), buf.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s==1.0 --hash=sha256:%x\n", name, sha256.Sum256(buf.Bytes()))
}

// builder packs images that serve, on a machine of its own.
type builder struct {
	t        *testing.T
	envs     sandbox.Environments
	packager port.Packager
	store    port.Store
	mu       sync.Mutex
	said     []string
}

func newBuilder(t *testing.T, bounds port.Bounds) *builder {
	t.Helper()
	kept, err := store.Dir(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := seal.KeyOf(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	env := port.Env{Lookup: os.LookupEnv, Bounds: bounds}
	envs := sandbox.Environments{Dir: t.TempDir(), Env: env, Seal: key}
	return &builder{t: t, store: kept, envs: envs, packager: OCI(Options{Env: env, Store: kept, Envs: envs})}
}

func (b *builder) files(texts map[string]string) (m digest.Manifest) {
	b.t.Helper()
	for at, text := range texts {
		d, n, err := b.store.Put(b.t.Context(), strings.NewReader(text))
		if err != nil {
			b.t.Fatal(err)
		}
		m = append(m, digest.File{Path: at, Digest: d, Size: n})
	}
	slices.SortFunc(m, func(a, b digest.File) int { return strings.Compare(a.Path, b.Path) })
	return m
}

// told takes what is reported; several layers are sent at once.
func (b *builder) told(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.said = append(b.said, line)
}

// order is a package of a model with an image over base; lock is what is installed.
func (b *builder) order(repository, base, lock string) port.Package {
	b.t.Helper()
	model := b.files(map[string]string{"model.bin": strings.Repeat("w", 1<<20), "model.json": "{}"})
	code := map[string]string{"src/serve.py": "import probe\n"}
	of := &port.ServingImage{Base: base, Platform: platform, Run: []string{"python3", "src/serve.py"}, Port: 8080, Params: map[string]any{"k": 1}}
	if lock != "" {
		code["requirements.lock"], of.Lock = lock, "requirements.lock"
	}
	of.Code = b.files(code)
	return port.Package{At: port.Registry{Repository: repository}, Name: "price", Model: port.Artifact{Digest: model.Digest(), Files: model}, Image: of, Tell: b.told}
}

// contents are the files of an image that serves, as an engine has them, and its settings.
func contents(t *testing.T, packed port.Packed) (map[string]*tar.Header, map[string]string, *v1.ConfigFile) {
	t.Helper()
	ref, err := name.NewDigest(packed.Repository + "@" + string(packed.Serving.Digest))
	if err != nil {
		t.Fatal(err)
	}
	image, err := remote.Image(ref)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	in := mutate.Extract(image)
	defer in.Close()
	headers, texts := map[string]*tar.Header{}, map[string]string{}
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return headers, texts, config
		}
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		headers[strings.TrimSuffix(h.Name, "/")], texts[h.Name] = h, string(raw)
	}
}

func TestAnImageServesOverABaseOfAnotherRegistry(t *testing.T) {
	version := python(t)
	wheels := t.TempDir()
	lock := wheel(t, wheels, "probe", "py3-none-any")
	t.Setenv("PIP_FIND_LINKS", wheels)
	t.Setenv("PIP_NO_INDEX", "1")
	t.Setenv("UV_FIND_LINKS", wheels)
	t.Setenv("UV_NO_INDEX", "1")
	host := func(h http.Handler) string { return strings.TrimPrefix(peers.NewBetween(t, h).URL, "http://") }
	theirs := host(registrytest.Memory())
	over := base(t, theirs+"/library/python", runtime.GOARCH, "usr/local/bin/python"+version, "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "etc/base")
	var all []port.Packed
	for range 2 { // two machines, each of which has nothing of the other's
		b := newBuilder(t, nil)
		packed, err := b.packager.Push(t.Context(), b.order(host(registrytest.Memory())+"/team/price", over, lock))
		if err != nil {
			t.Fatal(err, fault.HintOf(err))
		}
		all = append(all, packed)
	}
	if all[0].Digest != all[1].Digest || all[0].Serving.Digest != all[1].Serving.Digest {
		t.Errorf("built twice, it is %s and %s", all[0].Serving.Digest, all[1].Serving.Digest)
	}
	headers, texts, config := contents(t, all[0])
	for at, want := range map[string]string{
		"models/model.json": "{}", "vishwa/code/src/serve.py": "import probe\n", "vishwa/params.json": "{\n  \"k\": 1\n}\n", "etc/base": "etc/base",
		"vishwa/env/pyvenv.cfg": "home = /usr/local/bin\ninclude-system-site-packages = false\nversion = " + version + "\n",
		"vishwa/env/bin/other":  "#!/vishwa/env/bin/python\nimport probe\nprobe.main()\n",
		"vishwa/env/lib/python" + version + "/site-packages/probe.py": "def main():\n    print('probe')\n",
	} {
		if texts[at] != want {
			t.Errorf("%s holds %q, want %q", at, texts[at], want)
		}
	}
	if text := texts["vishwa/env/bin/probe"]; !strings.HasPrefix(text, "#!/vishwa/env/bin/python\n") || !strings.Contains(text, "from probe import main") || headers["vishwa/env/bin/probe"].Mode != 0o755 {
		t.Errorf("its program is %q", text)
	}
	if list := texts["vishwa/env/lib/python"+version+"/site-packages/probe-1.0.dist-info/RECORD"]; !strings.Contains(list, "probe.py,sha256=") || !strings.Contains(list, "../../../bin/other,sha256=") || strings.Contains(list, "INSTALLER") {
		t.Errorf("its list of files is %q", list)
	}
	if to := headers["vishwa/env/bin/python"].Linkname; to != "/usr/local/bin/python"+version {
		t.Errorf("its interpreter is %q", to)
	}
	for at, h := range headers {
		if ours := strings.HasPrefix(at, "vishwa/") || strings.HasPrefix(at, "models/"); ours && (h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.ModTime.Unix() != 0 || h.Mode&0o022 != 0 && h.Typeflag != tar.TypeSymlink) {
			t.Errorf("%s is %o of %d:%d %q, of %s", at, h.Mode, h.Uid, h.Gid, h.Uname, h.ModTime)
		}
		if strings.Contains(texts[at], os.TempDir()) || strings.HasSuffix(at, ".pyc") || strings.HasSuffix(at, "/INSTALLER") {
			t.Errorf("%s tells of this machine", at)
		}
	}
	c := config.Config
	if c.User != "65532:65532" || c.WorkingDir != "/vishwa/code" || !slices.Equal(c.Entrypoint, []string{"python3", "src/serve.py"}) || len(c.Cmd) > 0 || c.Labels["vishwa.dev/serves"] != "" || config.Architecture != runtime.GOARCH {
		t.Errorf("its settings are %+v", c)
	}
	for _, want := range []string{"PATH=/vishwa/env/bin:/usr/local/bin:/usr/bin", "LANG=C.UTF-8", "VISHWA_MODEL_DIR=/models", "VISHWA_PORT=8080"} {
		if !slices.Contains(c.Env, want) {
			t.Errorf("%v lacks %s", c.Env, want)
		}
	}
}

// TestWhatAnImageSharesIsThereOnce: the model's layers are those of the package, a second model sends no base and no environment again,
// and in a registry that has the base its layers are taken over.
func TestWhatAnImageSharesIsThereOnce(t *testing.T) {
	between := peers.NewBetween(t, peers.Proxy(t, "http://"+registrytest.New(t, "", "").Address))
	var sent, mounted atomic.Int64
	between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPatch {
			sent.Add(r.ContentLength)
		}
		if r.URL.Query().Get("mount") != "" {
			mounted.Add(1)
		}
		next.ServeHTTP(w, r)
	})
	host := strings.TrimPrefix(between.URL, "http://")
	over := base(t, host+"/library/python", runtime.GOARCH, strings.Repeat("d/", 1000)+"file")
	sent.Store(0)
	b := newBuilder(t, nil)
	order := b.order(host+"/team/price", over, "")
	packed, err := b.packager.Push(t.Context(), order)
	if err != nil {
		t.Fatal(err, fault.HintOf(err))
	}
	if n := sent.Load(); n < 1<<20 || n > 1<<20+64<<10 || mounted.Load() != 1 {
		t.Errorf("%d bytes were sent, and %d layers taken over", n, mounted.Load())
	}
	if !slices.Contains(packed.Manifests(), packed.Serving.Digest) || len(packed.Images) != 2 || packed.Serving.Base != over || packed.Serving.Platform != platform {
		t.Errorf("%+v", packed)
	}
	sent.Store(0)
	order.Known = packed.Layers
	order.Image.Code = b.files(map[string]string{"src/serve.py": "import other\n"})
	again, err := b.packager.Push(t.Context(), order)
	if err != nil || again.Serving.Digest == packed.Serving.Digest || sent.Load() > 64<<10 {
		t.Errorf("other code: %d bytes were sent, %v", sent.Load(), err)
	}
}

func (nowhere) Place(address string) error {
	return fault.WithHint(fault.New(fault.Denied, "the controller's file does not let this repository use %s", address), "have it listed")
}
