// Images: what a tag names now is written into the declaration that names it.

package app

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/registry"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// ImageOptions say which image of which declaration.
type ImageOptions struct {
	Env       port.Env
	Ref       schemas.Ref // a run, or the project for its defaults
	Image     string      // "": the one that is declared
	Platforms []string    // that it must be for, such as linux/amd64
}

// PinnedImage is an image that was written.
type PinnedImage struct {
	Ref       schemas.Ref      `json:"ref"`
	Was       string           `json:"was,omitempty"`
	Image     string           `json:"image"`
	Platforms []string         `json:"platforms"`
	Pos       schemas.Position `json:"pos"`
	Moved     bool             `json:"moved"` // and was written
}

// PinImage resolves an image of a declaration in the folder root, and writes it there by
// digest. Declarations with problems are read as far as they can be: an image by tag is one.
func PinImage(ctx context.Context, root string, o ImageOptions) (PinnedImage, error) {
	p, err := declaredImage(ctx, os.DirFS(root), o.Ref)
	if err != nil {
		return p.PinnedImage, err
	}
	asked, err := o.asked(p)
	if err != nil {
		return p.PinnedImage, err
	}
	if err := o.Env.MayAsk(registry.Place(asked)); err != nil {
		return p.PinnedImage, err
	}
	found, err := registry.Resolve(ctx, registry.Options{Lookup: o.Env.Lookup}, asked, o.Platforms...)
	if err != nil {
		return p.PinnedImage, err
	}
	p.Image, p.Platforms = found.String(), found.Platforms
	if !schemas.ByDigest(p.Image) {
		return p.PinnedImage, fault.WithHint(fault.New(fault.Invalid, "%q is not the name of an image", asked), "write it as registry.example.com/team/base:1.0")
	}
	if p.Image == p.Was {
		return p.PinnedImage, nil
	}
	file := filepath.Join(root, filepath.FromSlash(p.Pos.File))
	raw, err := os.ReadFile(file)
	if err != nil {
		return p.PinnedImage, fault.WithHint(fault.New(fault.Invalid, "read %s: %w", p.Pos.File, err), "let this user read and write %s", p.Pos.File)
	}
	out, err := schemas.SetText(raw, p.of, p.field, p.Image)
	if err != nil {
		return p.PinnedImage, fault.WithHint(fmt.Errorf("%s: %w", p.Pos, err), "%s", fault.HintOf(err))
	}
	p.Moved = true
	return p.PinnedImage, written(file, out)
}

// asked is what the registry is asked for.
func (o ImageOptions) asked(p imageField) (string, error) {
	if o.Image != "" {
		return o.Image, nil
	}
	bare, sum, pinned := strings.Cut(p.Was, "@")
	last := bare[strings.LastIndexByte(bare, '/')+1:]
	switch {
	case p.Was == "":
		return "", fault.WithHint(fault.New(fault.Missing, "%s declares no image", ImageOwner(o.Ref)), "name one: vishwa image pin %s IMAGE", ImageOwner(o.Ref))
	case pinned && !strings.Contains(last, ":"):
		return "", fault.WithHint(fault.New(fault.Invalid, "%s names %s by digest alone, which never moves", ImageOwner(o.Ref), schemas.ShortImage(bare+"@"+sum)), "name another: vishwa image pin %s IMAGE", ImageOwner(o.Ref))
	}
	return bare, nil
}

// ImageOwner is how a person names what declares an image: the project goes without a name of its own.
func ImageOwner(ref schemas.Ref) string {
	if ref == schemas.ProjectRef {
		return string(ref.Kind)
	}
	return ref.String()
}

// imageField is a place for an image.
type imageField struct {
	PinnedImage
	field string
	of    schemas.Ref // whose field it is, with the project's own name
}

// declaredImage finds where ref names its image.
func declaredImage(ctx context.Context, tree fs.FS, ref schemas.Ref) (imageField, error) {
	decls, problems := schemas.Load(ctx, tree)
	if ctx.Err() != nil {
		return imageField{PinnedImage: PinnedImage{Ref: ref}}, fault.New(fault.Cancelled, "read the declarations: %w", context.Cause(ctx))
	}
	p, err := imageIn(decls, ref)
	if fault.Of(err) == fault.Missing && len(problems) > 0 && !strings.Contains(fault.HintOf(err), "did you mean") {
		return p, fault.WithHint(err, "correct the declarations first; vishwa validate tells what is wrong")
	}
	return p, err
}

// imageIn is where ref, one of decls, names its image.
func imageIn(decls []schemas.Declaration, ref schemas.Ref) (imageField, error) {
	p := imageField{PinnedImage: PinnedImage{Ref: ref}, field: "spec.image", of: ref.Whole()}
	var names []string
	for _, d := range decls {
		spec, in := d.Spec.(schemas.Imaged)
		var image, field string
		if in {
			image, field = spec.Imaged()
		}
		if field != "" && !d.Traits().Settings {
			names = append(names, d.Ref().String())
		}
		switch {
		case d.Ref() != ref.Whole() && (ref != schemas.ProjectRef || !d.Traits().Settings): // the project is named without its name
			continue
		case field == "":
			return p, fault.WithHint(fault.New(fault.Invalid, "%s runs in no image", ref), "name a transform, a training, a deployment of target docker, a package with an image, or project for the default")
		}
		p.Was, p.field, p.of = image, field, d.Ref()
		p.Pos = d.Fields(p.field)
		return p, nil
	}
	err := fault.New(fault.Missing, "%s is not declared", ImageOwner(ref))
	if near := schemas.Nearest(ref.Whole().String(), names); near != "" {
		return p, fault.WithHint(err, "did you mean %s?", near)
	}
	return p, fault.WithHint(err, "name a transform, a training, a deployment of target docker, a package with an image, or project for the default")
}

// written writes a file of the work tree whole, with the mode that it has.
func written(file string, text []byte) error {
	st, err := os.Stat(file)
	if err == nil {
		err = sandbox.WriteFile(file, text)
	}
	if err == nil {
		err = os.Chmod(file, st.Mode().Perm())
	}
	if err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "write %s: %w", file, err), "make the file and its folder writable")
	}
	return nil
}
