// The strings that a person pulls on a forge that runs by itself: what they would
// do with GitHub's pages. Everybody who reaches the address may; it is of the loopback.

package devforge

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// Order is the body of a POST below /_dev/; each verb reads what it needs.
type Order struct {
	Repo    string `json:"repo,omitempty"` // OWNER/NAME
	Public  bool   `json:"public,omitempty"`
	Login   string `json:"login,omitempty"`
	Bot     bool   `json:"bot,omitempty"`
	Role    string `json:"role,omitempty"`
	Number  int    `json:"number,omitempty"`
	Head    string `json:"head,omitempty"`
	Base    string `json:"base,omitempty"`
	Title   string `json:"title,omitempty"`
	Body    string `json:"body,omitempty"`
	Verdict string `json:"verdict,omitempty"`
	Method  string `json:"method,omitempty"`
	URL     string `json:"url,omitempty"`
	Secret  string `json:"secret,omitempty"`
	Branch  string `json:"branch,omitempty"`

	Protection *Protection `json:"protection,omitempty"`
}

// Done is the answer to an Order.
type Done struct {
	URL    string `json:"url,omitempty"`
	Token  string `json:"token,omitempty"`
	Number int    `json:"number,omitempty"`
	ID     int64  `json:"id,omitempty"`
	SHA    string `json:"sha,omitempty"`
}

// Look is what GET /_dev/pull?repo=&number= answers.
type Look struct {
	Pull     Pull
	Shown    Shown
	Statuses []Status // the newest of each context at the head
}

// orders maps the verbs below /_dev/ to what they do.
func (f *Forge) orders() map[string]func(Order) (Done, error) {
	return map[string]func(Order) (Done, error){
		"repo": func(o Order) (Done, error) {
			owner, name, _ := strings.Cut(o.Repo, "/")
			err := f.CreateRepo(owner, name)
			if err == nil && o.Public {
				err = f.Publish(o.Repo)
			}
			return Done{URL: f.CloneURL(o.Repo)}, err
		},
		"user": func(o Order) (Done, error) {
			f.AddUser(o.Login, o.Bot)
			if o.Repo != "" {
				if err := f.Grant(o.Repo, o.Login, o.Role); err != nil {
					return Done{}, err
				}
			}
			return Done{Token: f.Token(o.Login)}, nil
		},
		"fork": func(o Order) (Done, error) {
			name, err := f.Fork(o.Repo, o.Login)
			return Done{URL: f.CloneURL(name)}, err
		},
		"protect": func(o Order) (Done, error) {
			if o.Protection == nil {
				o.Protection = &Protection{}
			}
			return Done{}, f.Protect(o.Repo, o.Branch, *o.Protection)
		},
		"open": func(o Order) (Done, error) {
			n, err := f.OpenPull(NewPull{Repo: o.Repo, Head: o.Head, Base: o.Base, Title: o.Title, Body: o.Body, Author: o.Login})
			return Done{Number: n}, err
		},
		"close":  func(o Order) (Done, error) { return Done{Number: o.Number}, f.ClosePull(o.Repo, o.Number, o.Login) },
		"reopen": func(o Order) (Done, error) { return Done{Number: o.Number}, f.ReopenPull(o.Repo, o.Number, o.Login) },
		"review": func(o Order) (Done, error) {
			id, err := f.Review(o.Repo, o.Number, o.Login, o.Verdict)
			return Done{ID: id}, err
		},
		"comment": func(o Order) (Done, error) {
			id, err := f.Comment(o.Repo, o.Number, o.Login, o.Body)
			return Done{ID: id}, err
		},
		"merge": func(o Order) (Done, error) {
			sha, err := f.Merge(o.Repo, o.Number, o.Login, o.Method)
			return Done{SHA: sha}, err
		},
		"hook": func(o Order) (Done, error) {
			id, err := f.Hook(o.Repo, o.URL, o.Secret)
			return Done{ID: id}, err
		},
	}
}

// admin answers /_dev/.
func (f *Forge) admin(w http.ResponseWriter, r *http.Request) {
	out := &answer{header: http.Header{}}
	out.header.Set("Content-Type", "application/json; charset=utf-8")
	v, err := f.obey(w, r)
	var problem *Problem
	switch {
	case err == nil:
		out.json(http.StatusOK, v)
	case errors.As(err, &problem):
		out.refuse(problem)
	default:
		out.refuse(refuse(http.StatusInternalServerError, "%s", err))
	}
	out.sendTo(w)
}

func (f *Forge) obey(w http.ResponseWriter, r *http.Request) (any, error) {
	// A page elsewhere whose name was made to point here sends its own name.
	if host, _, _ := strings.Cut(strings.TrimPrefix(r.Host, "[::1]"), ":"); host != "" && host != "127.0.0.1" && host != "localhost" {
		return nil, errNotFound
	}
	verb := strings.TrimPrefix(r.URL.Path, "/_dev/")
	if r.Method == http.MethodGet && verb == "pull" {
		return f.answerLook(r)
	}
	do := f.orders()[verb]
	// A page in a browser cannot send this type without asking first.
	if do == nil || r.Method != http.MethodPost || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return nil, errNotFound
	}
	var o Order
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&o); err != nil {
		return nil, refuse(http.StatusBadRequest, "Problems parsing JSON")
	}
	return do(o)
}

func (f *Forge) answerLook(r *http.Request) (Look, error) {
	q := r.URL.Query()
	number, err := strconv.Atoi(q.Get("number"))
	if err != nil {
		return Look{}, refuse(http.StatusUnprocessableEntity, "%q is no number of a pull request", q.Get("number"))
	}
	p, err := f.Pull(q.Get("repo"), number)
	if err != nil {
		return Look{}, err
	}
	all, err := f.Shown(q.Get("repo"))
	if err != nil {
		return Look{}, err
	}
	look := Look{Pull: p}
	for _, c := range all.Comments {
		if c.Pull == number {
			look.Shown.Comments = append(look.Shown.Comments, c)
		}
	}
	newest := map[string]int{}
	for _, s := range all.Statuses {
		if s.SHA != p.SHA {
			continue
		}
		if at, ok := newest[s.Context]; ok {
			look.Statuses[at] = s
			continue
		}
		newest[s.Context] = len(look.Statuses)
		look.Statuses = append(look.Statuses, s)
	}
	for _, c := range all.Checks {
		if c.SHA == p.SHA {
			look.Shown.Checks = append(look.Shown.Checks, c)
		}
	}
	for _, d := range all.Deployments {
		if d.SHA == p.SHA || p.Merged && d.SHA == p.MergeAs {
			look.Shown.Deployments = append(look.Shown.Deployments, d)
		}
	}
	return look, nil
}
