// What a server is asked for page by page: it is a stranger, and its pages must come to an end.

package tracker

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// mostPages bounds a list: more than a million runs, or points of a metric.
const mostPages = 1000

// paged asks for one page after another until there is no next. A list without an end is an error: what is
// missing on it would be written a second time.
func paged(what string, ask func(page string) (next string, err error)) error {
	page := ""
	for range mostPages {
		next, err := ask(page)
		if err != nil || next == "" {
			return err
		}
		if next == page {
			break
		}
		page = next
	}
	return fault.WithHint(fault.New(fault.Invalid, "MLflow's list of %s does not end", what), "see what answers at the tracker's url; an experiment of its own, or another prefix, has a shorter list")
}

// runsThere are the runs of this ledger, by their keys. Of several of one key the first by its id
// counts, for everybody alike, and the others are taken away, where anything is healed: two recorded it at once.
func (s *session) runsThere(ctx context.Context) (map[digest.Digest]found, error) {
	out := map[digest.Digest]found{}
	if s.experiment == "" { // it is yet to be made, and this is dry
		return out, nil
	}
	ours := map[digest.Digest]bool{}
	for _, r := range s.p.Runs {
		ours[r.Key] = true
	}
	err := paged("runs", func(page string) (string, error) {
		var got struct {
			Runs []runAnswer `json:"runs"`
			Next string      `json:"next_page_token"`
		}
		body := map[string]any{"experiment_ids": []string{s.experiment}, "filter": "tags.`" + tagLedger + "` = '" + s.p.Ledger + "'", "run_view_type": "ALL", "max_results": 1000, "page_token": page}
		if err := s.post(ctx, "runs/search", body, &got); err != nil {
			return "", fmt.Errorf("look for runs: %w", err)
		}
		for _, r := range got.Runs {
			key := digest.Digest(valueOf(r.Data.Tags, tagKey))
			if !ours[key] { // somebody's copy, with our tags: it is theirs
				continue
			}
			f := found{id: r.Info.ID, whole: valueOf(r.Data.Tags, tagState) == whole, deleted: r.Info.Stage == "deleted", writer: valueOf(r.Data.Tags, tagWriter)}
			f.since, _ = strconv.ParseInt(valueOf(r.Data.Tags, tagSince), 10, 64)
			was, twice := out[key]
			if !twice || was.id == f.id { // a page may begin again with what the last one ended with
				out[key] = f
				continue
			}
			keep, drop := first(was, f)
			out[key] = keep
			if !drop.deleted && s.p.Heal {
				if err := s.write(ctx, "runs/delete", map[string]string{"run_id": drop.id}, nil); err != nil {
					return "", fmt.Errorf("take away a run that was recorded twice: %w", err)
				}
			}
		}
		return got.Next, nil
	})
	return out, err
}

// first is which of two runs of one key counts: one that is there, one that is whole, the smaller id.
func first(a, b found) (keep, drop found) {
	if a.deleted != b.deleted {
		if a.deleted {
			return b, a
		}
		return a, b
	}
	if a.whole != b.whole {
		if a.whole {
			return a, b
		}
		return b, a
	}
	if strings.Compare(a.id, b.id) <= 0 {
		return a, b
	}
	return b, a
}
