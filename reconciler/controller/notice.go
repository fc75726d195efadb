// The doors for what stores and trackers send when something changed there: a bucket's
// notifications, as S3 and MinIO write them, and MLflow's webhooks. A notification is a hint to look
// sooner than the schedule says, and is never believed: the source itself is asked, as ever. However
// many come, a repository is looked at once a minute for them.

package controller

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

const (
	noticeFirst   = 5 * time.Second // how long a notification waits for others
	noticeEvery   = time.Minute     // between two looks of a repository that notifications led to
	maxHints      = 100             // that are kept for one look; more are one that says anywhere
	noticesASec   = 50
	noticesAtOnce = 500
	signedFor     = 5 * time.Minute // how old what MLflow signed may be
)

// Hint says where something may have changed. Its zero value is anywhere.
type Hint struct{ Bucket, Key string }

// Noticer is a Repository that can be told where to look.
type Noticer interface {
	// Notice has what is at the hinted places looked at anew with the next pass, and tells the tracked
	// branches that have such. It asks nobody.
	Notice(hints []Hint) (branches []string)
}

// notices is the handler of both doors.
type notices struct {
	door          *hook // whose crowd, patience and log it shares
	token, mlflow []byte
	workers       []*worker
	limit         *rate.Limiter
}

func (c *Controller) notices(token, mlflow []byte, crowd *connectionLimiter) *notices {
	return &notices{door: c.hook(nil, crowd), token: token, mlflow: mlflow, workers: c.workers, limit: rate.NewLimiter(noticesASec, noticesAtOnce)}
}

// routes serves the doors that have a secret.
func (n *notices) routes(mux *http.ServeMux) {
	if len(n.token) > 0 {
		mux.HandleFunc("/webhooks/bucket", func(w http.ResponseWriter, r *http.Request) { n.answer(w, r, "bucket", n.fromBucket) })
	}
	if len(n.mlflow) > 0 {
		mux.HandleFunc("/webhooks/mlflow", func(w http.ResponseWriter, r *http.Request) { n.answer(w, r, "mlflow", n.fromMLflow) })
	}
}

// noticeWays is what to do about a refusal.
var noticeWays = map[string]string{
	"unsigned": "give the sender the token or secret that the controller's file names under notifications",
	"forged":   "give the sender and the controller's file the same secret under notifications.mlflow",
	"stale":    "set the clocks of this machine and of MLflow's",
}

func (n *notices) answer(w http.ResponseWriter, r *http.Request, event string, hear func(http.ResponseWriter, *http.Request) (int, string)) {
	status, result := http.StatusMethodNotAllowed, "method"
	if r.Method == http.MethodPost {
		status, result = hear(w, r)
	}
	n.door.count(event, result)
	if way := noticeWays[result]; way != "" && n.door.told.Allow() {
		n.door.log.Warn("a notification was refused", "event", event, "why", result, "hint", way)
	}
	switch {
	case status == http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case status == http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "10")
	}
	if status >= http.StatusBadRequest {
		refuse(w, n.door.now())
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, result+"\n")
}

// body reads what came, within what the crowd has room for; trusted tells whether the sender is known by now.
func (n *notices) body(w http.ResponseWriter, r *http.Request, trusted bool) (body []byte, leave func(), status int, wrong string) {
	g, leave := n.door.guestOf(r)
	if trusted {
		g.become(false, true)
	}
	body, wrong = n.door.readBody(w, r, g)
	return body, leave, unread[wrong], wrong
}

// fromBucket takes what carries the token, in the header that S3-like servers put it into.
func (n *notices) fromBucket(w http.ResponseWriter, r *http.Request) (int, string) {
	said := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	mine, theirs := sha256.Sum256(n.token), sha256.Sum256([]byte(said))
	if subtle.ConstantTimeCompare(mine[:], theirs[:]) != 1 {
		return http.StatusUnauthorized, "unsigned"
	}
	body, leave, status, wrong := n.body(w, r, true)
	defer leave()
	if wrong != "" {
		return status, wrong
	}
	return n.wake("bucket", bucketHints(body))
}

// bucketHints reads the places out of an event; one that cannot be read is about anywhere.
func bucketHints(body []byte) []Hint {
	var event struct {
		Records []struct {
			S3 struct {
				Bucket struct {
					Name string `json:"name"`
				} `json:"bucket"`
				Object struct {
					Key string `json:"key"`
				} `json:"object"`
			} `json:"s3"`
		} `json:"Records"`
	}
	if err := json.Unmarshal(body, &event); err != nil || len(event.Records) == 0 || len(event.Records) > maxHints {
		return []Hint{{}}
	}
	var hints []Hint
	for _, r := range event.Records {
		key, err := url.QueryUnescape(r.S3.Object.Key) // as S3 writes it
		if err != nil || r.S3.Bucket.Name == "" {
			return []Hint{{}}
		}
		hints = append(hints, Hint{r.S3.Bucket.Name, key})
	}
	return hints
}

// fromMLflow takes what is signed with the secret, and was not long ago
// (https://mlflow.org/docs/latest/ml/webhooks/).
func (n *notices) fromMLflow(w http.ResponseWriter, r *http.Request) (int, string) {
	id, at := r.Header.Get("X-MLflow-Delivery-Id"), r.Header.Get("X-MLflow-Timestamp")
	text, found := strings.CutPrefix(r.Header.Get("X-MLflow-Signature"), "v1,")
	claimed, err := base64.StdEncoding.DecodeString(text)
	if !found || err != nil || id == "" || len(id) > maxID {
		return http.StatusUnauthorized, "unsigned"
	}
	body, leave, status, wrong := n.body(w, r, false)
	defer leave()
	if wrong != "" {
		return status, wrong
	}
	mac := hmac.New(sha256.New, n.mlflow)
	mac.Write([]byte(id + "." + at + "."))
	mac.Write(body)
	if !hmac.Equal(mac.Sum(nil), claimed) {
		return http.StatusUnauthorized, "forged"
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if age := n.door.now().Sub(time.Unix(seconds, 0)); err != nil || age > signedFor || age < -signedFor {
		return http.StatusUnauthorized, "stale"
	}
	if !n.door.seen.first(id) {
		return http.StatusOK, "repeated"
	}
	return n.wake("mlflow", []Hint{{}})
}

// wake hands the hints to every repository that is this controller's: which of them has such sources,
// its own site tells.
func (n *notices) wake(event string, hints []Hint) (int, string) {
	if !n.limit.Allow() {
		return http.StatusTooManyRequests, "limited"
	}
	for _, w := range n.workers {
		if w.c.roll != nil && !w.ours.Load() {
			continue
		}
		w.box.addTriggers(func(m *triggers) { m.hints = withHints(m.hints, hints) })
	}
	n.door.log.Debug("noticed", "event", event, "places", len(hints))
	return http.StatusAccepted, "accepted"
}

// withHints joins hints; too many are one that says anywhere.
func withHints(have, more []Hint) []Hint {
	if len(have)+len(more) > maxHints {
		return []Hint{{}}
	}
	return append(have, more...)
}

// notice has the site look where hints say, once they have waited for others, and tells when else.
func (w *worker) notice(now time.Time) time.Time {
	site, can := w.site.(Noticer)
	if len(w.hints) == 0 || !can {
		w.hints, w.noticeAt = nil, time.Time{}
		return time.Time{}
	}
	if w.noticeAt.IsZero() {
		w.noticeAt = now.Add(noticeFirst)
		if next := w.noticed.Add(noticeEvery); next.After(w.noticeAt) {
			w.noticeAt = next
		}
	}
	if now.Before(w.noticeAt) {
		return w.noticeAt
	}
	for _, b := range site.Notice(w.hints) {
		id := w.c.id()
		w.log.Info("triggered", "by", "notification", "branch", b, "trigger", id)
		w.agenda.ask(item{branch: b}, id)
		w.noticed = now
	}
	w.hints, w.noticeAt = nil, time.Time{}
	return time.Time{}
}
