// The table of all that the API answers, and the rights that each entry asks for.

package devforge

import (
	"context"
	"errors"
	"net/http"
	"strings"
)

type actorKey struct{}

func withActor(ctx context.Context, a actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// need is the right that a call asks for: an App's permission and a person's role.
type need struct{ permission, level, role string }

var (
	readPulls     = need{"pull_requests", "read", "read"}
	writePulls    = need{"pull_requests", "write", "write"}
	reviewing     = need{"pull_requests", "write", "read"}
	readTalk      = need{"issues", "read", "read"}
	writeTalk     = need{"issues", "write", "read"}
	readStatuses  = need{"statuses", "read", "read"}
	writeStatuses = need{"statuses", "write", "write"}
	readChecks    = need{"checks", "read", "read"}
	writeChecks   = need{"checks", "write", "read"}
	readDeploys   = need{"deployments", "read", "read"}
	writeDeploys  = need{"deployments", "write", "write"}
	merging       = need{"contents", "write", "write"}
	metadata      = need{"metadata", "read", "read"}
	askingRoles   = need{"metadata", "read", "write"}
)

func (f *Forge) routes() http.Handler {
	mux := http.NewServeMux()
	repo := func(pattern string, n need, h func(*call) (any, error)) {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" /repos/{owner}/{name}"+path, f.handle(func(c *call) (any, error) {
			r, err := f.find(c.PathValue("owner") + "/" + c.PathValue("name"))
			if err != nil {
				return nil, errNotFound
			}
			f.mu.Lock()
			problem := r.may(c.who, n.permission, n.level, n.role)
			f.mu.Unlock()
			if problem != nil {
				return nil, problem
			}
			c.repo = r
			return h(c)
		}))
	}
	repo("GET ", metadata, f.getRepo)
	repo("GET /branches/{branch...}", metadata, f.getBranch)
	repo("GET /activity", need{"contents", "read", "read"}, f.listActivity)
	repo("GET /pulls", readPulls, f.listPulls)
	repo("POST /pulls", need{"pull_requests", "write", "read"}, f.postPull)
	repo("GET /pulls/{n}", readPulls, f.getPull)
	repo("PATCH /pulls/{n}", writePulls, f.patchPull)
	repo("PUT /pulls/{n}/merge", merging, f.putMerge)
	repo("GET /pulls/{n}/reviews", readPulls, f.listReviews)
	repo("POST /pulls/{n}/reviews", reviewing, f.postReview)
	repo("GET /commits/{sha}/pulls", readPulls, f.listPullsOf)
	repo("GET /issues", readTalk, f.listIssues)
	repo("POST /issues", writeTalk, f.postIssue)
	repo("PATCH /issues/{n}", writeTalk, f.patchIssue)
	repo("GET /issues/{n}/{last}", readTalk, f.getTalk)
	repo("POST /issues/{n}/comments", writeTalk, f.postComment)
	repo("GET /issues/comments", readTalk, f.listComments)
	repo("PATCH /issues/comments/{id}", writeTalk, f.patchComment)
	repo("DELETE /issues/comments/{id}", writeTalk, f.deleteComment)
	repo("GET /issues/comments/{id}/reactions", readTalk, f.listReactions)
	repo("POST /issues/comments/{id}/reactions", writeTalk, f.postReaction)
	repo("DELETE /issues/comments/{id}/reactions/{reaction}", writeTalk, f.deleteReaction)
	repo("GET /collaborators/{login}/permission", askingRoles, f.getPermission)
	repo("POST /statuses/{sha}", writeStatuses, f.postStatus)
	repo("GET /commits/{sha}/status", readStatuses, f.getStatus)
	repo("GET /commits/{sha}/statuses", readStatuses, f.listStatuses)
	repo("POST /check-runs", writeChecks, f.postCheck)
	repo("GET /check-runs/{id}", readChecks, f.getCheck)
	repo("PATCH /check-runs/{id}", writeChecks, f.patchCheck)
	repo("GET /check-runs/{id}/annotations", readChecks, f.listAnnotations)
	repo("GET /commits/{sha}/check-runs", readChecks, f.listChecks)
	repo("POST /deployments", writeDeploys, f.postDeployment)
	repo("GET /deployments", readDeploys, f.listDeployments)
	repo("GET /deployments/{id}", readDeploys, f.getDeployment)
	repo("GET /deployments/{id}/statuses", readDeploys, f.listDeployed)
	repo("POST /deployments/{id}/statuses", writeDeploys, f.postDeployed)
	mux.HandleFunc("GET /user", f.handle(f.getUser))
	mux.HandleFunc("GET /app", f.handle(f.getApp))
	mux.HandleFunc("POST /app/installations/{id}/access_tokens", f.handle(f.postInstallationToken))
	mux.HandleFunc("GET /repos/{owner}/{name}/installation", f.handle(f.getInstallation))
	mux.HandleFunc("GET /rate_limit", f.handle(f.getRate))
	mux.HandleFunc("/", f.handle(func(*call) (any, error) { return nil, errNotFound }))
	return mux
}

// handle makes an http.HandlerFunc of what answers a call.
func (f *Forge) handle(h func(*call) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		out := w.(*answer)
		who, _ := r.Context().Value(actorKey{}).(actor)
		c := &call{Request: r, who: who, header: out.header}
		v, err := h(c)
		var problem *Problem
		switch {
		case err == nil:
			if c.status == 0 {
				c.status = http.StatusOK
			}
			out.json(c.status, v)
		case errors.As(err, &problem):
			out.refuse(problem)
		default:
			f.log.Error("a request failed", "method", r.Method, "path", r.URL.Path, "error", err)
			out.refuse(refuse(http.StatusInternalServerError, "Server Error"))
		}
	}
}
