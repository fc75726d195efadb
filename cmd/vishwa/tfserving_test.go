// The story of a deployment to TensorFlow Serving, with one in this process.

package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vishwaops/vishwa/reconciler/adapter/server/tfserving/tfservingtest"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
)

func TestTFServing(t *testing.T) {
	t.Parallel()
	keys := quickKeys(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/tfserving",
		Setup: func(env *testscript.Env) error {
			if err := beginTFServing(t, env); err != nil {
				return err
			}
			return settle(t, env, keys)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "project": project, "edit": edit, "commit": commit, "tfserving": tfserving},
	})
}

// TestTFServingReadsAllFromTheStore of a project, a double of S3.
func TestTFServingReadsAllFromTheStore(t *testing.T) {
	t.Parallel()
	keys := quickKeys(t)
	web := httptest.NewServer(peers.S3())
	t.Cleanup(web.Close)
	b, err := bucket.S3(bucket.S3Options{Bucket: "tests", Prefix: "vishwa", Endpoint: web.URL, AccessKey: "k", SecretKey: "s"})
	if err != nil {
		t.Fatal(err)
	}
	empty := func() error {
		const text = "model_config_list {}\n"
		_, err := b.Put(context.Background(), "serving/tfserving/main/models.config", strings.NewReader(text), int64(len(text)))
		return err
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/tfstore",
		Setup: func(env *testscript.Env) error {
			lies := filepath.Join(env.WorkDir, "mirror")
			s := tfservingtest.New(t, filepath.Join(lies, "serving/tfserving/main"), loaded)
			s.Mount("s3://tests/vishwa/serving", filepath.Join(lies, "serving"))
			s.Before(func() error { return tfservingtest.Mirror(context.Background(), serving{b}, lies) })
			env.Values["tfserving"] = s
			env.Setenv("TFSERVING", s.URL)
			env.Setenv("S3", web.URL)
			return errors.Join(empty(), settle(t, env, keys))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "project": project, "edit": edit, "commit": commit, "tfserving": tfserving,
			// begin has an empty models.config in the bucket, as whoever sets the server up does.
			"begin": func(ts *testscript.TestScript, _ bool, _ []string) { ts.Check(empty()) },
		},
	})
}

// serving is what model servers read of a bucket.
type serving struct{ port.Bucket }

func (s serving) List(ctx context.Context, _ string) iter.Seq2[port.Object, error] {
	return s.Bucket.List(ctx, "serving/")
}

// beginTFServing begins one for a script: its address is TFSERVING, and its folder MODELS.
func beginTFServing(t *testing.T, env *testscript.Env) error {
	folder := filepath.Join(env.WorkDir, "models")
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "models.config"), []byte("model_config_list {}\n"), 0o644); err != nil {
		return err
	}
	s := tfservingtest.New(t, folder, loaded)
	env.Values["tfserving"] = s
	env.Setenv("TFSERVING", s.URL)
	env.Setenv("MODELS", folder)
	return nil
}

// loaded takes every SavedModel but those that say something else.
func loaded(dir string, _ <-chan struct{}) (func([]byte) ([]byte, error), func(), error) {
	raw, err := os.ReadFile(filepath.Join(dir, "saved_model.pb"))
	if err == nil && strings.Contains(string(raw), "NotToBeLoaded") {
		err = errors.New("NodeDef mentions attr that is not there")
	}
	if err != nil {
		return nil, nil, err
	}
	return func([]byte) ([]byte, error) { return fmt.Appendf(nil, `{"predictions":[%d]}`, len(raw)), nil }, func() {}, nil
}

// tfserving is: tfserving has NAME VERSIONS, those that are loaded; tfserving crash.
func tfserving(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value("tfserving").(*tfservingtest.Server)
	switch args[0] {
	case "has":
		if got := fmt.Sprint(s.Loaded(args[1])); got != args[2] {
			ts.Fatalf("of %s it has %s", args[1], got)
		}
		if said := s.Said(); slices.ContainsFunc(said, func(text string) bool { return strings.Contains(text, "label") }) {
			ts.Fatalf("it refused labels: %q", said)
		}
	case "crash":
		s.Crash()
	default:
		ts.Fatalf("tfserving %s", args[0])
	}
}
