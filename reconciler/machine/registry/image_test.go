// Images: a tag is what a registry says that it is, for the machines that it is for.

package registry

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/freeport"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/registrytest"
)

// pushed has an image, or an index of several, at a tag, and is its digest.
func pushed(t *testing.T, at string, architectures ...string) string {
	t.Helper()
	tag, err := name.NewTag(at, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	var images []v1.Image
	for _, a := range architectures {
		img, err := random.Image(64, 1)
		if err != nil {
			t.Fatal(err)
		}
		config, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		config.OS, config.Architecture = "linux", a
		if img, err = mutate.ConfigFile(img, config); err != nil {
			t.Fatal(err)
		}
		images = append(images, img)
	}
	if len(images) == 1 {
		if err := remote.Write(tag, images[0]); err != nil {
			t.Fatal(err)
		}
		sum, err := images[0].Digest()
		if err != nil {
			t.Fatal(err)
		}
		return sum.String()
	}
	var index v1.ImageIndex = empty.Index
	for i, img := range images {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architectures[i]}}})
	}
	if err := remote.WriteIndex(tag, index); err != nil {
		t.Fatal(err)
	}
	sum, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return sum.String()
}

func TestATagIsResolved(t *testing.T) {
	between := peers.NewBetween(t, registrytest.Memory())
	at := strings.TrimPrefix(between.URL, "http://") + "/team/base"
	one, several := pushed(t, at+":one", "amd64"), pushed(t, at+":several", "amd64", "arm64")
	pushed(t, at+":latest", "arm64")
	for text, c := range map[string]struct {
		digest    string
		platforms []string
	}{
		at + ":one":                    {one, []string{"linux/amd64"}},
		at + ":several":                {several, []string{"linux/amd64", "linux/arm64"}},
		at + "@" + one:                 {one, []string{"linux/amd64"}},
		at + ":several@" + several:     {several, []string{"linux/amd64", "linux/arm64"}},
		at + ":the-tag-is-gone@" + one: {one, []string{"linux/amd64"}},
	} {
		im, err := Resolve(t.Context(), Options{}, text, "linux/amd64")
		if err != nil || string(im.Digest) != c.digest || !slices.Equal(im.Platforms, c.platforms) {
			t.Errorf("%s: %+v, %v", text, im, err)
		}
		if bare, _, _ := strings.Cut(text, "@"); im.String() != bare+"@"+c.digest {
			t.Errorf("%s is written as %s", text, im)
		}
	}
	if im, err := Resolve(t.Context(), Options{}, at); err != nil || !slices.Equal(im.Platforms, []string{"linux/arm64"}) || im.Name != at+":latest" {
		t.Errorf("without a tag: %+v, %v", im, err)
	}
}

// TestWhatCannotBeResolvedIsSaid: with its kind and what to do.
func TestWhatCannotBeResolvedIsSaid(t *testing.T) {
	between := peers.NewBetween(t, registrytest.Memory())
	at := strings.TrimPrefix(between.URL, "http://") + "/team/base"
	sum := pushed(t, at+":one", "arm64")
	gone, err := freeport.Address("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	answers := func(code int, header ...string) meddle {
		return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			if len(header) > 0 {
				w.Header().Set(header[0], header[1])
			}
			w.WriteHeader(code)
		}
	}
	for what, c := range map[string]struct {
		name, platform string
		do             meddle
		want           fault.Kind
		way            string
	}{
		"no such tag":           {at + ":none", "", nil, fault.Missing, "correct the name"},
		"no such repository":    {strings.Replace(at, "base", "none", 1) + ":one", "", nil, fault.Missing, "correct the name"},
		"no such digest":        {at + "@sha256:" + strings.Repeat("0", 64), "", nil, fault.Missing, "correct the name"},
		"another architecture":  {at + ":one", "linux/amd64", nil, fault.Missing, "built for linux/amd64"},
		"nobody answers":        {gone + "/base:1", "", nil, fault.Transient, "try again"},
		"who are you":           {at + ":one", "", answers(401, "WWW-Authenticate", `Basic realm="r"`), fault.Denied, "docker login"},
		"not you":               {at + ":one", "", answers(403), fault.Denied, "docker login"},
		"a page":                {at + ":one", "", answers(200, "Content-Type", "text/html"), fault.Invalid, "who runs"},
		"no name":               {"Not A Name", "", nil, fault.Invalid, "write it as"},
		"no digest":             {at + "@sha256:12", "", nil, fault.Invalid, "its tag alone"},
		"nothing":               {"", "", nil, fault.Invalid, "write it as"},
		"where clouds keep it":  {"169.254.169.254/base:1", "", nil, fault.Denied, ""},
		"another's digest":      {at + ":one", "", answers(200, "Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64)), fault.Invalid, ""},
		"a digest of its own":   {at + "@" + sum, "", rewritten, fault.Corrupt, ""},
		"a digest and its page": {at + ":one", "", rewritten, fault.Corrupt, ""},
	} {
		t.Run(what, func(t *testing.T) {
			between.Meddle(c.do)
			defer between.Meddle(nil)
			var platforms []string
			if c.platform != "" {
				platforms = []string{c.platform}
			}
			im, err := Resolve(t.Context(), Options{pause: time.Millisecond}, c.name, platforms...)
			if err == nil || fault.Of(err) != c.want || !strings.Contains(fault.HintOf(err), c.way) {
				t.Errorf("%+v, %v (%v; %s), want %v", im, err, fault.Of(err), fault.HintOf(err), c.want)
			}
		})
	}
}

// rewritten changes each manifest on its way, and not what is said of it.
func rewritten(w http.ResponseWriter, r *http.Request, next http.Handler) {
	is := httptest.NewRecorder()
	next.ServeHTTP(is, r)
	for k, v := range is.Header() {
		w.Header()[k] = v
	}
	w.Header().Del("Content-Length")
	w.WriteHeader(is.Code)
	_, _ = w.Write(append(is.Body.Bytes(), ' '))
}

// TestAnImagesRegistryGetsItsCredentials: those of Docker's configuration, and no other.
func TestAnImagesRegistryGetsItsCredentials(t *testing.T) {
	between := peers.NewBetween(t, registrytest.Memory())
	host := strings.TrimPrefix(between.URL, "http://")
	sum := pushed(t, host+"/base:1", "amd64")
	var heard []string
	between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		heard = append(heard, r.Header.Get("Authorization"))
		if r.Header.Get("Authorization") != basic {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
	folder := t.TempDir()
	config := func(of string) {
		raw, _ := json.Marshal(map[string]any{"auths": map[string]any{of: map[string]string{"auth": strings.TrimPrefix(basic, "Basic ")}}})
		if err := os.WriteFile(filepath.Join(folder, "config.json"), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{pause: time.Millisecond}
	vars(map[string]string{"DOCKER_CONFIG": folder})(&o)
	config(host)
	if im, err := Resolve(t.Context(), o, host+"/base:1"); err != nil || string(im.Digest) != sum {
		t.Errorf("%+v, %v", im, err)
	}
	heard = nil
	config("other.example.com")
	if _, err := Resolve(t.Context(), o, host+"/base:1"); fault.Of(err) != fault.Denied || strings.Contains(fmt.Sprint(heard, err), "hunter2") || strings.Contains(fmt.Sprint(heard), "Basic") {
		t.Errorf("%v; it heard %q", err, heard)
	}
}
