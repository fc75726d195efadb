// An image that serves: a base from whichever registry, the Python environment of a lock, the serving code, and the model's own
// layers. All that can be wrong with the base is found before anything is sent.

package packager

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/failpoint"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/imagelayer"
	"github.com/vishwaops/vishwa/reconciler/format/modelpack"
	"github.com/vishwaops/vishwa/reconciler/machine/alone"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/ended"
	"github.com/vishwaops/vishwa/reconciler/machine/registry"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// servesAs is who serves: the number that images call nonroot.
const servesAs = "65532:65532"

// serving is an image that serves, on its way.
type serving struct {
	of   *port.ServingImage
	base registry.Base
	over int // layers over the base and the model, the first of those that are sent for it
	has  *imagelayer.Base
	shut func()
}

func (v *serving) close() { v.shut() }

// prepare reads the base and adds the parts of the image; model is how many layers the model has.
func (s *sending) prepare(ctx context.Context, model int) (*serving, error) {
	of := s.pkg.Image
	base, err := s.base(ctx, s.pkg)
	if err != nil {
		return nil, err
	}
	v := &serving{of: of, base: base, shut: func() {}}
	if err := fitsOver(base, model); err != nil {
		return nil, err
	}
	code, err := s.codePart(ctx, of)
	if err != nil {
		return nil, err
	}
	layers, err := s.baseParts(ctx, v)
	if err != nil {
		return nil, err
	}
	over := []part{code}
	if of.Lock != "" {
		env, err := s.environmentPart(ctx, v)
		if err != nil {
			v.shut()
			return nil, err
		}
		over = append([]part{env}, over...)
	}
	v.over = len(over)
	s.parts = append(s.parts, over...)
	for i, p := range layers {
		s.known[p.content] = append(s.known[p.content], port.PackageLayer{Content: p.content, Digest: p.digest, Size: base.Layers[i].Size, Repository: base.Host() + "/" + base.Repository()})
	}
	s.parts = append(s.parts, layers...)
	return v, nil
}

// baseParts are the layers of the base. What is known of one is that it is what its image's configuration says: whatever was not
// sent before is read for that.
func (s *sending) baseParts(ctx context.Context, v *serving) (out []part, err error) {
	sent := true
	for i, l := range v.base.Layers {
		// In a space of its own: no layer of a base can stand for one that is named by what is packed into it.
		name, err := digest.JSON(map[string]any{"layout": imagelayer.Layout, "layer": l.Digest, "is": v.base.Image.RootFS.DiffIDs[i]})
		if err != nil {
			return nil, fault.New(fault.Internal, "name a layer of %s: %w", v.of.Base, err)
		}
		sent = sent && len(s.known[name]) > 0
		out = append(out, part{title: fmt.Sprintf("layer %d of %s", i+1, v.of.Base), content: name, digest: digest.Digest(l.Digest),
			bytes: func() (int64, error) { return l.Size, nil }, write: func(ctx context.Context, w io.Writer) error { return copyBlob(ctx, v.base, l, w) }})
	}
	if !sent {
		_, err = s.found(ctx, v)
	}
	return out, err
}

// found is what the base has, read once.
func (s *sending) found(ctx context.Context, v *serving) (*imagelayer.Base, error) {
	if v.has != nil {
		return v.has, nil
	}
	s.report("reading the layers of %s", v.of.Base)
	found, err := lookForPrograms(ctx, v.base)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", v.of.Base, err)
	}
	v.has = found
	return found, nil
}

func copyBlob(ctx context.Context, from registry.Base, l ocispec.Descriptor, w io.Writer) error {
	in, err := from.Blob(ctx, l)
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{in}, make([]byte, 256<<10))
	return err
}

// image is what is made of the layers that were sent for it.
func (v *serving) image(sent []modelpack.Sent) *modelpack.Serving {
	is := v.base.Image
	name, sum, _ := strings.Cut(v.of.Base, "@")
	return &modelpack.Serving{
		Platform: ocispec.Platform{OS: is.OS, Architecture: is.Architecture, Variant: is.Variant},
		Base:     v.base.Layers, Diffs: is.RootFS.DiffIDs, Over: sent[:v.over],
		Config: ocispec.ImageConfig{
			User: servesAs, ExposedPorts: map[string]struct{}{fmt.Sprintf("%d/tcp", v.of.Port): {}}, Env: v.variables(), Entrypoint: v.of.Run,
			WorkingDir: "/" + imagelayer.CodeDir, StopSignal: is.Config.StopSignal,
			Labels: map[string]string{ocispec.AnnotationBaseImageName: name, ocispec.AnnotationBaseImageDigest: sum},
		},
	}
}

// variables are the base's, and those that a served process finds on every target.
func (v *serving) variables() []string {
	on := imagelayer.Path(v.base.Image.Config.Env)
	set := map[string]string{
		"VISHWA_MODEL_DIR": "/" + modelpack.Root, "VISHWA_PARAMS": "/" + imagelayer.ParamsFile, "VISHWA_PORT": fmt.Sprint(v.of.Port),
		"HOME": "/tmp", "PATH": on, "PYTHONDONTWRITEBYTECODE": "1",
	}
	if v.of.Lock != "" {
		set["PATH"], set["VIRTUAL_ENV"] = "/"+imagelayer.EnvDir+"/bin:"+on, "/"+imagelayer.EnvDir
	}
	var out []string
	for _, old := range v.base.Image.Config.Env {
		name, _, _ := strings.Cut(old, "=")
		if _, ours := set[name]; !ours && !strings.HasPrefix(name, "VISHWA_") {
			out = append(out, old)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		out = append(out, name+"="+set[name])
	}
	return out
}

// layerPart is a part that is made of entries, once they are needed.
func layerPart(title string, content any, layer func() (imagelayer.Layer, error)) (part, error) {
	name, err := digest.JSON(content)
	return part{title: title, content: name, bytes: func() (int64, error) {
		l, err := layer()
		if err != nil {
			return 0, err
		}
		return l.Size()
	}, write: func(_ context.Context, w io.Writer) error {
		l, err := layer()
		if err != nil {
			return err
		}
		return l.Write(w)
	}}, err
}

// codePart is the code, and the parameters.
func (s *sending) codePart(ctx context.Context, of *port.ServingImage) (part, error) {
	l, params, err := codeLayer(of, func(f digest.File) (io.ReadCloser, error) { return s.kept(ctx, f) })
	if err != nil {
		return part{}, err
	}
	return layerPart(plural.Of(len(of.Code), "file")+" of code", map[string]any{"layout": imagelayer.Layout, "code": of.Code, "params": params}, func() (imagelayer.Layer, error) { return l, nil })
}

// codeLayer lays out the code, which open has, and the parameters, whose digest it tells.
func codeLayer(of *port.ServingImage, open func(digest.File) (io.ReadCloser, error)) (imagelayer.Layer, digest.Digest, error) {
	params, err := sandbox.ParamsFile(of.Params)
	if err != nil {
		return nil, "", fault.New(fault.Invalid, "encode its parameters: %w", err)
	}
	entries := []imagelayer.Entry{imagelayer.Bytes(imagelayer.ParamsFile, false, params)}
	for _, f := range of.Code {
		entries = append(entries, imagelayer.Entry{Path: path.Join(imagelayer.CodeDir, f.Path), Size: f.Size, Open: func() (io.ReadCloser, error) { return open(f) }})
	}
	l, err := imagelayer.New(entries)
	if err != nil {
		err = fault.WithHint(fault.New(fault.Invalid, "its code: %w", err), "rename the file, or list other paths in spec.image.code")
	}
	return l, digest.Of(params), err
}

// environmentPart is the environment of the lock. It is made now, unless it was sent before.
func (s *sending) environmentPart(ctx context.Context, v *serving) (part, error) {
	i := slices.IndexFunc(v.of.Code, func(f digest.File) bool { return f.Path == v.of.Lock })
	if i < 0 {
		return part{}, fault.New(fault.Internal, "its lock file %s is not among its code", v.of.Lock)
	}
	layer := sync.OnceValues(func() (imagelayer.Layer, error) { return s.environment(ctx, v, v.of.Code[i]) })
	p, err := layerPart("the environment of "+v.of.Lock, environmentContent(v.of.Code[i], v.base), layer)
	if err == nil && len(s.known[p.content]) == 0 {
		_, err = layer()
	}
	return p, err
}

// environment makes the environment of a lock on this machine, and lays it out for the base.
func (s *sending) environment(ctx context.Context, v *serving, f digest.File) (imagelayer.Layer, error) {
	if err := madeHere(v.of); err != nil {
		return nil, err
	}
	found, err := s.found(ctx, v)
	if err != nil {
		return nil, err
	}
	lock, err := artifact.ReadAll(ctx, s.store, f.Digest)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.Path, err)
	}
	s.report("installing the packages of %s", f.Path)
	// In a folder of its own: what runs share may have been changed by one of them, and this is signed for all who serve by it.
	apart, err := s.apart(ctx)
	if err != nil {
		return nil, err
	}
	v.shut = func() { _ = apart.Close() } // else the next does it
	envs := s.envs
	envs.Dir, envs.Packed = apart.Path, nil
	made, err := envs.Prepare(ctx, lock, io.Discard)
	if err != nil {
		return nil, err
	}
	failpoint.At(failpoint.Installed)
	if made.Bin == "" {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s names no packages", f.Path), "take env out of spec.image")
	}
	dir := filepath.Dir(made.Bin)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fault.New(fault.Internal, "open the environment of %s: %w", f.Path, err)
	}
	v.shut = func() { root.Close(); _ = apart.Close() }
	packed, err := imagelayer.Environment{Files: root.FS(), Dir: dir, Arch: runtime.GOARCH}.Read()
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the environment of %s: %w", f.Path, err), "take the package out of the lock file, or have the packages in the base")
	}
	for _, name := range packed.Unsaid {
		s.report("%s does not say for which machines it was compiled: see that the base has what it links", name)
	}
	python, err := fits(packed, found, v)
	if err != nil {
		return nil, err
	}
	l, err := packed.Over(python)
	if err != nil {
		err = fault.WithHint(fault.New(fault.Invalid, "the environment of %s: %w", f.Path, err), "take the package out of the lock file, or have the packages in the base")
	}
	return l, err
}

// apart makes a folder for the environment of one image.
func (s *sending) apart(ctx context.Context) (*alone.Folder, error) {
	dir, err := filepath.Abs(imagesIn(s.envs))
	if err == nil {
		var made *alone.Folder
		if made, err = alone.Make(ctx, dir, environments); err == nil {
			return made, nil
		}
	}
	if ctx.Err() != nil {
		return nil, err
	}
	return nil, artifact.Disk(fmt.Errorf("make a folder for the environment: %w", err), s.envs.Dir)
}

const environments = "e-" // begins the names of their folders

// imagesIn is where the environments of images are made.
func imagesIn(envs sandbox.Environments) string { return filepath.Join(envs.Dir, "images") }

// fits tells whether an environment can be begun over a base, and by which interpreter.
func fits(packed imagelayer.Packed, found *imagelayer.Base, v *serving) (python string, err error) {
	if python = found.Interpreter(imagelayer.Path(v.base.Image.Config.Env), packed.Python); python == "" {
		has := "none on its PATH"
		if all := found.Pythons(); len(all) > 0 {
			has = strings.Join(all, ", ")
		}
		return "", fault.WithHint(fault.New(fault.Invalid, "%s has no Python %s, for which the environment is made here: it has %s", v.of.Base, packed.Python, has),
			"name a base with Python %s, or let the python3 of this machine be the base's version", packed.Python)
	}
	for _, library := range packed.Needs {
		if !found.Has(library) {
			return "", fault.WithHint(fault.New(fault.Invalid, "packages of %s are compiled for %s, which %s does not have", v.of.Lock, library, v.of.Base), "name a base that has it: Debian's and Red Hat's have glibc, Alpine's has musl")
		}
	}
	if is, older := found.Older(packed.Glibc); older {
		return "", fault.WithHint(fault.New(fault.Invalid, "packages of %s are compiled for glibc %s, and %s has %s", v.of.Lock, packed.Glibc, v.of.Base, is),
			"name a base that is as new, or versions of the packages that are compiled for an older one")
	}
	return python, nil
}

// lookForPrograms finds what an environment needs to know in the layers of a base.
func lookForPrograms(ctx context.Context, base registry.Base) (*imagelayer.Base, error) {
	found := &imagelayer.Base{}
	for i, l := range base.Layers {
		is, err := lookIntoLayer(ctx, base, l, found)
		if err != nil {
			return nil, err
		}
		if said := base.Image.RootFS.DiffIDs[i]; is != said {
			return nil, fault.WithHint(fault.New(fault.Corrupt, "its layer %s is %s, and its configuration says %s: no engine would run it", digest.Digest(l.Digest).Short(), is, said), "name another base, or push it anew")
		}
	}
	return found, nil
}

// lookIntoLayer reads a layer to its end, and tells what it is when it is not compressed.
func lookIntoLayer(ctx context.Context, base registry.Base, l ocispec.Descriptor, found *imagelayer.Base) (godigest.Digest, error) {
	in, err := base.Blob(ctx, l)
	if err != nil {
		return "", err
	}
	defer in.Close()
	plain := io.Reader(in)
	switch l.MediaType {
	case ocispec.MediaTypeImageLayerGzip:
		if plain, err = gzip.NewReader(in); err != nil {
			return "", damaged(in, l, err)
		}
	case ocispec.MediaTypeImageLayerZstd:
		z, err := zstd.NewReader(in, zstd.WithDecoderMaxWindow(64<<20), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return "", damaged(in, l, err)
		}
		defer z.Close()
		plain = z
	}
	sum := sha256.New()
	plain = io.TeeReader(ended.Reader(ctx, plain, "read"), sum)
	if err := found.Add(plain); err != nil {
		return "", damaged(in, l, err)
	}
	if n, err := io.Copy(io.Discard, io.LimitReader(plain, mostTail+1)); err != nil || n > mostTail {
		return "", damaged(in, l, cmp.Or(err, errors.New("it goes on after its end")))
	}
	if _, err = io.Copy(io.Discard, in); err != nil { // at its end it is known whether it is what it is named
		return "", err
	}
	return godigest.NewDigest(godigest.SHA256, sum), nil
}

// mostTail is how many bytes may follow the end of a tar: archivers fill up blocks of their own.
const mostTail = 1 << 20

// damaged is an error about a layer, where what it was read from has none of its own: bytes that are not its are told as that.
func damaged(in io.Reader, l ocispec.Descriptor, err error) error {
	if _, why := io.Copy(io.Discard, in); why != nil {
		err = why
	}
	if fault.Of(err) == fault.Transient || fault.Of(err) == fault.Cancelled || fault.Of(err) == fault.Corrupt {
		return err
	}
	return fault.WithHint(fault.New(fault.Invalid, "its layer %s cannot be read: %w", digest.Digest(l.Digest).Short(), err), "name another base, or push it anew")
}
