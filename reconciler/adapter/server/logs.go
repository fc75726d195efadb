// The log of predictions of a name: opened for the release that has the traffic, kept through
// changes of release, and closed with the last of them.

package server

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog/stream"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// logVariables are those that S3 is asked with. They stay in the host's memory, and no served
// process sees them unless its release asks for them.
var logVariables = []string{"HOME", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
	"AWS_SHARED_CREDENTIALS_FILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE"}

// logNames are the variables that o's log is written with.
func (o order) logNames() []string {
	switch {
	case o.Log == nil:
		return nil
	case o.Log.S3 != nil:
		return logVariables
	case o.Log.Kafka != nil:
		return o.Log.Kafka.Variables()
	}
	return nil
}

// logEnviron is what o's log is written with.
func (o order) logEnviron(lookup func(string) (string, bool)) []string {
	var out []string
	for _, name := range o.logNames() {
		if v, ok := lookup(name); ok {
			out = append(out, name+"="+v)
		}
	}
	return out
}

// secret of a deployment's log: who lacks the installation's key neither chooses what is
// sampled nor guesses what was hashed.
func (s *service) secret() []byte {
	return []byte(s.key.Derive("predictions of " + s.name).Token("log"))
}

// logTo makes the log o's, before o has traffic. The one before writes what it has.
func (s *service) logTo(o order) error {
	s.mu.Lock()
	was, same, env := s.logs.Load(), reflect.DeepEqual(s.logging, o.Log), s.logEnv
	s.mu.Unlock()
	if same && (was != nil || o.Log == nil) {
		return nil
	}
	var next *predictionlog.Log
	if o.Log != nil {
		options, err := s.logOptions(o, env)
		if err == nil {
			next, err = predictionlog.Open(options)
		}
		if err != nil {
			return fmt.Errorf("open the prediction log of %s: %w", s.name, err)
		}
	}
	s.mu.Lock()
	s.logging, s.unlog = o.Log, nil
	s.mu.Unlock()
	s.closeLog(s.logs.Swap(next))
	return nil
}

// mayLog tells what keeps o's log from being written, before anything of o begins.
func (s *service) mayLog(o order, env []string) error {
	if o.Log == nil {
		return nil
	}
	options, err := s.logOptions(o, env)
	if err != nil {
		return fmt.Errorf("open the prediction log of %s: %w", s.name, err)
	}
	if options.Place != nil {
		options.Place.Close()
	}
	return nil
}

// logWith says what the log is written with; it stays in memory.
func (s *service) logWith(env []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if env != nil {
		s.logEnv = env
	}
}

// logBack makes the log that of a unit that has the traffic again; nil is none.
func (s *service) logBack(u *instance) {
	if u == nil {
		s.endLogs()
		return
	}
	s.logAnyhow(u.order)
}

// logAnyhow makes the log o's, where that can be; what is served goes on, and tells why nothing is logged.
func (s *service) logAnyhow(o order) {
	err := s.logTo(o)
	if err == nil {
		return
	}
	s.log.Warn("predictions are not logged", "error", err)
	s.mu.Lock()
	s.logging, s.unlog = nil, &port.Logging{Place: s.logPlace(o.Log), Error: err.Error() + "; see to it, then run vishwa down and vishwa apply"}
	s.mu.Unlock()
	s.closeLog(s.logs.Swap(nil)) // that of another release
}

// closeLog ends a log beside what goes on; endLogs waits for it.
func (s *service) closeLog(l *predictionlog.Log) {
	if l != nil {
		s.writing.Start(l.Close)
	}
}

// endLogs writes what has come, and waits until it is written.
func (s *service) endLogs() {
	s.mu.Lock()
	s.logging, s.unlog = nil, nil
	s.mu.Unlock()
	s.closeLog(s.logs.Swap(nil))
	s.writing.Wait()
}

func (s *service) logOptions(o order, env []string) (predictionlog.Options, error) {
	l := o.Log
	out := predictionlog.Options{
		Dir: s.place.predictions(s.name), Secret: s.secret(), Now: s.now, Log: s.log,
		Every: l.Every.Or(time.Minute), Keep: l.Keep.Or(90 * 24 * time.Hour), Room: int64(l.Room) << 30,
		Policy: predictions.Policy{Sampling: l.Sample, Features: l.Features, Prediction: l.Prediction, Score: l.Score, Personal: l.Personal, Bodies: l.Bodies},
	}
	if l.PredictionLog.Personal == "hash" {
		out.Policy.Hash = predictionlog.Hash(out.Secret)
	}
	by := Access{Env: port.Env{Lookup: func(name string) (string, bool) {
		v := sandbox.Variable(env, name)
		return v, v != ""
	}}}
	switch {
	case l.Dir != "":
		var err error
		if out.Dir, err = logFolder(string(s.place), l.Dir, s.name, o.Wall); err != nil {
			return out, err
		}
	case l.S3 != nil:
		b, err := predictionBucket(l.S3, by)
		if err != nil {
			return out, err
		}
		out.Place = predictionlog.InBucket(b, s.name+"/")
	case l.Kafka != nil:
		at, err := predictionTopic(l.Kafka, by)
		if err == nil {
			out.Place, err = stream.To(at, s.name)
		}
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// Access is how a log is reached.
type Access struct {
	Env port.Env // has AWS_*, and what the declaration of a topic names
	// Guarded has what a declaration names as an endpoint, or as brokers, reached as a web server is: where it is
	// public, or where Allow names it.
	Guarded bool
	Allow   []string
	// From is the time before which nobody will read, where the place can tell.
	From time.Time
	// Further has a topic read behind a position; nil: from From.
	Further *stream.Look
}

// predictionBucket is the bucket of a log, below its prefix.
func predictionBucket(at *schemas.S3, by Access) (port.Bucket, error) {
	if err := by.Env.MayUse(at.Address()); err != nil {
		return nil, err
	}
	name, prefix, _ := strings.Cut(strings.TrimPrefix(at.URL, "s3://"), "/")
	return bucket.S3(bucket.S3Options{Bucket: name, Prefix: strings.Trim(prefix, "/"), Endpoint: at.Endpoint, Region: at.Region,
		Profile: at.Profile, PathStyle: at.PathStyle, Lookup: by.Env.Lookup,
		Guarded: by.Guarded && at.Endpoint != "", Allow: by.Allow})
}

// OpenLog is a log at a path that somebody names: a folder, or s3://bucket/prefix.
func OpenLog(path string, env port.Env) (port.Objects, error) {
	if strings.HasPrefix(path, "s3://") {
		endpoint, _ := env.Lookup("AWS_ENDPOINT_URL")
		return predictionBucket(&schemas.S3{URL: path, Endpoint: endpoint}, Access{Env: env})
	}
	if st, err := os.Stat(path); err != nil || !st.IsDir() {
		return nil, fault.WithHint(fault.New(fault.Missing, "open the log: %s is not a folder", path), "name the folder that holds its files")
	}
	return bucket.Dir(path)
}

func exists(dir string) bool {
	_, err := os.Lstat(dir)
	return err == nil
}

// OpenPredictions is where the parts of a deployment's log are: the objects and the prefix of
// their keys. dir is Config.Dir; l may be nil, where what was logged before is asked for.
func OpenPredictions(dir, name string, l *schemas.PredictionLog, by Access) (port.Objects, string, error) {
	if err := checkName(name); err != nil {
		return nil, "", err
	}
	switch {
	case l == nil && !exists(folder(dir).predictions(name)):
		return nil, "", fault.WithHint(fault.New(fault.Missing, "deployment/%s logs no predictions", name), "declare spec.log, as log: {}, and deploy it")
	case l != nil && l.S3 != nil:
		b, err := predictionBucket(l.S3, by)
		return b, name + "/", err
	case l != nil && l.Kafka != nil:
		at, err := predictionTopic(l.Kafka, by)
		if err != nil {
			return nil, "", err
		}
		if by.Further != nil {
			return stream.Further(at, name, by.From, *by.Further), "", nil
		}
		return stream.From(at, name, by.From), "", nil
	case l != nil && l.Dir != "":
		if err := by.Env.MayUse(l.Dir); err != nil {
			return nil, "", err
		}
		at, err := logFolder(dir, l.Dir, name, wall.Policy{})
		if err != nil {
			return nil, "", err
		}
		b, err := bucket.Dir(at)
		return b, "", err
	}
	b, err := bucket.Dir(folder(dir).predictions(name))
	return b, "", err
}

// logged adds how the log is doing.
func (s *service) logged(l port.Live) port.Live {
	l.Log = s.logState()
	return l
}

// logState is how the log is doing; nil where there is none.
func (s *service) logState() *port.Logging {
	l := s.logs.Load()
	s.mu.Lock()
	of, not := s.logging, s.unlog
	s.mu.Unlock()
	if l == nil || of == nil {
		return not
	}
	c := l.Counts()
	return &port.Logging{Place: s.logPlace(of), Rows: c.Rows, Dropped: c.Dropped, Lost: c.Lost, Waiting: c.Waiting, Error: c.Error}
}

// logPlace is where a log of the service is.
func (s *service) logPlace(of *port.PredictionLog) string {
	switch {
	case of.S3 != nil:
		return strings.TrimSuffix(of.S3.URL, "/") + "/" + s.name
	case of.Kafka != nil:
		return "topic " + of.Kafka.Topic
	case of.Dir != "":
		return filepath.Join(of.Dir, s.name)
	}
	return s.place.predictions(s.name)
}
