// MLflow's registry: a version a release, and an alias an environment that follows what it serves. A
// registered model that somebody else made is left alone until its owner hands it over.

package tracker

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	mlflowformat "github.com/vishwaops/vishwa/reconciler/format/mlflow"
	"github.com/vishwaops/vishwa/reconciler/machine/mlflowapi"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// registeredAnswer is what MLflow says of a registered model.
type registeredAnswer struct {
	Model struct {
		Tags    []tag `json:"tags"`
		Aliases []struct {
			Alias   string `json:"alias"`
			Version string `json:"version"`
		} `json:"aliases"`
	} `json:"registered_model"`
}

func (s *session) model(ctx context.Context, m port.TrackerModel, runs map[digest.Digest]found) error {
	name := s.spec.Prefix + m.Name
	got, err := s.registered(ctx, name)
	if err != nil {
		return err
	}
	there, err := s.versions(ctx, name, m)
	if err != nil {
		return err
	}
	versions := there.numbers()
	gone := s.gone(name, m, got, versions)
	for _, v := range m.Versions {
		if gone[v.Key] && !s.p.Heal {
			continue
		}
		if versions[v.Key], err = s.release(ctx, name, v, runs, there); err == nil {
			err = s.approved(ctx, name, v, there[v.Key])
		}
		if err != nil {
			return err
		}
	}
	if err := s.aliases(ctx, aliased{name, m, got, versions, there}); err != nil {
		return err
	}
	return s.removeStale(ctx, name, got, versions)
}

// registered is a registered model of ours, made where it is not there.
func (s *session) registered(ctx context.Context, name string) (got registeredAnswer, err error) {
	for made := false; ; {
		err = s.Get(ctx, "registered-models/get", map[string]string{"name": name}, &got)
		switch {
		case err == nil && valueOf(got.Model.Tags, tagLedger) == s.p.Ledger:
			return got, nil
		case err == nil:
			return got, fault.WithHint(fault.New(fault.Conflict, "MLflow has a registered model %s that this repository did not make", name),
				"declare another prefix below spec.trackers.mlflow, or hand it over: set its tag %s to %s", tagLedger, s.p.Ledger)
		case fault.Of(err) != fault.Missing || made:
			return got, err
		}
		got.Model.Tags = []tag{{tagLedger, s.p.Ledger}}
		err = s.write(ctx, "registered-models/create", map[string]any{"name": name, "tags": got.Model.Tags}, nil)
		if made = true; err == nil || fault.Of(err) != fault.Conflict {
			return got, err // else somebody made it meanwhile
		}
	}
}

// removeStale takes away the versions that others took the place of, once no alias of ours is on them. One of somebody's goes to what took its place, as
// it would be gone with the version. A version that only says of itself that it is ours stays, as tags are anybody's who may change a version.
func (s *session) removeStale(ctx context.Context, name string, got registeredAnswer, versions map[digest.Digest]string) error {
	ours := func(alias string) bool { return valueOf(got.Model.Tags, tagAlias+alias) != "" }
	for _, v := range s.stale {
		if !v.made {
			s.note("left alone: version %s of model %s has the tags of a release, and none of this ledger's controllers signed that it made it; delete it in MLflow if nobody needs it, or take its tag %s away", v.number, name, tagKey)
			continue
		}
		if !s.p.Heal {
			continue
		}
		for _, a := range got.Model.Aliases {
			if a.Version != v.number || ours(a.Alias) || versions[v.of] == "" {
				continue
			}
			if err := s.write(ctx, "registered-models/alias", map[string]string{"name": name, "alias": a.Alias, "version": versions[v.of]}, nil); err != nil {
				return err
			}
		}
		if err := s.remove(ctx, "model-versions/delete", map[string]string{"name": name, "version": v.number}); err != nil {
			return err
		}
	}
	return nil
}

// gone are the versions that were there, and that somebody deleted. They are made in their order: what a later one is there of was there, and what
// an alias was given to.
func (s *session) gone(name string, m port.TrackerModel, got registeredAnswer, versions map[digest.Digest]string) map[digest.Digest]bool {
	out, later, highest := map[digest.Digest]bool{}, false, 0
	for _, v := range slices.Backward(m.Versions) {
		out[v.Key] = versions[v.Key] == "" && later
		later = later || versions[v.Key] != ""
		n, _ := strconv.Atoi(versions[v.Key])
		highest = max(highest, n)
	}
	given := slices.ContainsFunc(got.Model.Tags, func(t tag) bool {
		n, err := strconv.Atoi(t.Value)
		return strings.HasPrefix(t.Key, tagAlias) && err == nil && n > highest
	})
	for _, v := range m.Versions {
		if given && versions[v.Key] == "" && !out[v.Key] {
			out[v.Key], given = true, false
		}
		if out[v.Key] {
			s.drift("version of model %s that entry %d released was deleted", name, v.Entry)
		}
	}
	return out
}

// registered are the versions of a model that are there, by their keys.
type registered map[digest.Digest]versionThere

// versionThere is a version that is there: what it is of, what its files were, what says that a controller made it, and MLflow's model where it is of one
// that is there.
type versionThere struct {
	number, source, files, proof string
	tags                         []tag
	live                         *loggedModel
}

// made tells whether a controller of this ledger signed that it made a version.
func (s *session) made(name string, key digest.Digest, v versionThere) bool {
	return v.proof != "" && s.own.Signed(s.records().MadeVersion(name, key, v.number, v.source), v.proof)
}

func (r registered) numbers() map[digest.Digest]string {
	out := map[digest.Digest]string{}
	for key, v := range r {
		out[key] = v.number
	}
	return out
}

// keptSource begins the source of a version whose files stay where Vishwa keeps them.
const keptSource = "vishwa://store/sha256/"

// versions are those of this ledger; of several of one key one that a controller signed counts, then one whose files are there, and then the lowest
// number.
func (s *session) versions(ctx context.Context, name string, m port.TrackerModel) (registered, error) {
	all, kept := map[digest.Digest][]versionThere{}, map[digest.Digest]string{}
	s.stale = nil
	for _, v := range m.Versions {
		all[v.Key], kept[v.Key] = nil, keptSource+v.Digest.Hex()
	}
	err := mlflowapi.Paged("versions", func(page string) (string, error) {
		var got struct {
			Versions []struct {
				Version string `json:"version"`
				Source  string `json:"source"`
				Tags    []tag  `json:"tags"`
			} `json:"model_versions"`
			Next string `json:"next_page_token"`
		}
		ask := map[string]string{"filter": "name='" + name + "'", "max_results": "1000"}
		if page != "" {
			ask["page_token"] = page
		}
		if err := s.Get(ctx, "model-versions/search", ask, &got); err != nil {
			return "", err
		}
		for _, v := range got.Versions {
			key := digest.Digest(valueOf(v.Tags, tagKey))
			// What a version is of nobody can change, and tags are anybody's who may change a version.
			if is, ours := all[key]; ours && valueOf(v.Tags, tagLedger) == s.p.Ledger && (v.Source == kept[key] || ofModel(v.Source)) {
				all[key] = append(is, versionThere{number: v.Version, source: v.Source, files: valueOf(v.Tags, tagFiles), proof: valueOf(v.Tags, tagProof), tags: v.Tags})
			}
		}
		return got.Next, nil
	})
	out := registered{}
	for _, v := range m.Versions {
		if err == nil && len(all[v.Key]) > 0 {
			out[v.Key], err = s.counts(ctx, name, v.Key, all[v.Key])
		}
	}
	return out, err
}

// counts is which of the versions of one key does. The others are to go: two recorded it at once, and one that says the same is of no use to anybody;
// or, where one has its files, their place was taken and who did that was cut off.
func (s *session) counts(ctx context.Context, name string, key digest.Digest, of []versionThere) (one versionThere, err error) {
	made := map[string]bool{} // by number; of one alone nobody asks
	for _, v := range of {
		made[v.number] = len(of) > 1 && s.made(name, key, v)
	}
	slices.SortFunc(of, func(a, b versionThere) int {
		if made[a.number] != made[b.number] {
			return map[bool]int{true: -1, false: 1}[made[a.number]]
		}
		return cmp.Or(cmp.Compare(len(a.number), len(b.number)), strings.Compare(a.number, b.number))
	})
	one = of[0]
	for _, v := range of {
		if s.models == nil || !ofModel(v.source) || one.live != nil || made[one.number] && !made[v.number] {
			continue
		}
		if v.live, err = s.logged(ctx, strings.TrimPrefix(v.source, modelSource)); err != nil {
			return one, err
		}
		if v.live != nil {
			one = v
		}
	}
	for _, v := range of {
		if v.number != one.number && (v.source == one.source || one.live != nil && ofModel(v.source)) {
			s.stale = append(s.stale, stale{v.number, key, made[v.number]})
		}
	}
	return one, nil
}

// stale is a version that another one of the same key took the place of.
type stale struct {
	number string
	of     digest.Digest
	made   bool // by a controller of this ledger, which signed that
}

// version makes a version of a model: of MLflow's model; or, without one, its files stay where Vishwa keeps them, and
// the source says so. Which one it is is known, and signed, once it is made.
func (s *session) version(ctx context.Context, name string, v port.TrackerVersion, runs map[digest.Digest]found, of filed) (string, error) {
	if err := s.canSign(); err != nil {
		return "", err
	}
	source := keptSource + v.Digest.Hex()
	body := map[string]any{"name": name, "tags": s.tags(map[string]string{tagKey: string(v.Key), tagEntry: fmt.Sprint(v.Entry), tagDigest: string(v.Digest), tagFiles: of.files}, v.Tags)}
	if r, known := runs[v.Run]; known && !r.deleted {
		body["run_id"] = r.id
	}
	if of.id != "" {
		source, body["model_id"] = modelSource+of.id, of.id
	}
	body["source"] = source
	var made struct {
		Version struct {
			Version string `json:"version"`
		} `json:"model_version"`
	}
	if err := s.write(ctx, "model-versions/create", body, &made); err != nil {
		return "", err
	}
	number, proof := made.Version.Version, ""
	if s.dry {
		number = "new"
	} else {
		var err error
		if proof, err = s.own.Sign(s.records().MadeVersion(name, v.Key, number, source)); err != nil {
			return "", err
		}
	}
	return number, s.write(ctx, "model-versions/set-tag", map[string]string{"name": name, "version": number, "key": tagProof, "value": proof}, nil)
}

// aliased is a registered model whose aliases are looked at: as declared, as the server has it, and its versions by their keys.
type aliased struct {
	name     string
	declared port.TrackerModel
	got      registeredAnswer
	numbers  map[digest.Digest]string
	there    registered // before versions were made
}

// aliases has each environment's alias on the version that it serves. Which version we gave it to is a
// tag: an alias that stands elsewhere was moved by somebody.
func (s *session) aliases(ctx context.Context, a aliased) error {
	name, m, stands := a.name, a.declared, map[string]string{}
	for _, at := range a.got.Model.Aliases {
		stands[at.Alias] = at.Version
	}
	for _, env := range slices.Sorted(maps.Keys(m.Serves)) {
		want, alias := a.numbers[m.Serves[env]], mlflowformat.Alias(env)
		if want == "" {
			s.note("model %s: what %s serves has no version", name, env)
			continue
		}
		given, is := valueOf(a.got.Model.Tags, tagAlias+alias), stands[alias]
		moved := given != "" && is != given && is != want // else it was we, who could not note it
		if moved {
			s.drift("alias %s of model %s was moved by hand: it was on version %s and is on %s", alias, name, given, cmp.Or(is, "none"))
		}
		if given == "" && is != "" && is != want {
			s.drift("alias %s of model %s is on version %s, which this repository did not say", alias, name, is)
			moved = true
		}
		if moved && (!s.p.Heal || given != "" && s.proposed(m, env, given, is, a.numbers)) {
			continue
		}
		if is != want {
			if err := s.write(ctx, "registered-models/alias", map[string]string{"name": name, "alias": alias, "version": want}, nil); err != nil {
				return err
			}
		}
		if given != want {
			if err := s.write(ctx, "registered-models/set-tag", map[string]string{"name": name, "key": tagAlias + alias, "value": want}, nil); err != nil {
				return err
			}
		}
		if err := s.deployed(ctx, a, env); err != nil {
			return err
		}
	}
	return s.retire(ctx, name, m, a.got, stands)
}

// proposed tells whether an alias that stands on another of our versions is left there, for people to decide.
func (s *session) proposed(m port.TrackerModel, env, given, is string, versions map[digest.Digest]string) bool {
	if !s.p.Propose {
		return false
	}
	for _, v := range m.Versions {
		if versions[v.Key] != is {
			continue
		}
		to := port.TrackerMoved{Model: m.Name, Environment: env, Serves: m.Serves[env], To: v.Key}
		to.From, _ = strconv.Atoi(given)
		to.At, _ = strconv.Atoi(is)
		if s.p.Declined != nil && s.p.Declined(to) {
			return false
		}
		s.out.Moved = append(s.out.Moved, to)
		return true
	}
	return false
}

// retire takes away the aliases of environments that serve the model no more. What only a tag calls ours is somebody's.
func (s *session) retire(ctx context.Context, name string, m port.TrackerModel, got registeredAnswer, stands map[string]string) error {
	serves, gave := map[string]bool{}, map[string]bool{}
	for env := range m.Serves {
		serves[tagAlias+mlflowformat.Alias(env)] = true
	}
	for _, v := range m.Moves {
		gave[tagAlias+mlflowformat.Alias(v.Environment)] = true
	}
	for _, t := range got.Model.Tags {
		if len(t.Key) <= len(tagAlias) || t.Key[:len(tagAlias)] != tagAlias || serves[t.Key] {
			continue
		}
		alias := t.Key[len(tagAlias):]
		if !gave[t.Key] {
			s.note("left alone: alias %s of model %s, which tag %s calls Vishwa's, and which no environment of this ledger ever had", alias, name, t.Key)
			continue
		}
		if stands[alias] == t.Value { // else somebody has moved it, and it is theirs
			if err := s.remove(ctx, "registered-models/alias", map[string]string{"name": name, "alias": alias}); err != nil {
				return err
			}
		}
		if err := s.remove(ctx, "registered-models/delete-tag", map[string]string{"name": name, "key": t.Key}); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) remove(ctx context.Context, path string, body any) error {
	if s.dry {
		s.out.Writes++
		return nil
	}
	err := s.Delete(ctx, path, body)
	if err != nil && fault.Of(err) == fault.Missing {
		return nil
	}
	if err == nil {
		s.out.Writes++
	}
	return err
}
