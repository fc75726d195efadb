// How an object is a tag and a manifest of a registry, and the way back.

package registry

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	godigest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
)

const (
	tagPrefix    = "vishwa." // begins every tag of ours
	objectType   = "application/vnd.vishwa.object.v1"
	keyNote      = "dev.vishwa.key"  // annotations: whose manifest it is,
	sizeNote     = "dev.vishwa.size" // and of how many bytes
	mostManifest = 4 << 20           // bytes of a manifest: registries take no more
	layerType    = "application/octet-stream"
	longestTag   = 128 // bytes
	mostParts    = 4000
	leastPart    = 32 << 20 // bytes of a part: some registries, and what stands before them, take no large ones
)

// emptyPart is what an object of no bytes is made of, as a manifest has a layer; and what
// stands where an image has its settings.
var emptyPart = ocispec.Descriptor{MediaType: ocispec.DescriptorEmptyJSON.MediaType, Digest: ocispec.DescriptorEmptyJSON.Digest, Size: ocispec.DescriptorEmptyJSON.Size}

// tagOf spells key as a tag: in lower case, as registries sort without regard to case,
// and so that tags stand in the order of their keys. A slash is a dot; what is neither a
// digit nor a letter from a to y is two hexadecimal digits after what says where it belongs.
func tagOf(key string) (string, error) {
	if err := bucket.CheckKey(key); err != nil {
		return "", err
	}
	tag := tagPrefix + spelt(key)
	if len(tag) > longestTag {
		return "", fault.New(fault.Invalid, "%q cannot name an object in a registry: its tag would be longer than %d characters", key, longestTag)
	}
	return tag, nil
}

func spelt(key string) string {
	var s strings.Builder
	for i := range len(key) {
		switch c := key[i]; {
		case c == '/':
			s.WriteByte('.')
		case c < '/':
			fmt.Fprintf(&s, "-%02x", c)
		case '0' <= c && c <= '9', 'a' <= c && c <= 'y':
			s.WriteByte(c)
		case c < 'a':
			fmt.Fprintf(&s, "_%02x", c)
		default:
			fmt.Fprintf(&s, "z%02x", c)
		}
	}
	return s.String()
}

// keyOf is the key of a tag, where it is one of ours.
func keyOf(tag string) (key string, ours bool) {
	rest, ours := strings.CutPrefix(tag, tagPrefix)
	if !ours || len(tag) > longestTag {
		return "", false
	}
	var k []byte
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; c {
		case '.':
			k = append(k, '/')
		case '-', '_', 'z':
			if i+2 >= len(rest) {
				return "", false
			}
			b, err := strconv.ParseUint(rest[i+1:i+3], 16, 8)
			if err != nil {
				return "", false
			}
			k = append(k, byte(b))
			i += 2
		default:
			k = append(k, c)
		}
	}
	again, err := tagOf(string(k))
	return string(k), err == nil && again == tag // one spelling each
}

// object is what a manifest says.
type object struct {
	size   int64
	layers []ocispec.Descriptor // the parts, in order; none of no bytes
}

// manifest is always the same for the same bytes under the same key: two who put them at
// once put one manifest, and no two keys share one, so that deleting one spares the other.
func (o object) manifest(key string) ([]byte, error) {
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: objectType,
		Config: emptyPart, Layers: o.layers, Annotations: map[string]string{keyNote: key, sizeNote: strconv.FormatInt(o.size, 10)},
	}
	if o.size == 0 {
		m.Layers = []ocispec.Descriptor{emptyPart}
	}
	return json.Marshal(m)
}

// readObject reads the manifest of key. What is none is Corrupt.
func readObject(key string, raw []byte) (o object, err error) {
	wrong := func(format string, args ...any) (object, error) {
		return object{}, fault.New(fault.Corrupt, "its manifest "+format, args...)
	}
	if len(raw) > mostManifest {
		return wrong("has more than %d bytes", mostManifest)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return wrong("cannot be read")
	}
	if m.SchemaVersion != 2 || m.MediaType != ocispec.MediaTypeImageManifest || m.ArtifactType != objectType {
		return wrong("is not of a Vishwa object")
	}
	if m.Annotations[keyNote] != key {
		return wrong("is another object's")
	}
	if o.size, err = strconv.ParseInt(m.Annotations[sizeNote], 10, 64); err != nil || o.size < 0 {
		return wrong("names no size")
	}
	if o.size == 0 {
		if len(m.Layers) != 1 || m.Layers[0].Digest != emptyPart.Digest {
			return wrong("has parts, and no bytes")
		}
		return o, nil
	}
	sum := int64(0)
	for _, l := range m.Layers {
		if l.Digest.Validate() != nil || l.Digest.Algorithm() != godigest.SHA256 || l.Size <= 0 || l.Size > math.MaxInt64-sum {
			return wrong("has a part that is none")
		}
		sum += l.Size
		o.layers = append(o.layers, ocispec.Descriptor{MediaType: l.MediaType, Digest: l.Digest, Size: l.Size})
	}
	if sum != o.size {
		return wrong("has parts of %d bytes for %d", sum, o.size)
	}
	return o, nil
}

// partSize is how large the parts of an object of size bytes are, the last aside. It
// depends on nothing else, so that a later try finds those that arrived.
func partSize(size, least int64) int64 {
	n := least
	for n*mostParts < size {
		n *= 2
	}
	return n
}
