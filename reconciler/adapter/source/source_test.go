// The laws of sources, held on each kind against a double of its place.

package source

import (
	"bytes"
	"context"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

func TestWebKeepsTheLawsOfSources(t *testing.T) {
	for name, head := range map[string]func(http.Header, []byte){
		"etag": func(h http.Header, b []byte) { h.Set("ETag", `"`+tag(b)+`"`) },
		"weak": func(h http.Header, b []byte) { h.Set("ETag", `W/"`+tag(b)+`"`) },
		"date": func(h http.Header, b []byte) {
			h.Set("Last-Modified", time.Unix(1e9+int64(b0(b)), 0).UTC().Format(http.TimeFormat))
		},
		"bare": func(http.Header, []byte) {},
	} {
		t.Run(name, func(t *testing.T) {
			porttest.Source(t, func(t *testing.T) porttest.Sourced {
				w := &site{head: head}
				server := httptest.NewServer(w)
				t.Cleanup(server.Close)
				s, err := Open(schemas.DataSource{HTTP: &schemas.HTTP{URL: server.URL + "/a/data.csv?sig=s3cr3t", Token: "TOKEN"}},
					Options{Allow: loopback, Env: env(map[string]string{"TOKEN": "t0k3n"})})
				if err != nil {
					t.Fatal(err)
				}
				return w.into(porttest.Sourced{Source: s, Name: "data.csv", Secrets: []string{"s3cr3t", "t0k3n"},
					Write: func(_ *testing.T, b []byte) { w.set(func() { w.data = bytes.Clone(b) }) }})
			})
		})
	}
}

func TestS3KeepsTheLawsOfSources(t *testing.T) {
	for name, url := range map[string]string{"object": "s3://bucket/raw/data.csv", "prefix": "s3://bucket/raw", "folder": "s3://bucket/raw/"} {
		t.Run(name, func(t *testing.T) {
			porttest.Source(t, func(t *testing.T) porttest.Sourced {
				b, dir := folder(t)
				w := &trouble{}
				return w.into(porttest.Sourced{Source: s3Source(t, url, &troubled{b, w}), Name: "data.csv",
					Write: func(t *testing.T, data []byte) { put(t, b, dir, "raw/data.csv", data) }})
			})
		})
	}
}

func TestPathKeepsTheLawsOfSources(t *testing.T) {
	for name, at := range map[string]string{"file": "raw/data.csv", "folder": "raw"} {
		t.Run(name, func(t *testing.T) {
			porttest.Source(t, func(t *testing.T) porttest.Sourced {
				w := &changing{files: fstest.MapFS{}}
				s, err := Open(schemas.DataSource{Path: at}, Options{Tree: w})
				if err != nil {
					t.Fatal(err)
				}
				all := w.into(porttest.Sourced{Source: s, Name: "data.csv", Write: func(_ *testing.T, b []byte) {
					files := fstest.MapFS{}
					if b != nil {
						files["raw/data.csv"] = &fstest.MapFile{Data: bytes.Clone(b)}
					}
					w.set(func() { w.files = files })
				}})
				all.Answer = nil // a tree has no protocol
				return all
			})
		})
	}
}

func TestDVCKeepsTheLawsOfSources(t *testing.T) {
	const repo = "https://user:s3cr3t@example.org/team/data.git?token=s3cr3t"
	for name, src := range map[string]schemas.DVC{"own": {Path: "raw/data.csv"}, "another": {Path: "raw/data.csv", Repo: repo, Revision: "main"}} {
		t.Run(name, func(t *testing.T) {
			porttest.Source(t, func(t *testing.T) porttest.Sourced {
				b, _ := folder(t)
				w, tree := &trouble{}, &changing{files: fstest.MapFS{}}
				tree.cut = -1
				s, err := Open(schemas.DataSource{DVC: &src}, Options{
					Tree: tree,
					Clone: func(context.Context, string, string) (fs.FS, string, error) {
						return tree, strings.Repeat("a", 40), nil
					},
					Remote: func(context.Context, *dvc.Config, string) (port.Objects, error) { return &troubled{b, w}, nil },
				})
				if err != nil {
					t.Fatal(err)
				}
				return w.into(porttest.Sourced{Source: s, Name: "data.csv", Secrets: []string{"s3cr3t"}, Write: func(t *testing.T, data []byte) {
					files := pointed(t, b, data)
					tree.set(func() { tree.files = files })
				}})
			})
		})
	}
}
