// The image of the controller and the worker, made without an engine of containers: the programs and what they call, a layer each.
// The same commit on the same base gives the same digest. Nothing in it runs as root, and nothing is written to it.

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/rootfs"
)

const (
	imageUser = 65532 // nobody's on a usual system, and not root
	imageHome = "/var/lib/vishwa"
)

// needed are the packages of Debian that the controller calls programs of: Git, which speaks HTTPS by libcurl and SSH by ssh, and
// for its helpers a shell and cat. Runs bring an image of their own.
var needed = []string{"git", "ca-certificates", "openssh-client", "dash", "coreutils"}

// unneeded are packages that these depend on for what the controller never does: Git's scripts in Perl, questions of installers.
var unneeded = []string{"perl", "perl-base", "liberror-perl", "git-man", "debconf", "openssl", "adduser", "passwd", "dpkg"}

// imageSpec says what an image is made of.
type imageSpec struct {
	base     v1.Image          // nil: packages of Debian on this machine
	packages []string          // more of them
	programs map[string]string // files of this machine, by their place in the image
	arch     string
	build    build
}

// make lays the programs over the base, and tells which packages are in it that nobody else's bill of materials lists.
func (s imageSpec) make() (v1.Image, []rootfs.Package, error) {
	image, packages, err := s.below()
	if err != nil {
		return nil, nil, err
	}
	files, err := s.files()
	if err != nil {
		return nil, nil, err
	}
	if image, err = layered(image, files); err != nil {
		return nil, nil, err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, nil, fault.New(fault.Invalid, "read the image's settings: %w", err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Created, file.Author = "linux", s.arch, v1.Time{}, ""
	for i := range file.History {
		file.History[i].Created = v1.Time{}
	}
	c := &file.Config
	c.User, c.WorkingDir = fmt.Sprintf("%d:%d", imageUser, imageUser), imageHome
	c.Entrypoint, c.Cmd = []string{"/usr/local/bin/vishwa"}, []string{"controller", "--config", "/etc/vishwa/controller.yaml"}
	c.Env = withVariable(c.Env, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	c.Env = withVariable(c.Env, "HOME", imageHome)
	c.Labels = map[string]string{
		"org.opencontainers.image.title": "vishwa", "org.opencontainers.image.version": s.build.version, "org.opencontainers.image.revision": s.build.commit,
	}
	image, err = mutate.ConfigFile(image, file)
	return image, packages, err
}

// below is what the programs are laid over.
func (s imageSpec) below() (v1.Image, []rootfs.Package, error) {
	if s.base != nil {
		if len(s.packages) > 0 {
			return nil, nil, fault.WithHint(fault.New(fault.Invalid, "packages of this machine would be laid over another system"), "give either --base or --packages")
		}
		file, err := s.base.ConfigFile()
		if err != nil {
			return nil, nil, fault.New(fault.Invalid, "read the base: %w", err)
		}
		if file.OS != "linux" || file.Architecture != s.arch {
			return nil, nil, fault.WithHint(fault.New(fault.Invalid, "the base is for %s/%s, and the image for linux/%s", file.OS, file.Architecture, s.arch), "give the digest of the base for that platform, or another --arch")
		}
		return s.base, nil, nil
	}
	files, packages, err := rootfs.Debian(rootfs.Contents{
		Packages: append(append([]string{}, needed...), s.packages...), Without: unneeded,
		Accounts: []string{fmt.Sprintf("vishwa:x:%d:%d:Vishwa:%s:/usr/sbin/nologin", imageUser, imageUser, imageHome)},
	})
	if err != nil {
		return nil, nil, fault.WithHint(fault.New(fault.Missing, "gather the programs that the controller calls: %w", err),
			"install %s, or give --base an image that has them, by digest", strings.Join(needed, ", "))
	}
	for _, p := range packages {
		if p.Arch != "all" && p.Arch != s.arch {
			return nil, nil, fault.WithHint(fault.New(fault.Invalid, "this machine's %s is for %s, and the image for %s", p.Name, p.Arch, s.arch), "build it on such a machine, or give --base an image for it, by digest")
		}
	}
	image, err := layered(empty.Image, files)
	return image, packages, err
}

// files is the layer of the programs, with the folders that volumes are mounted over.
func (s imageSpec) files() ([]byte, error) {
	var buf bytes.Buffer
	a := tar.NewWriter(&buf)
	for _, dir := range []string{"usr", "usr/local", "usr/local/bin", "etc", "etc/vishwa", "var", "var/lib", imageHome[1:]} {
		h := &tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}
		if dir == imageHome[1:] {
			h.Mode, h.Uid, h.Gid = 0o700, imageUser, imageUser
		}
		if err := a.WriteHeader(h); err != nil {
			return nil, err
		}
	}
	for _, at := range []string{"/usr/local/bin/vishwa", "/usr/local/bin/vishwa-worker"} {
		raw, err := os.ReadFile(s.programs[at])
		if err != nil {
			return nil, fault.New(fault.Missing, "read a program of the image: %w", err)
		}
		if err := rootfs.AddBytes(a, at[1:], 0o755, raw); err != nil {
			return nil, err
		}
	}
	// Where a runner's worker: names this image, the worker is looked for here.
	if err := a.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "vishwa-worker", Linkname: "usr/local/bin/vishwa-worker", Mode: 0o777}); err != nil {
		return nil, err
	}
	return buf.Bytes(), a.Close()
}

func layered(image v1.Image, files []byte) (v1.Image, error) {
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files)), nil },
		tarball.WithCompressionLevel(gzip.DefaultCompression), tarball.WithCompressedCaching)
	if err != nil {
		return nil, fault.New(fault.Internal, "make a layer: %w", err)
	}
	return mutate.AppendLayers(image, layer)
}

// withVariable sets a variable unless the base has it.
func withVariable(env []string, name, value string) []string {
	for _, v := range env {
		if strings.HasPrefix(v, name+"=") && name != "HOME" {
			return env
		}
	}
	var out []string
	for _, v := range env {
		if !strings.HasPrefix(v, name+"=") {
			out = append(out, v)
		}
	}
	return append(out, name+"="+value)
}

// baseImage fetches the base by its digest: a tag is another image tomorrow.
func baseImage(ctx context.Context, ref, arch string) (v1.Image, error) {
	at, err := name.NewDigest(ref)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%q names no image by digest: %w", ref, err), "write it as HOST/NAME@sha256:...; vishwa image pin looks a tag's up")
	}
	image, err := remote.Image(at, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithPlatform(v1.Platform{OS: "linux", Architecture: arch}))
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Transient, "fetch the base %s: %w", ref, err), "check the name, the credentials of Docker's configuration, and that the registry answers")
	}
	return image, nil
}

// imageOrder is what the command line asks for.
type imageOrder struct {
	out, sbom, base, packages, push, arch string
	build                                 build
}

// image builds the programs, lays them over the base, and writes the image with its bill of materials to a folder. It gives the
// image's reference.
func image(ctx context.Context, o imageOrder) (string, error) {
	if strings.HasSuffix(o.build.version, "-dirty") {
		return "", fault.WithHint(fault.New(fault.Invalid, "the work tree differs from the commit: nobody could build the same again"), "commit first, or put the changes aside with git stash")
	}
	if left, err := os.ReadDir(o.out); err == nil && len(left) > 0 {
		return "", fault.WithHint(fault.New(fault.Conflict, "%s is not empty", o.out), "remove it: rm -r %s", o.out)
	}
	spec := imageSpec{arch: o.arch, build: o.build, programs: map[string]string{}}
	if o.packages != "" {
		spec.packages = strings.Split(o.packages, ",")
	}
	if o.base != "" {
		var err error
		if spec.base, err = baseImage(ctx, o.base, o.arch); err != nil {
			return "", err
		}
	}
	work, err := os.MkdirTemp("", "vishwa-image-*")
	if err != nil {
		return "", fault.New(fault.Internal, "make a folder for the programs: %w", err)
	}
	defer os.RemoveAll(work)
	var bills []string
	for _, program := range []string{"vishwa", "vishwa-worker"} {
		p := platform{program, "linux", o.arch}
		at := filepath.Join(work, p.file())
		if err := o.build.program(ctx, p, at); err != nil {
			return "", err
		}
		if err := materials(ctx, o.sbom, at, o.build.version); err != nil {
			return "", err
		}
		spec.programs["/usr/local/bin/"+program], bills = at, append(bills, at+".cdx.json")
	}
	made, packages, err := spec.make()
	if err != nil {
		return "", err
	}
	bill, err := imageBill(o.build.version, o.base, bills, packages)
	if err != nil {
		return "", err
	}
	l, err := lay(made, bill)
	if err != nil {
		return "", err
	}
	if err := l.write(o.out); err != nil {
		return "", err
	}
	if o.push != "" {
		return l.push(ctx, o.push)
	}
	return o.out + "@" + l.digest.String(), nil
}
