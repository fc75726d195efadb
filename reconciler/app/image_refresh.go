// Refreshing images: what the tags of declared images name by now becomes a commit, on a
// branch of its own for people to merge.

package app

import (
	"context"
	"fmt"
	"io/fs"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/registry"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// ImageProposals begins the names of branches on which images are proposed.
const ImageProposals = "vishwa/images/"

// ImageRefresh says which images are looked at, and how they are proposed.
type ImageRefresh struct {
	Env  port.Env
	Refs []schemas.Ref // none: of all declarations that name one with a tag
	// Ask opens a pull request, or finds it; nil: people do.
	Ask func(ctx context.Context, p port.Proposal) (number int, url string, err error)
}

// RefreshedImages is what came of it.
type RefreshedImages struct {
	Images   []PinnedImage `json:"images"` // whose tag names another by now
	Seen     int           `json:"seen"`   // images with a tag
	Already  bool          `json:"already,omitempty"`
	Proposed *Proposed     `json:"proposed,omitempty"`
}

// ProposeImages asks registries what the tags of the images that Head declares name now, and
// proposes those that moved, all in one commit. The same images are proposed once.
func (p *Proposer) ProposeImages(ctx context.Context, o ImageRefresh) (RefreshedImages, error) {
	var out RefreshedImages
	tree, err := p.Repo.Open(ctx, p.Head)
	if err != nil {
		return out, err
	}
	declared, err := taggedImages(ctx, tree, o.Refs)
	if err != nil {
		return out, err
	}
	out.Seen = len(declared)
	if out.Images, err = o.moved(ctx, declared); err != nil || len(out.Images) == 0 {
		return out, err
	}
	branch := ImageProposals + p.Base
	was, err := p.Tip(ctx, branch)
	if err != nil {
		return out, err
	}
	parent, err := p.below(ctx, was)
	if err != nil {
		return out, err
	}
	text := templates.ImagesText{}
	for _, m := range out.Images {
		text.Moved = append(text.Moved, templates.MovedImage{Ref: ImageOwner(m.Ref), Was: m.Was, Image: m.Image, Platforms: m.Platforms})
	}
	if out.Already, err = p.sameImages(ctx, was, out.Images); err != nil {
		return out, err
	}
	sha := was
	if !out.Already {
		files, err := p.imageFiles(ctx, parent, out.Images)
		if err != nil {
			return out, err
		}
		message := text.Message()
		if p.For != "" {
			message = strings.TrimRight(message, "\n") + "\n\nRequested-by: " + p.For + "\n"
		}
		if sha, err = p.Repo.Write(ctx, repo.CommitDraft{Parent: parent, Files: files, Message: message, Time: o.Env.Now(), Sign: p.Sign}); err != nil {
			return out, err
		}
		if err := p.Move(ctx, branch, was, sha); err != nil {
			return out, err
		}
	}
	out.Proposed = &Proposed{Branch: branch, SHA: sha}
	if o.Ask != nil {
		out.Proposed.Pull, out.Proposed.URL, err = o.Ask(ctx, port.Proposal{Base: p.Base, Head: branch, SHA: sha, Title: text.Subject(), Body: text.Body()})
	}
	return out, err
}

// taggedImages are the images that refs, or all declarations of tree, name with a tag.
func taggedImages(ctx context.Context, tree fs.FS, refs []schemas.Ref) ([]imageField, error) {
	decls, problems := schemas.Load(ctx, tree)
	if ctx.Err() != nil {
		return nil, fault.New(fault.Cancelled, "read the declarations: %w", context.Cause(ctx))
	}
	if len(problems) > 0 {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%w", problems[0]), "correct the declarations; vishwa validate tells all that is wrong")
	}
	var out []imageField
	if len(refs) > 0 {
		for _, ref := range refs {
			found, err := imageIn(decls, ref)
			if err == nil {
				_, err = ImageOptions{Ref: ref}.asked(found)
			}
			if err != nil {
				return nil, err
			}
			out = append(out, found)
		}
		return out, nil
	}
	for _, d := range decls {
		ref := d.Ref()
		if d.Traits().Settings {
			ref = schemas.ProjectRef
		}
		found, err := imageIn(decls, ref)
		if err != nil { // it runs in none
			continue
		}
		if _, err := (ImageOptions{Ref: ref}).asked(found); err == nil {
			out = append(out, found)
		}
	}
	return out, nil
}

// moved are those whose tag names another by now. A registry is asked once for each tag.
func (o ImageRefresh) moved(ctx context.Context, declared []imageField) ([]PinnedImage, error) {
	asked := map[string]registry.Image{}
	var out []PinnedImage
	for _, d := range declared {
		name, err := ImageOptions{Ref: d.Ref}.asked(d)
		if err != nil {
			return nil, err
		}
		if err := o.Env.MayAsk(registry.Place(name)); err != nil {
			return nil, err
		}
		now, known := asked[name]
		if !known {
			if now, err = registry.Resolve(ctx, registry.Options{Lookup: o.Env.Lookup, Anonymous: o.Env.MayUse(registry.Place(name)) != nil}, name); err != nil {
				return nil, fault.WithHint(fault.New(fault.Of(err), "refresh the image of %s: %w", ImageOwner(d.Ref), err), "%s", fault.HintOf(err))
			}
			asked[name] = now
		}
		if now.String() == d.Was {
			continue
		}
		d.Image, d.Platforms, d.Moved = now.String(), now.Platforms, true
		out = append(out, d.PinnedImage)
	}
	return out, nil
}

// sameImages tells whether the branch at tip declares all of these already.
func (p *Proposer) sameImages(ctx context.Context, tip string, moved []PinnedImage) (bool, error) {
	if tip == "" {
		return false, nil
	}
	if ours, err := p.ours(ctx, tip); err != nil || !ours {
		return false, err
	}
	tree, err := p.Repo.Open(ctx, tip)
	if err != nil {
		return false, err
	}
	decls, problems := schemas.Load(ctx, tree)
	if len(problems) > 0 { // it is written anew
		return false, ctx.Err()
	}
	for _, m := range moved {
		if there, err := imageIn(decls, m.Ref); err != nil || there.Was != m.Image {
			return false, nil
		}
	}
	return true, nil
}

// imageFiles are the files of parent with the images in them.
func (p *Proposer) imageFiles(ctx context.Context, parent string, moved []PinnedImage) (map[string][]byte, error) {
	tree, err := p.Repo.Open(ctx, parent)
	if err != nil {
		return nil, err
	}
	decls, _ := schemas.Load(ctx, tree)
	files := map[string][]byte{}
	for _, m := range moved {
		there, err := imageIn(decls, m.Ref)
		if err != nil {
			return nil, fault.WithHint(err, "the branch with the proposal declares it no longer: delete that branch")
		}
		at := there.Pos.File
		if files[at] == nil {
			if files[at], err = fs.ReadFile(tree, at); err != nil {
				return nil, fault.New(fault.Internal, "read %s: %w", at, err)
			}
		}
		if files[at], err = schemas.SetText(files[at], there.of, there.field, m.Image); err != nil {
			return nil, fault.WithHint(fmt.Errorf("%s: %w", there.Pos, err), "%s", fault.HintOf(err))
		}
	}
	return files, nil
}

// saidOfImages is what people are told of images that moved.
func saidOfImages(r RefreshedImages) string {
	n := plural.Of(int64(len(r.Images)), "image")
	switch {
	case r.Proposed.Pull > 0:
		return fmt.Sprintf("The tags of %s name others by now: they are proposed as pull request %d.", n, r.Proposed.Pull)
	case r.Proposed.URL != "":
		return fmt.Sprintf("The tags of %s name others by now, and the pull request with them was closed: nobody is asked again until they move.", n)
	}
	return fmt.Sprintf("The tags of %s name others by now: they are on %s.", n, r.Proposed.Branch)
}
