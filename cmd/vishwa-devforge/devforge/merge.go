// Merging, in the three ways that GitHub has, and the rules that stand before it.

package devforge

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Merge merges a pull request as its button does. method is merge, squash or rebase.
func (f *Forge) Merge(name string, number int, login, method string) (string, error) {
	p, err := f.pull(name, number)
	if err != nil {
		return "", err
	}
	f.mu.Lock()
	f.addUser(login, false)
	f.mu.Unlock()
	return f.merge(p, login, mergeRequest{Method: method})
}

// mergeRequest is the body of PUT /pulls/{n}/merge.
type mergeRequest struct {
	SHA     string `json:"sha"`
	Method  string `json:"merge_method"`
	Title   string `json:"commit_title"`
	Message string `json:"commit_message"`
}

func (f *Forge) merge(p *pull, login string, m mergeRequest) (string, error) {
	sha, moved, err := f.mergeNow(p, login, m)
	if err != nil {
		return "", err
	}
	f.pushed(p.to, login, []update{moved})
	return sha, nil
}

func (f *Forge) mergeNow(p *pull, login string, m mergeRequest) (string, update, error) {
	p.to.turn.Lock()
	defer p.to.turn.Unlock()
	base, err := f.resolve(p.to, "refs/heads/"+p.base)
	if err != nil {
		return "", update{}, err
	}
	f.mu.Lock()
	head := p.headSHA
	problem := f.mergeable(p, m)
	signed := p.to.protected[p.base].RequiredSignatures
	f.mu.Unlock()
	if problem != nil {
		return "", update{}, problem
	}
	if signed && m.Method != "squash" {
		bare, err := f.unsigned(p.to, base, head)
		if err != nil {
			return "", update{}, err
		}
		if bare || m.Method == "rebase" {
			return "", update{}, refuse(http.StatusMethodNotAllowed, "Commits must have verified signatures.")
		}
	}
	landed, err := f.join(p, base, head, login, m)
	if errors.Is(err, errConflict) {
		return "", update{}, refuse(http.StatusMethodNotAllowed, "Pull Request is not mergeable")
	}
	if err != nil {
		return "", update{}, err
	}
	tip := landed[len(landed)-1]
	ref := "refs/heads/" + p.base
	if _, err := f.run(p.to.dir, "", "update-ref", ref, tip, base); err != nil {
		return "", update{}, refuse(http.StatusMethodNotAllowed, "Base branch was modified. Review and try the merge again.")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p.baseSHA = base
	f.landed(p, login, tip, landed)
	return tip, update{old: base, new: tip, ref: ref, merged: true}, nil
}

// landed makes p a merged pull request; f.mu is held.
func (f *Forge) landed(p *pull, by, tip string, commits []string) {
	p.state, p.merged, p.closed, p.updated = "closed", f.at(), f.at(), f.at()
	p.mergedBy, p.mergeSHA, p.landed, p.queued = by, tip, commits, false
	f.emitPull(p, "closed", by, nil)
}

// mergeable tells why p may not be merged now; f.mu is held.
func (f *Forge) mergeable(p *pull, m mergeRequest) *Problem {
	switch {
	case p.state != "open" || p.draft:
		return refuse(http.StatusMethodNotAllowed, "Pull Request is not mergeable")
	case m.SHA != "" && m.SHA != p.headSHA:
		return refuse(http.StatusConflict, "Head branch was modified. Review and try the merge again.")
	case !slices.Contains([]string{"", "merge", "squash", "rebase"}, m.Method):
		return invalid("PullRequest", "merge_method", "invalid", "")
	}
	rules := p.to.protected[p.base]
	if p.to.approvals(p) < rules.RequiredReviews {
		return refuse(http.StatusMethodNotAllowed, "At least %d approving review is required by reviewers with write access.", rules.RequiredReviews)
	}
	for _, name := range rules.RequiredChecks {
		if !p.to.passed(p.headSHA, name) {
			return refuse(http.StatusMethodNotAllowed, "Required status check %q is expected.", name)
		}
	}
	return nil
}

// approvals counts who approves p and may write; whoever asks for changes last
// stops all. Forge.mu is held.
func (r *repo) approvals(p *pull) int {
	last := map[string]string{}
	for _, v := range p.reviews {
		if v.state != "COMMENTED" {
			last[strings.ToLower(v.login)] = v.state
		}
	}
	n := 0
	for login, state := range last {
		if ranks[r.role(login)] < ranks["write"] {
			continue
		}
		switch state {
		case "APPROVED":
			n++
		case "CHANGES_REQUESTED":
			return -1
		}
	}
	return n
}

// passed tells whether the newest status or check run of that name is a success;
// Forge.mu is held.
func (r *repo) passed(sha, name string) bool {
	for _, s := range slices.Backward(r.statuses) {
		if s.sha == sha && s.context == name {
			return s.state == "success"
		}
	}
	for _, c := range slices.Backward(r.checks) {
		if c.sha == sha && c.name == name {
			return slices.Contains([]string{"success", "neutral", "skipped"}, c.conclusion)
		}
	}
	return false
}

// join writes the commits that put head on base, oldest first.
func (f *Forge) join(p *pull, base, head, login string, m mergeRequest) ([]string, error) {
	if m.Method == "rebase" {
		return f.rebase(p.to, base, head)
	}
	tree, err := f.mergeTree(p.to, base, head)
	if err != nil {
		return nil, err
	}
	c := commit{tree: tree, author: login, parents: []string{base, head}}
	title, message := fmt.Sprintf("Merge pull request #%d from %s/%s", p.number, p.from.owner, p.head), p.title
	if m.Method == "squash" {
		c.parents, c.author = c.parents[:1], p.author
		title, message = fmt.Sprintf("%s (#%d)", p.title, p.number), ""
	}
	if m.Title != "" {
		title = m.Title
	}
	if m.Message != "" {
		message = m.Message
	}
	c.message = title
	if message != "" {
		c.message += "\n\n" + message
	}
	sha, err := f.write(p.to, c)
	return []string{sha}, err
}

// rebase writes each commit of base..head again on base. Git merges trees from the
// common ancestor of two commits: each step is the merge of the commit with a
// stand-in that has the new tree and the commit's own parent.
func (f *Forge) rebase(r *repo, base, head string) ([]string, error) {
	list, err := f.run(r.dir, "", "rev-list", "--reverse", "--topo-order", "--no-merges", base+".."+head)
	if err != nil {
		return nil, err
	}
	tip := base
	var out []string
	for _, sha := range strings.Fields(list) {
		names, err := f.run(r.dir, "", "rev-parse", tip+"^{tree}", sha+"^")
		if err != nil {
			return nil, err
		}
		tipTree, parent, _ := strings.Cut(names, "\n")
		stand, err := f.write(r, commit{tree: tipTree, parents: []string{parent}, author: "devforge", message: "stand-in"})
		if err != nil {
			return nil, err
		}
		tree, err := f.mergeTree(r, stand, sha)
		if err != nil {
			return nil, err
		}
		raw, err := f.run(r.dir, "", "cat-file", "commit", sha)
		if err != nil {
			return nil, err
		}
		author, message := authorOf(raw)
		if tip, err = f.write(r, commit{tree: tree, parents: []string{tip}, author: author, message: message, unsigned: true}); err != nil {
			return nil, err
		}
		out = append(out, tip)
	}
	if len(out) == 0 {
		return nil, errConflict
	}
	return out, nil
}

// authorOf reads the author's line and the message of a raw commit.
func authorOf(raw string) (author, message string) {
	head, message, _ := strings.Cut(raw, "\n\n")
	for line := range strings.Lines(head) {
		if a, ok := strings.CutPrefix(line, "author "); ok {
			author = strings.TrimSpace(a)
		}
	}
	return author, message
}
