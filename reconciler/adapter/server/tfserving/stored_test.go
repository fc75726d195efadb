// Versions that lie in the store are served and taken away as those of the folder are.

package tfserving

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

func TestVersionsInTheStoreKeepTheServersPromises(t *testing.T) {
	porttest.Server(t, func(t *testing.T) porttest.Serving { return serving(inStore(t)) })
}

func TestVersionsLieInTheStoreAndNothingElseOfTheModelDoes(t *testing.T) {
	s := inStore(t)
	r := s.release("one", "1")
	l := s.apply(r)
	if l.Bytes != port.BytesTrusted || !strings.Contains(s.ask(l), `"1"`) {
		t.Fatalf("applied %+v, and %s answers", l, s.ask(l))
	}
	keys := s.kept()
	if len(keys) == 0 || slices.ContainsFunc(keys, func(k string) bool { return !strings.HasPrefix(k, "serving/tf-") || !strings.Contains(k, "/one/1/") }) {
		t.Fatalf("in the store are %q", keys)
	}
	base, _, _ := strings.Cut(keys[0], "/one/1/")
	if config := s.read("models.config"); !strings.Contains(config, `base_path: "s3://tests/vishwa/`+base+`/one"`) {
		t.Errorf("models.config is %s", config)
	}
	if _, err := os.Lstat(filepath.Join(s.folder, "one", "1")); err == nil {
		t.Error("the version lies in the folder as well")
	}

	for what, harm := range map[string]func(at string) error{
		"a file is removed": os.Remove,
		"a file is longer":  func(at string) error { return os.WriteFile(at, []byte("the model of evil"), 0o644) },
		"a file is added":   func(at string) error { return os.WriteFile(at+".more", []byte("x"), 0o644) },
	} {
		keys := s.kept()
		at := filepath.Join(s.bucket, keys[slices.IndexFunc(keys, func(k string) bool { return strings.HasSuffix(k, "saved_model.pb") })])
		if err := harm(at); err != nil {
			t.Fatal(err)
		}
		if l := s.observe("one"); l.Health != port.Failing || !strings.Contains(l.Message, "were changed or removed") {
			t.Errorf("%s: observed %+v", what, l)
		}
		if l := s.apply(r); l.Health != port.Ready || !strings.Contains(s.ask(l), `"1"`) {
			t.Errorf("%s: healed %+v", what, l)
		}
	}

	s.apply(s.release("one", "2"))
	numbers := map[string]bool{}
	for _, k := range s.kept() {
		_, rest, _ := strings.Cut(k, "/one/")
		number, _, _ := strings.Cut(rest, "/")
		numbers[number] = true
	}
	if len(numbers) != 1 {
		t.Errorf("of two releases the store has the versions %v", numbers)
	}
	if _, err := s.server.Apply(t.Context(), port.Release{Name: "one"}); err != nil {
		t.Fatal(err)
	}
	if keys := s.kept(); len(keys) != 0 {
		t.Errorf("it is retired, and the store has %q", keys)
	}
}

func TestAModelHasOnePlaceForItsVersions(t *testing.T) {
	s := newStage(t)
	first := s.apply(s.release("one", "1"))
	s.bucket = t.TempDir()
	s.double.Mount("s3://tests/vishwa", s.bucket)
	s.begin()
	if _, err := s.server.Apply(t.Context(), s.release("one", "2")); err == nil || fault.Of(err) != fault.Conflict || !strings.Contains(fault.HintOf(err), "put inStore back") {
		t.Errorf("it was moved under what serves: %v", err)
	}
	if got := s.ask(first); !strings.Contains(got, `"1"`) || len(s.kept()) != 0 {
		t.Errorf("%s answers, and the store has %q", got, s.kept())
	}

	s.put("models.config", s.read("models.config")[:strings.LastIndex(s.read("models.config"), "}")]+"  config {\n    name: \"theirs\"\n    base_path: \""+s.folder+"/theirs\"\n  }\n}\n")
	taken := s.release("theirs", "1")
	taken.TFServing.Adopt = true
	if _, err := s.server.Apply(t.Context(), taken); err == nil || fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "has its versions elsewhere") {
		t.Errorf("it was taken over: %v", err)
	}
}
