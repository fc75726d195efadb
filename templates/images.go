// Images that are proposed, as they are told in the message of their commit and in the first
// words of their pull request.

package templates

import (
	"fmt"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/plural"
)

// MovedImage is one whose tag names another by now.
type MovedImage struct {
	Ref        string // whose declaration names it
	Was, Image string
	Platforms  []string
}

// ImagesText is what is proposed.
type ImagesText struct{ Moved []MovedImage }

// Subject is the first line of the commit, and the title of the pull request.
func (t ImagesText) Subject() string {
	if len(t.Moved) == 1 {
		return "Move the image of " + t.Moved[0].Ref
	}
	return "Move " + plural.Of(int64(len(t.Moved)), "image")
}

// Message is the commit's.
func (t ImagesText) Message() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", t.Subject())
	for _, m := range t.Moved {
		fmt.Fprintf(&b, "- %s: %s, was %s\n", m.Ref, harmless.Line(m.Image), digestOf(m.Was))
	}
	return b.String()
}

// Body is the pull request's, as Markdown.
func (t ImagesText) Body() string {
	var b strings.Builder
	b.WriteString("The registry names other images by these tags than the ones that are declared. An image is part of the key: what ran in the old one is run again after this is merged.\n\n| declaration | image | now | was | for |\n|---|---|---|---|---|\n")
	for i, m := range t.Moved {
		if i == mostChanges {
			fmt.Fprintf(&b, "\nand %d more.\n", len(t.Moved)-i)
			break
		}
		name, _, _ := strings.Cut(m.Image, "@")
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", code(m.Ref, 200), code(name, 200), code(digestOf(m.Image), 100), code(digestOf(m.Was), 100),
			strings.ReplaceAll(prose(strings.Join(m.Platforms, ", "), 200), "|", "\\|"))
	}
	b.WriteString("\nClosing this without merging it silences it until a tag moves again.\n")
	return b.String()
}

// digestOf is the digest that an image is declared by.
func digestOf(image string) string {
	_, sum, _ := strings.Cut(harmless.Line(image), "@")
	return sum
}
