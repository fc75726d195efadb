// The tags are a function of the ledger: the same whoever makes them, made once, and what the remote does
// not take keeps no other from being made.

package gto

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// gtoTag is GTO's own expression, from gto/constants.py.
var gtoTag = regexp.MustCompile(`^(?P<artifact>([a-zA-Z0-9-_./]+=)?[a-zA-Z0-9]([a-zA-Z0-9-/_]*[a-zA-Z0-9])?)(((#(?P<stage>[a-zA-Z0-9]([a-zA-Z0-9-/_]*[a-zA-Z0-9])?)|@(?P<version>v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)))(?P<cancel>!?))|@((?P<deprecated>deprecated)|(?P<created>created)))(#(?P<counter>[0-9]+))?$`)

// remote is a remote in a map.
type remote struct {
	tags    map[string]string
	pushes  int
	refuses string // a name that it does not take
	down    bool
}

func (r *remote) Tags(context.Context) (map[string]string, error) {
	if r.down {
		return nil, fault.New(fault.Transient, "no answer")
	}
	return maps.Clone(r.tags), nil
}

func (r *remote) Tag(_ context.Context, tags ...port.Tag) (err error) {
	r.pushes++
	for _, t := range tags {
		if r.tags[t.Name] != "" || t.Name == r.refuses {
			err = errors.Join(err, fault.New(fault.Denied, "%s is refused", t.Name))
			continue
		}
		r.tags[t.Name] = t.Commit
	}
	return err
}

func gtoProjection() port.Projection {
	one, two := digest.Of([]byte("one")), digest.Of([]byte("two"))
	at := time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
	return port.Projection{Ledger: "abc", Models: []port.TrackerModel{{
		Name: "price",
		Versions: []port.TrackerVersion{
			{Key: one, Entry: 12, Time: at, Tags: map[string]string{port.TagRevision: strings.Repeat("a", 40)}},
			{Key: two, Entry: 15, Time: at, Tags: map[string]string{port.TagRevision: strings.Repeat("b", 40)}},
		},
		Moves: []port.TrackerMove{{Entry: 13, Time: at, Environment: "production", Key: one}, {Entry: 16, Time: at, Environment: "production", Key: two}, {Entry: 17, Time: at, Environment: "production", Key: one}, {Entry: 18, Time: at, Environment: "production"}},
	}}}
}

func TestReleasesAreTagsOfGTO(t *testing.T) {
	r := &remote{tags: map[string]string{"v1.0": "x", "price-list#production#1": "x"}}
	g := New(r)
	if got, err := g.Record(t.Context(), gtoProjection(), true); err != nil || got.Writes != 8 || r.pushes != 0 {
		t.Errorf("dry: %+v, %v", got, err)
	}
	got, err := g.Record(t.Context(), gtoProjection(), false)
	if err != nil || got.Writes != 8 || len(got.Drift)+len(got.Notes) != 0 || r.pushes != 1 {
		t.Errorf("%+v, %v, in %d pushes", got, err, r.pushes)
	}
	a, b := strings.Repeat("a", 40), strings.Repeat("b", 40)
	for name, commit := range map[string]string{"price@v0.0.12": a, "price@v0.0.15": b, "price#production#13": a, "price#production#16": b, "price#production#17": a, "price#production!#18": a, "price#production!#16": a, "price#production!#17": b} {
		if r.tags[name] != commit {
			t.Errorf("%s is at %s", name, r.tags[name])
		}
		if !gtoTag.MatchString(name) {
			t.Errorf("GTO does not take %s for one of its own", name)
		}
	}
	if got, err := g.Record(t.Context(), gtoProjection(), false); err != nil || got.Writes != 0 || r.pushes != 1 {
		t.Errorf("again: %+v, %v", got, err)
	}
}

func TestWhatTheRemoteDoesNotTakeKeepsNoOther(t *testing.T) {
	r := &remote{tags: map[string]string{}, refuses: "price@v0.0.12"}
	got, err := New(r).Record(t.Context(), gtoProjection(), false)
	if err != nil || got.Writes != 7 || len(got.Notes) != 1 || !strings.Contains(got.Notes[0], "price@v0.0.12") || len(r.tags) != 7 {
		t.Errorf("%+v, %v: %v", got, err, slices.Sorted(maps.Keys(r.tags)))
	}
	r.down = true
	if _, err := New(r).Record(t.Context(), gtoProjection(), false); fault.Of(err) != fault.Transient {
		t.Errorf("a remote that is away: %v", err)
	}
}

func TestTagsOfOthersAreToldAndLeft(t *testing.T) {
	r := &remote{tags: map[string]string{"price@v0.0.12": strings.Repeat("c", 40), "price#production#99": strings.Repeat("b", 40), "price@v2.0.0": strings.Repeat("b", 40)}}
	got, err := New(r).Record(t.Context(), gtoProjection(), false)
	if err != nil || len(got.Drift) != 2 || !strings.Contains(got.Drift[0], "price@v0.0.12 is at commit cccccccccccc") || !strings.Contains(got.Drift[1], "price#production#99") {
		t.Errorf("%+v, %v", got, err)
	}
	if r.tags["price@v0.0.12"] != strings.Repeat("c", 40) {
		t.Error("a tag was moved")
	}
}

func TestNamesThatGTODoesNotTakeAreTold(t *testing.T) {
	p := gtoProjection()
	p.Models[0].Moves[0].Environment = "eu.west"
	r := &remote{tags: map[string]string{}}
	got, err := New(r).Record(t.Context(), p, false)
	if err != nil || got.Writes != 6 || len(got.Notes) != 1 || !strings.Contains(got.Notes[0], "eu.west") {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestGTOItself asks the real gto what it reads of the tags, in a repository that has them.
func TestGTOItself(t *testing.T) {
	program := os.Getenv("VISHWA_GTO")
	if program == "" {
		t.Skip("make test-gto runs it")
	}
	dir := t.TempDir()
	git := func(at time.Time, args ...string) string {
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=v", "-c", "user.email=v@example.com"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_COMMITTER_DATE="+at.Format(time.RFC3339), "GIT_AUTHOR_DATE="+at.Format(time.RFC3339))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %s", args, out)
		}
		return strings.TrimSpace(string(out))
	}
	p := gtoProjection()
	m := &p.Models[0]
	git(m.Versions[0].Time, "init", "-q")
	for i := range m.Versions {
		git(m.Versions[i].Time, "commit", "-q", "--allow-empty", "-m", fmt.Sprint(i))
		m.Versions[i].Tags = map[string]string{port.TagRevision: git(m.Versions[i].Time, "rev-parse", "HEAD")}
	}
	for i := range m.Moves {
		m.Moves[i].Time = m.Moves[i].Time.Add(time.Duration(i+1) * time.Minute)
	}
	all, _ := gtoTags(p)
	for n, want := range map[int]string{0: "", 13: "v0.0.12", 16: "v0.0.15", 17: "v0.0.12", 18: ""} {
		for _, tag := range all {
			if i := strings.LastIndexAny(tag.Name, "#."); i >= 0 {
				if at, err := strconv.Atoi(tag.Name[i+1:]); err != nil || strings.Contains(tag.Name, "#") && at > n {
					continue
				}
			}
			git(tag.Time, "tag", "-a", "-m", tag.Message, tag.Name, tag.Commit)
		}
		out, err := exec.Command(program, "show", "--json", "-r", dir).Output()
		if err != nil {
			t.Fatal(err)
		}
		var shown map[string]struct {
			Version string
			Stage   map[string]string
		}
		if err := json.Unmarshal(out, &shown); err != nil || shown["price"].Version != "v0.0.15" || shown["price"].Stage["production"] != want {
			t.Errorf("after entry %d: gto shows %s, want %q in production", n, out, want)
		}
		for tag := range strings.FieldsSeq(git(time.Now(), "tag")) {
			git(time.Now(), "tag", "-d", tag)
		}
	}
}
