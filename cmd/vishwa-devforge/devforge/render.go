// The JSON of GitHub's documents: the fields that clients read, in the documented
// shapes. Everything here is called with Forge.mu held.

package devforge

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

func lower(s string) string { return strings.ToLower(s) }

func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

// link is an address of the API, page one of the site.
func (f *Forge) link(r *repo, format string, args ...any) string {
	return f.url + "/api/v3/repos/" + r.full() + fmt.Sprintf(format, args...)
}

func (f *Forge) page(r *repo, format string, args ...any) string {
	return f.url + "/" + r.full() + fmt.Sprintf(format, args...)
}

func (f *Forge) showUser(login string) object {
	u := f.users[lower(login)]
	if u == nil {
		u = f.users["ghost"]
	}
	kind := "User"
	if u.bot {
		kind = "Bot"
	}
	return object{
		"login": u.login, "id": u.id, "type": kind, "site_admin": false,
		"url": f.url + "/api/v3/users/" + u.login, "html_url": f.url + "/" + u.login,
	}
}

func (f *Forge) showRepo(r *repo) object {
	visibility := "private"
	if r.public {
		visibility = "public"
	}
	return object{
		"id": r.id, "name": r.name, "full_name": r.full(), "owner": f.showUser(r.owner), "private": !r.public, "visibility": visibility,
		"fork": r.parent != nil, "default_branch": r.base, "url": f.link(r, ""), "html_url": f.page(r, ""), "clone_url": f.page(r, ".git"),
		"archived": false, "disabled": false,
	}
}

func (f *Forge) showPull(p *pull) object {
	side := func(r *repo, branch, sha string) object {
		return object{"label": r.owner + ":" + branch, "ref": branch, "sha": sha, "user": f.showUser(r.owner), "repo": f.showRepo(r)}
	}
	state := "unknown"
	if p.clean != nil {
		state = map[bool]string{true: "clean", false: "dirty"}[*p.clean]
	}
	shown := object{
		"id": p.id, "number": p.number, "title": p.title, "body": p.body, "state": p.state, "draft": p.draft, "locked": false,
		"user": f.showUser(p.author), "author_association": f.association(p.to, p.author),
		"base": side(p.to, p.base, p.baseSHA), "head": side(p.from, p.head, p.headSHA),
		"merged": !p.merged.IsZero(), "mergeable": p.clean, "mergeable_state": state, "merge_commit_sha": nil, "merged_by": nil,
		"created_at": stamp(p.created), "updated_at": stamp(p.updated), "closed_at": stamp(p.closed), "merged_at": stamp(p.merged),
		"url": f.link(p.to, "/pulls/%d", p.number), "html_url": f.page(p.to, "/pull/%d", p.number),
		"statuses_url": f.link(p.to, "/statuses/%s", p.headSHA), "auto_merge": nil, "labels": []any{},
	}
	if p.mergeSHA != "" {
		shown["merge_commit_sha"] = p.mergeSHA
	}
	if p.mergedBy != "" {
		shown["merged_by"] = f.showUser(p.mergedBy)
	}
	return shown
}

func (f *Forge) association(r *repo, login string) string {
	switch role := r.roles[lower(login)]; {
	case strings.EqualFold(login, r.owner):
		return "OWNER"
	case ranks[role] > 1:
		return "COLLABORATOR"
	}
	return "NONE"
}

func (f *Forge) showReview(p *pull, v *review) object {
	return object{
		"id": v.id, "user": f.showUser(v.login), "body": v.body, "state": v.state, "commit_id": v.sha, "submitted_at": stamp(v.at),
		"author_association": f.association(p.to, v.login), "html_url": f.page(p.to, "/pull/%d#pullrequestreview-%d", p.number, v.id),
		"pull_request_url": f.link(p.to, "/pulls/%d", p.number),
	}
}

func (f *Forge) showComment(r *repo, c *comment) object {
	count := object{"total_count": len(c.reactions), "url": f.link(r, "/issues/comments/%d/reactions", c.id)}
	for _, content := range contents {
		count[content] = 0
	}
	for _, x := range c.reactions {
		count[x.content] = count[x.content].(int) + 1
	}
	shown := object{
		"id": c.id, "user": f.showUser(c.login), "body": c.body, "created_at": stamp(c.created), "updated_at": stamp(c.updated),
		"author_association": f.association(r, c.login), "reactions": count, "performed_via_github_app": nil,
		"url": f.link(r, "/issues/comments/%d", c.id), "html_url": f.page(r, "/pull/%d#issuecomment-%d", c.pull, c.id),
		"issue_url": f.link(r, "/issues/%d", c.pull),
	}
	if c.app != nil {
		shown["performed_via_github_app"] = f.showApp(c.app)
	}
	return shown
}

func (f *Forge) showApp(a *app) object {
	perms := object{}
	for k, v := range a.perms {
		perms[k] = v
	}
	return object{"id": a.id, "slug": a.slug, "name": a.slug, "owner": f.showUser("ghost"), "permissions": perms, "events": []any{}}
}

func (f *Forge) showReaction(x reaction) object {
	return object{"id": x.id, "user": f.showUser(x.login), "content": x.content, "created_at": stamp(x.at)}
}

func (f *Forge) showStatus(r *repo, s *status) object {
	return object{
		"id": s.id, "state": s.state, "context": s.context, "description": nullable(s.description), "target_url": nullable(s.target),
		"creator": f.showUser(s.login), "created_at": stamp(s.at), "updated_at": stamp(s.at), "url": f.link(r, "/statuses/%s", s.sha),
	}
}

func (f *Forge) showCheck(r *repo, c *check) object {
	return object{
		"id": c.id, "name": c.name, "head_sha": c.sha, "status": c.status, "conclusion": nullable(c.conclusion),
		"external_id": c.external, "details_url": nullable(c.details), "started_at": stamp(c.started), "completed_at": stamp(c.completed),
		"output": object{
			"title": nullable(c.output.Title), "summary": nullable(c.output.Summary), "text": nullable(c.output.Text),
			"annotations_count": len(c.annotations), "annotations_url": f.link(r, "/check-runs/%d/annotations", c.id),
		},
		"app": f.showApp(c.app), "check_suite": object{"id": c.suite, "head_sha": c.sha}, "pull_requests": f.pullsAt(r, c.sha),
		"url": f.link(r, "/check-runs/%d", c.id), "html_url": f.page(r, "/runs/%d", c.id),
	}
}

// pullsAt lists the open pull requests of the repository itself at a commit.
func (f *Forge) pullsAt(r *repo, sha string) []any {
	out := []any{}
	for _, p := range r.pulls {
		if p.headSHA == sha && p.state == "open" && p.from == r {
			out = append(out, object{"id": p.id, "number": p.number, "url": f.link(r, "/pulls/%d", p.number),
				"head": object{"ref": p.head, "sha": p.headSHA}, "base": object{"ref": p.base, "sha": p.baseSHA}})
		}
	}
	return out
}

func (f *Forge) showDeployment(r *repo, d *deployment) object {
	return object{
		"id": d.id, "sha": d.sha, "ref": d.ref, "task": d.task, "payload": d.payload, "environment": d.environment,
		"original_environment": d.environment, "description": nullable(d.description), "creator": f.showUser(d.login),
		"created_at": stamp(d.at), "updated_at": stamp(d.updated()), "transient_environment": d.transient, "production_environment": d.production,
		"url": f.link(r, "/deployments/%d", d.id), "statuses_url": f.link(r, "/deployments/%d/statuses", d.id), "repository_url": f.link(r, ""),
	}
}

func (f *Forge) showDeployed(r *repo, d *deployment, s *deployed) object {
	return object{
		"id": s.id, "state": s.state, "description": s.description, "environment": d.environment, "environment_url": s.served,
		"log_url": s.log, "target_url": s.log, "creator": f.showUser(s.login), "created_at": stamp(s.at), "updated_at": stamp(s.at),
		"url": f.link(r, "/deployments/%d/statuses/%d", d.id, s.id), "deployment_url": f.link(r, "/deployments/%d", d.id),
	}
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// newest is a copy in reverse: GitHub lists most things newest first.
func newest[T any](list []T) []T {
	out := slices.Clone(list)
	slices.Reverse(out)
	return out
}
